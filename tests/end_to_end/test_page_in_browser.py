"""The page of a real collector in Chromium, phone and desk, zh and en: three days of a record, a warning taken by its button."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.chromium import Browser, browser, missing
from tests.support.collector_program import CollectorProgram
from tests.support.ports import wait_until
from tests.support.programs import DEMO

pytestmark = [pytest.mark.programs, pytest.mark.chromium]

PHONE, DESK = (390, 844), (1200, 800)
MINUTE_MS = 60_000
CHART = "/sites/shiquan/gw-1/panel/turbidity?hours=72"
SOUR = (
    "time: {column: t, format: unix-ms}\nseries: [{column: ph, device: panel, point: ph, unit: pH, role: water.ph, period: 60s}]\n"
)
LINE_WIDTH = """
const line = document.querySelector("svg.plot path.line");
return line ? line.getBoundingClientRect().width : document.querySelector(".uplot canvas").getBoundingClientRect().width;
"""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if missing():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{missing()} must be here under CI")
        pytest.skip(f"{missing()} not installed: apt-get install chromium chromium-driver fonts-wqy-microhei")
    with browser(tmp_path_factory.mktemp("profile")) as one:
        yield one


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectorProgram]:
    """With three days of a record at shiquan, and sour water at baihe until now."""
    folder = tmp_path_factory.mktemp("collector")
    with CollectorProgram(folder, county=(DEMO / "county.yaml").read_text(encoding="utf-8")) as program:
        record = DEMO / "record"
        replay(program, "shiquan", record / "three-days.csv.gz", record / "mapping.yaml")
        newest_ms = time.time_ns() // 1_000_000 - 1000
        (folder / "sour.csv").write_text("\n".join(["t,ph", *(f"{newest_ms - n * MINUTE_MS},9.4" for n in range(59, -1, -1))]))
        (folder / "sour.yaml").write_text(SOUR)
        replay(program, "baihe", folder / "sour.csv", folder / "sour.yaml")
        wait_until(lambda: warnings(program, "baihe"), 30, "the warning of baihe")
        wait_until(lambda: settled(program), 30, "everything is stored and judged")
        yield program


def replay(program: CollectorProgram, site: str, record: Path, mapping: Path) -> None:
    where = ["--site", site, "--gateway", "gw-1", "--map", str(mapping), "--end-at", "now", "--config", str(program.config)]
    command = [sys.executable, "-m", "collector", "replay", str(record), *where]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def settled(program: CollectorProgram) -> bool:
    status = program.status()
    return status is not None and status.stored == status.log_last == status.judged > 0


def page(program: CollectorProgram, path: str) -> str:
    return f"http://127.0.0.1:{program.page_port}{path}"


def warnings(program: CollectorProgram, site: str) -> list[dict[str, str]]:
    found = httpx.get(page(program, f"/api/v1/warnings?site={site}"), timeout=10, trust_env=False).json()["warnings"]
    return [warning for warning in found if warning["rule"] == "water-ph-out"]


@pytest.mark.parametrize(
    ("language", "name", "size"), [("zh", "石泉水厂", PHONE), ("en", "Shiquan waterworks", DESK)], ids=["phone-zh", "desk-en"]
)
def test_from_the_list_to_three_days_of_turbidity(
    chromium: Browser, collector: CollectorProgram, tmp_path: Path, language: str, name: str, size: tuple[int, int]
) -> None:
    chromium.size(*size)
    chromium.open(page(collector, f"/?lang={language}"))
    assert name in chromium.text("main")
    chromium.click("a[href='/sites/shiquan']")
    assert chromium.text("h1") == name
    chromium.whole_page(tmp_path / f"site-{language}.png")
    chromium.click("a[href^='/sites/shiquan/gw-1/panel/turbidity']")
    assert chromium.text("nav.choices a[aria-current]") == {"zh": "3 天", "en": "3 d"}[language]
    wait_until(lambda: chromium.script("return document.querySelector('svg.plot path.line, .uplot') !== null"), what="a chart")
    assert chromium.script(LINE_WIDTH) > 0.6 * size[0], "three days fill the chart"
    assert chromium.script("return document.documentElement.scrollWidth") <= size[0]
    chromium.whole_page(tmp_path / f"chart-{language}.png")
    drawn = httpx.get(chromium.script("return document.querySelector(\"a[href*='format=csv']\").href"), trust_env=False).text
    assert len(drawn.splitlines()) > 4300, "every minute of three days"


def test_a_warning_is_taken_and_stays_taken(chromium: Browser, collector: CollectorProgram, tmp_path: Path) -> None:
    (warning,) = warnings(collector, "baihe")
    assert warning["state"] == "raised"
    chromium.size(*PHONE)
    chromium.open(page(collector, "/sites/baihe?lang=zh"))
    chromium.click(f"a[href='/warnings/{warning['id']}']")
    assert chromium.text("h1") == "pH超出范围"
    assert chromium.text("#state") == "已发出，无人接单"
    chromium.type("#who", "王芳")
    chromium.type("#note", "已到现场，复测中")
    chromium.click("button[value=acknowledge]")
    wait_until(lambda: chromium.url.endswith("?done=acknowledge"), what="the page after the button")
    assert chromium.text("#state") == "已接单，处理中"
    chromium.whole_page(tmp_path / "taken.png")

    collector.kill()
    collector.start()
    chromium.open(page(collector, f"/warnings/{warning['id']}?lang=en"))
    assert chromium.text("h1") == "pH out of range"
    assert chromium.text("#state") == "taken, being worked on"
    assert "王芳" in chromium.text(".acts")
    told = json.loads(httpx.get(page(collector, f"/api/v1/warnings/{warning['id']}"), trust_env=False).text)
    assert (told["warning"]["state"], told["acts"][-1]["note"]) == ("acknowledged", "已到现场，复测中")
