"""The pages in Chromium: on a phone and a desk, Chinese and English; a warning acknowledged by thumb."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.chromium import Browser, browser, missing
from tests.support.ports import wait_until
from tests.support.web_fakes import Station, served, station

pytestmark = pytest.mark.chromium

CHART = "/sites/shuanghe/gw-1/pump-1/current"
PAGES = {
    "sites": "/",
    "site": "/sites/shuanghe",
    "chart": CHART,
    "hostile": "/sites/bridge-7/gw-9/mast-1/wind",
    "warnings": "/warnings",
    "warning": "/warnings/pump-dry-7f3a",
    "gone": "/sites/nowhere",
}
SIZES = {"phone": (390, 844), "desk": (1200, 800)}

SMALL_TARGETS = """
return [...document.querySelectorAll("a, button, input:not([type=hidden]), textarea, summary")]
  .filter((one) => !one.matches(".skip, p.crumbs a, footer a, p a, dd a, .phone"))
  .map((one) => [one.textContent.trim().slice(0, 20), Math.round(one.getBoundingClientRect().height)])
  .filter(([, height]) => height > 0 && height < 44);
"""
SMALL_TEXT = """
const small = [];
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const size = parseFloat(getComputedStyle(walk.currentNode.parentElement).fontSize);
  if (walk.currentNode.textContent.trim() && size < 12) small.push([walk.currentNode.textContent, size]);
}
return small;
"""
INK = """
const ink = (text) => {
  const canvas = document.createElement("canvas");
  canvas.width = 40; canvas.height = 40;
  const context = canvas.getContext("2d");
  context.font = "32px " + getComputedStyle(document.body).fontFamily;
  context.fillText(text, 2, 34);
  return context.getImageData(0, 0, 40, 40).data.join();
};
return [ink("泵"), ink("氯"), ink("\\uE123")];
"""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if missing():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{missing()} must be here under CI")
        pytest.skip(f"{missing()} not installed: apt-get install chromium chromium-driver fonts-wqy-microhei")
    with browser(tmp_path_factory.mktemp("profile")) as one:
        yield one


@pytest.fixture
def served_station() -> Iterator[tuple[Station, str]]:
    here = station()
    with served(here.parts()) as url:
        yield here, url


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_page_fits(chromium: Browser, served_station: tuple[Station, str], tmp_path: Path, size: str, language: str) -> None:
    width, height = SIZES[size]
    chromium.size(width, height)
    for name, path in PAGES.items():
        chromium.open(f"{served_station[1]}{path}?lang={language}")
        chromium.whole_page(tmp_path / f"{size}-{language}-{name}.png")
        assert chromium.script("return document.documentElement.scrollWidth") <= width, name
        assert chromium.script("return document.documentElement.lang") == {"zh": "zh-CN", "en": "en"}[language]
        assert chromium.script(SMALL_TARGETS) == [], name
        assert chromium.script(SMALL_TEXT) == [], name
        assert chromium.script("return document.scripts.length") in {0, 2}


def test_chinese_is_drawn_and_not_boxes(chromium: Browser, served_station: tuple[Station, str]) -> None:
    chromium.open(served_station[1] + "/?lang=zh")
    pump, chlorine, nothing = chromium.script(INK)
    assert len({pump, chlorine, nothing}) == 3, "two characters and the box of a missing one look different"
    assert chromium.text("h1") == "站点"


def test_acknowledge_by_thumb(chromium: Browser, served_station: tuple[Station, str]) -> None:
    here, url = served_station
    chromium.size(*SIZES["phone"])
    chromium.open(url + "/warnings/pump-dry-7f3a?lang=zh")
    chromium.type("#who", "王建国")
    chromium.type("#note", "已按停止按钮")
    chromium.click("button[value=acknowledge]")
    wait_until(lambda: chromium.url.endswith("?done=acknowledge"), what="redirect after the form")
    assert chromium.text("[role=status]") == "已接单。请先做下面这一步。"
    assert chromium.text("#state") == "已接单，处理中"
    assert "王建国 接单" in chromium.text(".acts").replace("\n", " ")
    assert here.operations.all["pump-dry-7f3a"].acknowledged_by == "王建国"
    assert [act.note for act in here.operations.acts("pump-dry-7f3a")] == ["已按停止按钮"]


def test_hostile_names_run_nothing(chromium: Browser, served_station: tuple[Station, str]) -> None:
    chromium.open(served_station[1] + PAGES["hostile"])
    assert '<script>alert("x")</script>' in chromium.text("h1")


def test_the_script_takes_the_place_of_the_picture(chromium: Browser, served_station: tuple[Station, str]) -> None:
    chromium.size(*SIZES["phone"])
    chromium.open(served_station[1] + CHART + "?lang=zh")
    if chromium.script("return document.scripts.length") == 0:
        assert chromium.script("return document.querySelectorAll('svg.plot path.line').length") == 1
        return
    wait_until(lambda: chromium.script("return document.querySelector('.uplot') !== null"), what="the script's chart")
    assert chromium.script("return document.querySelector('svg.plot')") is None


def test_charts_need_no_script(chromium: Browser, served_station: tuple[Station, str]) -> None:
    chromium.size(*SIZES["phone"])
    chromium.block("*/static/*.js*")
    try:
        chromium.open(served_station[1] + CHART)
        box = chromium.script(
            "const b = document.querySelector('svg.plot path.line').getBoundingClientRect(); return [b.width, b.height]"
        )
        assert chromium.script("return document.querySelector('.uplot')") is None
    finally:
        chromium.block()
    assert box[0] > 300
    assert box[1] > 100
