"""Evidence in words."""

from __future__ import annotations

import pytest

from collector.domain.evidence import evidence_text
from collector.domain.identity import SeriesKey
from collector.domain.series import SeriesInfo
from collector.rules.rule import LINK_NAMES
from collector.rules.signal import Slot, View


@pytest.mark.parametrize(
    ("entry", "zh", "en"),
    [
        (("silence_s", "6.369"), "静默 6 秒", "silent for 6 s"),
        (("silence_s", "600"), "静默 10 分钟", "silent for 10 min"),
        (("lost", "3"), "丢失 3 条", "lost 3 messages"),
        (("online", "0"), "在线 否", "online no"),
        (("gw-1/pump-1.current", "3.1 A"), "gw-1/pump-1.current 3.1 A", "gw-1/pump-1.current 3.1 A"),
    ],
)
def test_an_entry(entry: tuple[str, str], zh: str, en: str) -> None:
    name, value = evidence_text(*entry)
    assert (f"{name.zh} {value.zh}", f"{name.en} {value.en}") == (zh, en)


def test_every_name_of_link_rules_has_words() -> None:
    assert all(evidence_text(name, "1")[0].zh != name for name in LINK_NAMES)


@pytest.mark.parametrize(
    ("unit", "decimals", "wanted", "value", "shown"),
    [
        ("pH", 2, "", 8.5473, "8.55 pH"),
        ("NTU", 3, "", 0.029395, "0.029 NTU"),
        ("m", 2, "", 0.5, "0.50 m"),
        ("m", 2, "mm", 512.345, "512 mm"),
        ("kPa", 1, "MPa", 0.31249, "0.3125 MPa"),
        ("m3", None, "", 123456.0, "123456 m3"),
        ("NTU", None, "", 0.0293954, "0.0294 NTU"),
    ],
)
def test_values_have_the_decimals_of_their_point(unit: str, decimals: int | None, wanted: str, value: float, shown: str) -> None:
    info = SeriesInfo(SeriesKey("s", "g", "d", "p"), unit, decimals=decimals)
    assert View(Slot(info), wanted).text(value) == shown
