"""The plan at work: rides, latches and splits, as the polling carries them out."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from edge_agent.model.blocks import Block
from edge_agent.model.lessons import NOTHING_LEARNED, LessonsOf
from edge_agent.model.line_cost import cost_of
from edge_agent.model.points import Bus, Device, Point, Serial
from edge_agent.model.polling import Came, Polling, Turn
from edge_agent.model.reading import Reading
from edge_agent.model.schedule import Wait

EXCHANGE_MS = 40
Outcome = Callable[[Block], int]
"""0: the words come; -1: nothing; else an exception code."""


def point(number: int, address: int, period_ms: int, **fields: object) -> Point:
    return Point(number, "d", f"p{number}", "holding", address, "u16", period_ms=period_ms, **fields)


def bus(*points: Point, **fields: object) -> Bus:
    return Bus("b", Serial("/dev/ttyS0", 9600), "rtu", (Device("d", 1, points, **{"turnaround_ms": 10, **fields}),))


class Run:
    """A polling with a line that answers as it is told, in time of its own."""

    def __init__(self, made: Bus, outcome: Outcome, lessons: LessonsOf = NOTHING_LEARNED, seed: int = 1) -> None:
        self.polling = Polling(made, seed, 0, cost_of(made), lessons)
        self.outcome = outcome
        self.now_ms = 0
        self.turns: list[tuple[int, Turn]] = []
        self.readings: list[Reading] = []

    def until(self, end_ms: int) -> None:
        while self.now_ms < end_ms:
            self.polling.look(self.now_ms)
            turn = self.polling.next(self.now_ms)
            if isinstance(turn, Wait):
                self.now_ms = min(turn.until_ms, end_ms)
                continue
            self.turns.append((self.now_ms, turn))
            self.now_ms += EXCHANGE_MS
            code = self.outcome(turn.block)
            if code == 0:
                told = self.polling.worked(turn, [7] * turn.block.count, Came(self.now_ms, 10), self.now_ms)
            elif code < 0:
                told = self.polling.failed(turn, "timeout", self.now_ms)
            else:
                told = self.polling.refused(turn, code, self.now_ms)
            self.readings += told.readings
            self.polling.spent(turn, EXCHANGE_MS, self.now_ms)

    def times(self, series: int) -> list[int]:
        return [reading.taken_ms for reading in self.readings if reading.series == series and reading.value is not None]


def gaps(times: list[int]) -> list[int]:
    return [b - a for a, b in pairwise(times)]


def test_slow_points_ride_along_and_every_point_comes_at_its_period() -> None:
    run = Run(bus(point(0, 0, 1000), point(1, 2, 10_000), point(2, 50, 7000)), lambda _: 0)
    run.until(100_000)
    assert len(run.times(0)) == 100
    for series, period_ms in ((0, 1000), (1, 10_000), (2, 7000)):
        assert run.times(series)[0] < 100
        assert all(gap <= period_ms + EXCHANGE_MS for gap in gaps(run.times(series)))
    assert {turn.block.count for _, turn in run.turns if turn.block.address == 0} == {1, 3}
    assert len(run.turns) < 101 + 20


def test_a_ride_that_is_refused_is_split_off_and_the_rest_goes_on() -> None:
    run = Run(bus(point(0, 0, 1000), point(1, 2, 10_000)), lambda block: 2 if block.end > 2 else 0)
    run.until(30_000)
    assert all(gap <= 1000 + 4 * EXCHANGE_MS for gap in gaps(run.times(0)))
    assert run.times(1) == []
    assert run.polling.figures(0)[0].refused == ("p1",)


def test_a_ride_that_is_never_answered_does_not_cost_the_fast_points() -> None:
    run = Run(bus(point(0, 0, 1000), point(1, 2, 5000)), lambda block: -1 if block.end > 2 else 0)
    run.until(60_000)
    assert len(run.times(0)) >= 50
    assert [reading.series for reading in run.readings if reading.value is None] == [1]


def test_a_slow_point_is_asked_again_in_the_next_turn_when_its_own_failed() -> None:
    failed: list[int] = []

    def once(block: Block) -> int:
        if block.end > 2 and run.now_ms > 500 and not failed:
            failed.append(run.now_ms)
            return -1
        return 0

    run = Run(bus(point(0, 0, 1000), point(1, 2, 10_000)), once)
    run.until(30_000)
    assert failed
    assert all(gap <= 11_000 + EXCHANGE_MS for gap in gaps(run.times(1)))


def test_a_latched_point_is_read_alone_never_twice_and_for_no_other_reason() -> None:
    run = Run(bus(point(0, 0, 1000), point(1, 1, 1000, latched=True), point(2, 2, 1000)), lambda _: 0)
    run.until(5000)
    for _, turn in run.turns:
        assert (turn.retries == 0) == turn.block.is_latched
        assert not any(block.is_latched for block in run.polling.others(turn))
        if not turn.block.is_latched:
            assert not turn.block.address <= 1 < turn.block.end
    assert len(run.times(1)) == 5
