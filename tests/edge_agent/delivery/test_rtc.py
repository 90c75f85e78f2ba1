"""What the RTC's battery is said to be."""

from __future__ import annotations

import pytest

from edge_agent.common.release import BUILD_MS
from edge_agent.delivery.rtc import EMPTY, LOST, LOW, RtcSeen, is_lost, trouble

GOOD_MS = BUILD_MS + 10**9


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (RtcSeen(GOOD_MS), ""),
        (RtcSeen(GOOD_MS, flags=8), ""),
        (RtcSeen(None, is_stopped=True), LOST),
        (RtcSeen(GOOD_MS, flags=1), LOST),
        (RtcSeen(GOOD_MS, flags=2), LOW),
        (RtcSeen(GOOD_MS, flags=4), EMPTY),
        (RtcSeen(GOOD_MS, battery_uv=2_750_000), ""),
        (RtcSeen(GOOD_MS, battery_uv=2_100_000), f"{LOW} (2.10 V)"),
    ],
)
def test_trouble(seen: RtcSeen, words: str) -> None:
    assert trouble(seen, lost=False) == words


@pytest.mark.parametrize(
    ("seen", "last_ms", "lost"),
    [
        (RtcSeen(GOOD_MS), 0, False),
        (RtcSeen(946_684_800_000), 0, True),
        (RtcSeen(GOOD_MS), GOOD_MS + 60_000, False),
        (RtcSeen(GOOD_MS), GOOD_MS + 86_400_000, True),
        (RtcSeen(None), GOOD_MS, False),
        (RtcSeen(None, is_stopped=True), 0, True),
    ],
)
def test_a_time_before_the_software_or_before_what_was_known_is_lost(seen: RtcSeen, last_ms: int, lost: bool) -> None:
    assert is_lost(seen, last_ms) is lost
