"""The read planner: equal to brute force on small cases; what it never touches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.common.problem import ProblemError
from edge_agent.model.plan import Block, Cost, cost_of, halves, plan
from edge_agent.model.points import Bus, Device, Point, Serial, Tcp

COST = Cost(byte_us=1000.0, silence_us=3500.0)


def device(*spans: tuple[int, int], period_ms: int = 1000, **fields: object) -> Device:
    types = {1: "u16", 2: "u32", 4: "u64"}
    points = tuple(Point(i, "d", f"p{i}", "holding", at, types[n], period_ms=period_ms) for i, (at, n) in enumerate(spans))
    return Device("d", 1, points, **{"turnaround_ms": 5, **fields})


def shape(blocks: tuple[Block, ...]) -> list[tuple[int, int]]:
    return [(block.address, block.count) for block in blocks]


def partitions(items: list[Point]) -> Iterator[list[list[Point]]]:
    if not items:
        yield []
        return
    first, *rest = items
    for parts in partitions(rest):
        yield [[first], *parts]
        for i in range(len(parts)):
            yield [*parts[:i], [first, *parts[i]], *parts[i + 1 :]]


def latches_of(points: list[Point]) -> set[int]:
    return {point.address + i for point in points if point.latched for i in range(point.span)}


def brute_force_us(wanted: Device) -> float:
    """The least cost over all partitions of the points of one period; infinity where none is allowed."""
    best = float("inf")
    own = {p.address + i for p in wanted.points for i in range(p.span)}
    for parts in partitions(list(wanted.points)):
        if any(len({i for i, part in enumerate(parts) for p in part if p.group == name}) > 1 for name in ("g", "h")):
            continue
        total = 0.0
        for part in parts:
            start, end = min(p.address for p in part), max(p.address + p.span for p in part)
            touched = set(range(start, end))
            foreign = latches_of([p for p in wanted.points if p not in part])
            if latches_of(part) and not may_share_a_latch(part):
                break
            if end - start > wanted.max_registers or any(first <= at <= last for _, first, last in wanted.holes for at in touched):
                break
            if foreign & touched or (not wanted.gaps and not own.issuperset(touched)):
                break
            total += COST.request_us("holding", end - start, wanted.turnaround_ms)
        else:
            best = min(best, total)
    return best


def may_share_a_latch(part: list[Point]) -> bool:
    """A latched request has nothing but what a group or a common register binds to it."""
    return any(all_bound_to(part[i], part[:i] + part[i + 1 :]) for i in range(len(part)))


def all_bound_to(first: Point, left: list[Point]) -> bool:
    left, bound = list(left), [first]
    while taken := next((p for p in left if any(binds(p, q) or binds(q, p) or binds_span(p, bound) for q in bound)), None):
        left.remove(taken)
        bound.append(taken)
    return not left


def binds(latch: Point, other: Point) -> bool:
    same = bool(latch.group) and latch.group == other.group
    return same or (latch.latched and latch.address < other.address + other.span and other.address < latch.address + latch.span)


def binds_span(latch: Point, bound: list[Point]) -> bool:
    start, end = min(p.address for p in bound), max(p.address + p.span for p in bound)
    return latch.latched and latch.address < end and start < latch.address + latch.span


SPANS = st.lists(st.tuples(st.integers(0, 40), st.sampled_from((1, 2, 4))), min_size=1, max_size=7)
MARKS = st.lists(st.sampled_from(("", "", "", "g", "h")), min_size=7, max_size=7)
LATCHES = st.lists(st.sampled_from((False, False, False, False, True)), min_size=7, max_size=7)


@settings(max_examples=250, deadline=None)
@given(SPANS, MARKS, LATCHES, st.integers(4, 40), st.integers(0, 30), st.booleans(), st.lists(st.integers(0, 44), max_size=2))
def test_the_plan_is_the_cheapest_there_is(
    spans: list, marks: list, latched: list, most: int, turnaround_ms: int, gaps: bool, holes: list[int]
) -> None:
    wanted = device(*spans, max_registers=most, turnaround_ms=turnaround_ms, gaps=gaps)
    own = {p.address + i for p in wanted.points for i in range(p.span)}
    marked = zip(wanted.points, marks, latched, strict=False)
    wanted = replace(
        wanted,
        points=tuple(replace(p, group=group, latched=latch) for p, group, latch in marked),
        holes=tuple(("holding", at, at) for at in holes if at not in own),
    )
    expected = brute_force_us(wanted)
    try:
        blocks = plan(wanted, COST)
    except ProblemError:
        assert expected == float("inf")
        return
    total = sum(COST.request_us(b.table, b.count, wanted.turnaround_ms) for b in blocks)
    assert total == pytest.approx(expected)
    assert sorted(p.series for b in blocks for p in b.points) == list(range(len(spans)))
    for block in blocks:
        assert all(block.address <= p.address and p.address + p.span <= block.end for p in block.points)


def test_near_points_share_a_request_and_far_ones_do_not() -> None:
    assert shape(plan(device((0, 2), (6, 2), (100, 2)), COST)) == [(0, 8), (100, 2)]


def test_without_gaps_only_registers_of_points_are_read() -> None:
    assert shape(plan(device((0, 2), (2, 2), (6, 2), gaps=False), COST)) == [(0, 4), (6, 2)]


def test_a_hole_is_never_touched() -> None:
    assert shape(plan(device((0, 2), (3, 2), holes=(("holding", 2, 2),)), COST)) == [(0, 2), (3, 2)]
    assert shape(plan(device((0, 2), (3, 2), holes=(("input", 2, 2),)), COST)) == [(0, 5)]


@pytest.mark.parametrize("hole", [(0, 0), (1, 1), (0, 9)])
def test_a_point_in_a_hole_is_a_problem(hole: tuple[int, int]) -> None:
    with pytest.raises(ProblemError):
        plan(device((0, 2), holes=(("holding", *hole),)), COST)


def test_periods_and_tables_are_apart() -> None:
    a, b, c = device((0, 1), (1, 1), (2, 1)).points
    mixed = Device("d", 1, (a, replace(b, period_ms=5000), replace(c, table="input")))
    assert [(b.table, b.address, b.period_ms) for b in plan(mixed, COST)] == [
        ("holding", 0, 1000),
        ("holding", 1, 5000),
        ("input", 2, 1000),
    ]


def test_a_group_is_read_at_the_shortest_of_its_periods() -> None:
    a, b, c = device((0, 1), (20, 1), (60, 1)).points
    torn = Device("d", 1, (replace(a, group="g"), replace(b, group="g", period_ms=5000), replace(c, period_ms=5000)))
    assert [(b.address, b.count, b.period_ms) for b in plan(torn, COST)] == [(0, 21, 1000), (60, 1, 5000)]


def test_a_group_in_two_tables_is_a_problem() -> None:
    a, b = device((0, 1), (1, 1)).points
    with pytest.raises(ProblemError) as caught:
        plan(Device("d", 1, (replace(a, group="g"), replace(b, group="g", table="input"))), COST)
    assert caught.value.problems[0].code == "BUS110"


def test_only_its_own_request_touches_a_latched_register() -> None:
    a, b, c, d = device((0, 1), (1, 1), (2, 1), (1, 1), turnaround_ms=50).points
    latched = Device("d", 1, (a, replace(b, latched=True), c, replace(d, mask=2, period_ms=9000)), turnaround_ms=50)
    blocks = plan(latched, COST)
    assert sorted(shape(blocks)) == [(0, 1), (1, 1), (2, 1)]
    assert [[p.id for p in b.points] for b in blocks if b.is_latched] == [["p1", "p3"]]


def test_a_group_stays_together_and_is_not_halved() -> None:
    a, b, c = device((0, 1), (60, 1), (61, 1)).points
    grouped = Device("d", 1, (replace(a, group="g"), replace(b, group="g"), c), turnaround_ms=0)
    blocks = plan(grouped, COST)
    assert shape(blocks) == [(0, 62)]
    assert [shape((part,)) for part in halves(blocks[0])] == [[(0, 61)], [(61, 1)]]
    assert halves(halves(blocks[0])[0]) == (halves(blocks[0])[0],)


@pytest.mark.parametrize("fields", [{"max_registers": 10}, {"holes": (("holding", 30, 30),)}, {"gaps": False}])
def test_a_group_that_fits_in_no_request_is_a_problem(fields: dict) -> None:
    a, b = device((0, 1), (60, 1)).points
    with pytest.raises(ProblemError) as caught:
        plan(Device("d", 1, (replace(a, group="g"), replace(b, group="g")), **fields), COST)
    assert caught.value.problems[0].code == "BUS110"


def test_bits_are_planned_by_bytes() -> None:
    points = tuple(Point(i, "d", f"p{i}", "coil", at, "bool") for i, at in enumerate((0, 90, 1990, 2001)))
    assert shape(plan(Device("d", 1, points), COST)) == [(0, 91), (1990, 12)]


def test_cost_of_lines() -> None:
    slow = cost_of(Bus("b", Serial("x", 9600, "E"), "rtu", ()))
    assert slow.byte_us == pytest.approx(1e6 * 11 / 9600)
    assert slow.silence_us == pytest.approx(3.5 * slow.byte_us)
    assert cost_of(Bus("b", Serial("x", 115200), "rtu", ())).silence_us == 1750.0
    assert cost_of(Bus("b", Tcp("h"), "tcp", ())).silence_us == 0.0


@pytest.mark.parametrize(
    ("bus", "expected_us"),
    [  # silence, request, turn-around of 20 ms, reply of 10 registers, lag
        (Bus("b", Serial("/dev/ttyS0", 9600), "rtu", ()), (3.5 + 8 + 5 + 20) * 1e4 / 9.6 + 20_000),
        (Bus("b", Serial("/dev/ttyUSB0", 9600, "E"), "rtu", ()), (3.5 + 8 + 5 + 20) * 1.1e4 / 9.6 + 20_000 + 1000),
        (Bus("b", Serial("/dev/ttyS0", 115_200), "rtu", ()), 1750 + 33 * 1e4 / 115.2 + 20_000),
        (Bus("b", Serial("/dev/ttyS0", 9600, "E", 1, 7), "ascii", ()), (17 + 11 + 40) * 1e4 / 9.6 + 20_000),
        (Bus("b", Tcp("h"), "tcp", ()), 21 + 20 + 20_000 + 2000),
        (Bus("b", Tcp("h"), "rtu-over-tcp", ()), 13 + 20 + 20_000 + 2000),
    ],
)
def test_what_a_request_costs(bus: Bus, expected_us: float) -> None:
    one = Device("d", 1, (), turnaround_ms=20)
    assert cost_of(bus).of_device(one).of("holding", 10) == pytest.approx(expected_us)
    measured = cost_of(bus).of_device(one, measured_ms=41.5).of("holding", 10)
    assert measured == pytest.approx(expected_us - cost_of(bus).lag_us + 21_500)
    slow = cost_of(bus).of_device(replace(one, pause_ms=100)).of("holding", 10)
    assert slow == pytest.approx(expected_us - cost_of(bus).silence_us + 100_000)
    assert cost_of(bus, lag_us=16_000).of_device(one).of("holding", 10) == pytest.approx(expected_us - cost_of(bus).lag_us + 16_000)


def test_bits_cost_a_byte_for_eight() -> None:
    cost = COST.of_device(Device("d", 1, ()))
    assert cost.of("coil", 8) == cost.of("coil", 1)
    assert cost.of("coil", 9) - cost.of("coil", 8) == pytest.approx(1000.0)


def test_a_thousand_points_are_planned() -> None:
    blocks = plan(device(*((3 * i, 2) for i in range(1000))), COST)
    assert sum(len(block.points) for block in blocks) == 1000
    assert all(block.count <= 125 for block in blocks)
