"""Phases level the load: the fullest tick is never fuller, and what can be spread is."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.model.blocks import Block
from edge_agent.model.line_cost import DeviceCost
from edge_agent.model.phases import levelled
from edge_agent.model.points import Point
from edge_agent.model.poll import Poll, Ride

COST = DeviceCost(20_000.0, 1000.0)


def atom(address: int) -> Block:
    return Block("holding", address, 1, (Point(address, "d", f"p{address}", "holding", address, "u16"),))


def poll(period_ms: int, *everies: int) -> Poll:
    return Poll(period_ms, tuple(Ride(every, (atom(10 * i),)) for i, every in enumerate((1, *everies))))


def ticks_ms(polls: list[Poll], ticks: int) -> list[float]:
    """Wire time in each tick of a second."""
    loads = [0.0] * ticks
    for each in polls:
        origin = each.phase_ms // 1000
        for tick in range(ticks):
            turn, rest = divmod(tick - origin, each.period_ms // 1000)
            if rest == 0:
                block = each.read(turn, turn - 1)
                loads[tick] += COST.of(block.table, block.count) / 1000
    return loads


POLLS = st.lists(
    st.builds(poll, st.sampled_from((1000, 2000, 5000, 10_000))) | st.builds(poll, st.just(1000), st.sampled_from((2, 5, 10))),
    min_size=1,
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(POLLS)
def test_the_fullest_tick_is_never_fuller_than_without(polls: list[Poll]) -> None:
    placed = levelled([(each, COST) for each in polls])
    assert [replace(each, phase_ms=0) for each in placed] == polls
    for each in placed:
        assert 0 <= each.phase_ms < each.period_ms * each.rides[-1].every
    assert max(ticks_ms(placed, 20)) <= max(ticks_ms(polls, 20))
    assert sum(ticks_ms(placed, 20)) == sum(ticks_ms(polls, 20))


@settings(max_examples=200, deadline=None)
@given(POLLS, st.sampled_from(((1000,), (2000, 5000))))
def test_the_fullest_tick_is_little_fuller_than_the_mean(polls: list[Poll], fast: tuple[int, ...]) -> None:
    """One request and a half: every second and every fifth second meet somewhere, whatever their phases."""
    polls = [*map(poll, fast), *(each for each in polls if each.period_ms >= fast[0])]
    loads_ms = ticks_ms(levelled([(each, COST) for each in polls]), 20)
    largest_ms = max(COST.of(each.whole.table, each.whole.count) for each in polls) / 1000
    assert max(loads_ms) <= sum(loads_ms) / 20 + 1.5 * largest_ms


def test_slow_requests_are_spread_over_the_turns_of_fast_ones() -> None:
    placed = levelled([(each, COST) for each in [poll(1000)] + [poll(10_000)] * 10])
    assert sorted(each.phase_ms // 1000 for each in placed[1:]) == list(range(10))


def test_rides_of_several_requests_come_in_different_turns() -> None:
    placed = levelled([(each, COST) for each in [poll(1000, 5)] * 5])
    assert sorted(each.phase_ms // 1000 for each in placed) == list(range(5))


def test_requests_of_a_tick_stand_one_behind_the_other() -> None:
    placed = levelled([(each, COST) for each in [poll(1000)] * 3])
    assert [each.phase_ms for each in placed] == [0, 22, 44]


def test_an_empty_bus() -> None:
    assert levelled([]) == []
