"""Lanes of a gateway in memory are bounded; what is told of the gateway never falls, and what comes of an old lane is taken."""

from __future__ import annotations

import pytest

from collector.intake import gateway
from collector.intake.gateway import Gateway
from collector.intake.records import LaneState
from tests.support.intake import NAME, T0


def state(start: int, **counts: int) -> LaneState:
    return LaneState(*NAME, f"{start}-{start:016x}", "n", heard_ms=T0 + start, **counts)


def test_the_lanes_heard_longest_ago_go_and_their_counts_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "MAX_LANES", 3)
    one = Gateway(NAME)
    for start in (5, 1, 2, 3, 4):
        one.settle(state(start, upto=8, received=5, duplicate=2, lost=3, ranges=((10, 10),)))
    assert sorted(lane.heard_ms - T0 for lane in one.lanes.values()) == [3, 4, 5]
    pulse = one.pulse()
    assert (pulse.received, pulse.duplicate, pulse.lost, pulse.behind) == (25, 10, 15, 3)
    assert [row.e for receipt in one.receipts("log") for row in receipt.lanes] == [f"{n}-{n:016x}" for n in (3, 4, 5)]
