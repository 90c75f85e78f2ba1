"""Steps before a request: which, and when."""

from __future__ import annotations

from edge_agent.model.points import Device, Point, Step
from edge_agent.model.preparation import Preparation

POINTS = tuple(Point(i, "d", f"p{i}", "holding", i, "u16", period_ms=1000) for i in range(2))


def step(address: int) -> Step:
    return Step("holding", address, (1,))


def whys(made: Preparation, request: str, spoken_ms: int | None, now_ms: int) -> list[str]:
    steps = made.ahead(request, spoken_ms, now_ms)
    made.done(steps, now_ms)
    made.read(request)
    return [each.why for each in steps]


def test_set_up_when_the_device_begins_to_answer_and_not_again() -> None:
    made = Preparation(Device("d", 1, POINTS, setup=(step(1), step(2))))
    assert whys(made, "a", None, 0) == ["setup", "setup"]
    assert whys(made, "a", 0, 1000) == []
    made.lost()
    assert whys(made, "a", 1000, 2000) == ["setup", "setup"]


def test_woken_after_a_rest() -> None:
    made = Preparation(Device("d", 1, POINTS, wake=(step(1),), wake_after_ms=5000, setup=(step(2),)))
    assert whys(made, "a", None, 0) == ["wake", "setup"]
    assert whys(made, "a", 0, 4999) == []
    assert whys(made, "a", 0, 5000) == ["wake"]
    wake = made.ahead("a", 0, 9000)[0]
    assert not wake.must_work


def test_a_trigger_serves_every_request_of_its_cycle() -> None:
    made = Preparation(Device("d", 1, POINTS, trigger=(step(1),)))
    assert whys(made, "a", None, 0) == ["trigger"]
    assert whys(made, "b", 0, 100) == []
    assert whys(made, "a", 100, 400) == ["trigger"], "what was read since the device measured would come again"
    assert whys(made, "b", 400, 1000) == ["trigger"], "half a cycle has passed"


def test_the_reason_of_a_failed_step_says_which() -> None:
    made = Preparation(Device("d", 1, POINTS, setup=(step(512),)))
    assert made.ahead("a", None, 0)[0].failure("exception 2") == "exception 2 (setup, holding 512)"
