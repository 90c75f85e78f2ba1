"""Texts, times, numbers, colours: what is checked without a server."""

from __future__ import annotations

import contextlib
import re
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.domain.identity import SeriesKey
from collector.domain.series import Sample, SeriesInfo
from collector.web import readings
from collector.web.language import LANGUAGES, TEXTS, catalogue, choose, say
from collector.web.refusals import STATUS_OF, Refusal
from collector.web.times import LATEST_MS, age, duration, moment, parse_rfc3339, rfc3339
from collector.web.wording import number_text, quality_text, unit_text, value_text
from edge_agent.contract.message import Text
from edge_agent.contract.quality import Quality
from edge_agent.contract.units import UNITS
from tests.support.web_fakes import NOW_MS, MemoryStore

KEY = SeriesKey("s", "g", "d", "p")


@pytest.mark.parametrize(
    "content",
    ['a: {zh: "甲", en: ""}', 'a: {zh: "甲"}', 'a: {zh: "甲 {n}", en: "A"}', 'a: {zh: "甲", en: "A", de: "A"}'],
)
def test_a_missing_text_is_refused(content: str) -> None:
    with pytest.raises(ValueError, match="a "):
        catalogue({"x.yaml": content})


def test_a_key_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        catalogue({"x.yaml": 'a: {zh: "甲", en: "A"}', "y.yaml": 'a: {zh: "甲", en: "A"}'})


def test_chinese_texts_are_chinese() -> None:
    latin = {key for key, text in TEXTS.items() if not re.search(r"[\u4e00-\u9fff]", text.zh)}
    assert latin == {"nav.other-language", "list.comma"}


def test_every_text_is_used() -> None:
    folder = Path(str(resources.files("collector.web")))
    sources = "\n".join(path.read_text(encoding="utf-8") for kind in ("py", "html", "svg") for path in folder.rglob(f"*.{kind}"))
    made = tuple(a or b for a, b in re.findall(r'"([a-z]+\.[a-z-]*)" ~|f"([a-z]+\.[a-z-]*)\{', sources))
    assert [key for key in TEXTS if f'"{key}"' not in sources and not key.startswith(made)] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_quality_and_refusal_has_words(language: str) -> None:
    for quality in Quality:
        assert quality_text(quality, language)  # type: ignore[arg-type]
    for code in STATUS_OF:
        refusal = Refusal(code, "x", name="n", why="w", limit=1)
        assert refusal.what(language)  # type: ignore[arg-type]
        assert refusal.do(language)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("query", "cookie", "accept", "language"),
    [
        (None, None, None, "zh"),
        ("en", "zh", "zh", "en"),
        ("fr", "en", "zh", "en"),
        (None, "xx", "en-GB,en;q=0.9", "en"),
        (None, None, "fr, zh;q=0.1, en;q=0.2", "en"),
        (None, None, "en;q=0, zh;q=x", "zh"),
    ],
)
def test_language(query: str | None, cookie: str | None, accept: str | None, language: str) -> None:
    assert choose(query, cookie, accept) == language


@given(st.integers(0, LATEST_MS))
def test_times_read_back(ms: int) -> None:
    assert parse_rfc3339(rfc3339(ms)) == ms


@given(st.text(max_size=40))
def test_any_text_is_a_time_or_a_refusal(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert 0 <= parse_rfc3339(text) <= LATEST_MS


@pytest.mark.parametrize(
    "text", ["2026-05-01", "2026-05-01T00:00:00", "2026-13-01T00:00:00Z", "1969-12-31T23:59:59Z", "2026-05-01T25:00:00Z"]
)
def test_no_times(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_rfc3339(text)


def test_times_in_words() -> None:
    assert [age(NOW_MS - span, NOW_MS, "zh") for span in (-1, 59_999, 60_000, 7_200_000, 172_800_000)] == [
        "刚刚",
        "刚刚",
        "1 分钟前",
        "2 小时前",
        "2 天前",
    ]
    assert [duration(span * 60_000, "en") for span in (-1, 1, 59, 61, 2880)] == ["0 s", "60 s", "59 min", "1 h 1 min", "2 d 0 h"]
    assert moment(NOW_MS, "Asia/Shanghai", NOW_MS) == "10:00"
    assert moment(NOW_MS - 86_400_000, "Asia/Shanghai", NOW_MS) == "04-30 10:00"
    assert moment(0, "No/Zone", NOW_MS) == "1970-01-01 00:00"


def test_numbers_and_units() -> None:
    assert number_text(3.14159, 2) == "3.14"
    assert number_text(-3.0, 1) == "\u22123.0"
    assert number_text(float("nan"), 2) == "\u2013"
    assert number_text(0.1 + 0.2, None) == "0.3"
    assert unit_text("m3/h") == "m³/h"
    assert all(unit_text(unit) is not None and "3" not in unit_text(unit) for unit in UNITS)


def test_codes_and_bits_in_words() -> None:
    texts = {"7": Text("欠载", "underload"), "b0": Text("过流", "overcurrent"), "b3": Text("过压", "overvoltage")}
    assert value_text(SeriesInfo(KEY, kind="code", texts=texts), 7, "zh") == "7 欠载"
    assert value_text(SeriesInfo(KEY, kind="code", texts=texts), 8, "zh") == "8"
    assert value_text(SeriesInfo(KEY, kind="bits", texts=texts), 9, "en") == "overcurrent, overvoltage"
    assert value_text(SeriesInfo(KEY, kind="bool"), 1, "en") == say("en", "value.on")


@given(
    st.lists(st.integers(0, 10**9), unique=True, max_size=60).map(sorted),
    st.integers(1, 7),
    st.integers(0, 10**9),
    st.integers(0, 10**9),
)
def test_pages_of_readings_are_the_whole(times: list[int], limit: int, from_ms: int, to_ms: int) -> None:
    store = MemoryStore(samples={KEY: [Sample(at, 1, 0) for at in times]})
    got = [sample.time_ms for page in readings.every(store, KEY, from_ms, to_ms, limit, 10**6) for sample in page]
    assert got == [at for at in times if from_ms <= at < to_ms]
    assert store.most_at_once <= 4 * limit


def palette() -> list[dict[str, str]]:
    css = (resources.files("collector.web") / "static" / "style.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    return [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block)) for block in blocks]


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, contrast ratio."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_colours_can_be_read(mode: int) -> None:
    colours = palette()[mode]
    for paper in ("paper", "field"):
        for ink in ("ink", "quiet", "link", "red", "yellow", "blue", "fine", "silent"):
            assert contrast(colours[ink], colours[paper]) >= 4.5, (ink, paper)
    assert contrast(colours["button-ink"], colours["button"]) >= 4.5
    assert contrast(colours["yellow-shape"], colours["ink" if mode == 0 else "field"]) >= 3
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
