"""What `edge-agent status` says of link and backlog."""

from __future__ import annotations

from typing import Any

import pytest

from edge_agent.cli.status import _learned, troubles


def body(delivery: dict[str, Any] | None = None, **link: Any) -> dict[str, Any]:
    standing = {"oldest_ms": 7_200_000, "late_ms": 600_000, "depth_readings": 9000, "drain_per_s": 50.0, "drain_s": 180}
    return {
        "mono_ms": 0,
        "clock": {"source": "ntp"},
        "link": {"up": True, "broker": "b:1", **link},
        "delivery": {**standing, **(delivery or {})},
    }


@pytest.mark.parametrize(
    ("delivery", "link", "words"),
    [
        ({}, {}, "9000 readings wait, drained in about 3 min at 50 readings a second"),
        ({"drain_per_s": -2.0, "drain_s": None}, {}, "not draining: 9000 readings wait, and as many come as go"),
        ({"drain_per_s": None, "drain_s": None}, {}, "how fast they drain is not known yet"),
        ({"drain_per_s": 50.0}, {"up": False}, "not draining: there is no connection; 9000 readings wait"),
    ],
)
def test_a_late_backlog_says_how_it_goes_on(delivery: dict[str, Any], link: dict[str, Any], words: str) -> None:
    assert any(words in line and "waited 2 h" in line for line in troubles(body(delivery, **link), 0))


def test_a_batch_that_waits_as_long_as_the_settings_let_it_is_no_trouble() -> None:
    assert troubles(body({"late_ms": 7_200_000}), 0) == []
    assert troubles(body({"oldest_ms": None}), 0) == []


def test_one_reading_is_not_readings() -> None:
    late = troubles(body({"depth_readings": 1, "dropped": 1}, unheard=1), 0)
    assert any("1 reading waits, drained" in line for line in late)
    assert any(line.startswith("1 reading was dropped") for line in late)
    assert any("says of 1 message that" in line for line in late)


def test_what_nobody_hears_and_dates_that_nobody_checks_are_said() -> None:
    calm = {"oldest_ms": None}
    assert any("nobody listens" in line for line in troubles(body(calm, unheard=3), 0))
    assert any("not checked" in line and "Do:" in line for line in troubles(body(calm, dates_checked=False), 0))
    assert troubles(body(calm, unheard=0, dates_checked=True), 0) == []


@pytest.mark.parametrize(
    ("learned", "lines"),
    [
        ({}, []),
        ({"devices": 3, "damaged": 0, "error": ""}, []),
        (
            {"devices": 3, "damaged": 2, "error": ""},
            ["learned  2 damaged files set aside (learned.json.damaged-* in the state folder)"],
        ),
        ({"damaged": 0, "error": "Read-only file system"}, ["learned  cannot be written: Read-only file system"]),
    ],
)
def test_a_file_of_lessons_that_is_damaged_or_cannot_be_written_is_told(learned: dict[str, Any], lines: list[str]) -> None:
    assert _learned(learned) == lines
