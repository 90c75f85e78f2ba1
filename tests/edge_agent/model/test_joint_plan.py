"""The plan over all periods: never dearer than the separate ones, every point at its period, nothing touched that must not be."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edge_agent.common.problem import ProblemError
from edge_agent.model import joint_plan as plans
from edge_agent.model.blocks import Block, tables_of
from edge_agent.model.joint_plan import joint_plan, load_of, separate_plan
from edge_agent.model.line_cost import Cost
from edge_agent.model.points import Device, Point, RawType, Table
from edge_agent.model.poll import Poll, rides_of
from edge_agent.model.request_rules import reach_of

COST = Cost(byte_us=1000.0, silence_us=3500.0)
TYPES: dict[int, RawType] = {1: "u16", 2: "u32", 4: "u64"}


def point(number: int, address: int, period_ms: int, span: int = 1, **fields: object) -> Point:
    made = Point(number, "d", f"p{number}", "holding", address, TYPES[span], period_ms=period_ms)
    return replace(made, **fields)


@st.composite
def devices(draw: st.DrawFn) -> Device:
    table: Table = draw(st.sampled_from(("holding", "holding", "coil")))
    points = []
    for number in range(draw(st.integers(1, 12))):
        span = 1 if table == "coil" else draw(st.sampled_from((1, 2, 4)))
        kind: RawType = "bool" if table == "coil" else TYPES[span]
        points.append(
            Point(
                number,
                "d",
                f"p{number}",
                table,
                draw(st.integers(0, 60)),
                kind,
                period_ms=draw(st.sampled_from((500, 1000, 1900, 5000, 10_000, 60_000))),
                group=draw(st.sampled_from(("", "", "", "", "g", "h"))),
                latched=draw(st.sampled_from((False, False, False, False, True))),
            )
        )
    own = {p.address + i for p in points for i in range(p.span)}
    holes = tuple((table, at, at) for at in draw(st.lists(st.integers(0, 64), max_size=3)) if at not in own)
    return Device(
        "d",
        1,
        tuple(points),
        turnaround_ms=draw(st.integers(0, 60)),
        max_registers=draw(st.integers(8, 125)),
        max_bits=draw(st.integers(8, 64)),
        holes=holes,
        gaps=draw(st.booleans()),
    )


def planned(device: Device) -> tuple[Poll, ...]:
    try:
        return joint_plan(device, COST)
    except ProblemError:
        assume(False)
        raise


def cycle(poll: Poll) -> list[Block]:
    """The blocks of the turns of a poll until they repeat."""
    turns = math.lcm(*(ride.every for ride in poll.rides))
    return [poll.read(turn, turn - 1) for turn in range(turns)]


@settings(max_examples=200, deadline=None)
@given(devices())
def test_never_dearer_than_the_separate_plans(device: Device) -> None:
    cost = COST.of_device(device)
    assert load_of(planned(device), cost) <= load_of(separate_plan(device, COST), cost) * (1 + 1e-9)


@settings(max_examples=200, deadline=None)
@given(devices())
def test_the_load_is_that_of_its_turns(device: Device) -> None:
    cost = COST.of_device(device)
    for poll in planned(device):
        blocks = cycle(poll)
        mean_us = sum(cost.of(block.table, block.count) for block in blocks) / len(blocks)
        assert poll.load(cost) == pytest.approx(mean_us / (1000 * poll.period_ms))


@settings(max_examples=200, deadline=None)
@given(devices(), st.lists(st.integers(1, 9), min_size=30, max_size=30))
def test_every_point_is_read_at_its_period_even_where_turns_are_missed(device: Device, steps: list[int]) -> None:
    seen: set[int] = set()
    for poll in planned(device):
        last = {p.series: 0 for p in poll.whole.points}
        assert seen.isdisjoint(last)
        seen |= set(last)
        turn, served = 0, 0
        for step in steps:
            turn += step
            for read in poll.read(turn, served).points:
                last[read.series] = turn
            served = turn
            for p in poll.whole.points:
                late = step - 1  # turns that were missed may make it so much later
                assert (turn - last[p.series] - late) * poll.period_ms < max(p.period_ms, poll.period_ms)
    assert seen == {p.series for p in device.points}


@settings(max_examples=200, deadline=None)
@given(devices())
def test_no_turn_reads_what_it_must_not(device: Device) -> None:
    latched = {p.address + i for p in device.points if p.latched for i in range(p.span)}
    own = {p.address + i for p in device.points for i in range(p.span)}
    for poll in planned(device):
        for block in cycle(poll):
            touched = set(range(block.address, block.end))
            most = device.max_bits if block.table == "coil" else device.max_registers
            assert block.count <= most
            assert not any(first <= at <= last for _, first, last in device.holes for at in touched)
            assert device.gaps or touched <= own
            foreign = latched - {p.address + i for p in block.points if p.latched for i in range(p.span)}
            assert not foreign & touched
            groups = {p.group for p in block.points if p.group}
            assert {p.id for p in device.points if p.group in groups} <= {p.id for p in block.points}
            assert all(block.address <= p.address and p.address + p.span <= block.end for p in block.points)


def runs(atoms: list[Block]) -> Iterator[list[list[Block]]]:
    """Every way to cut atoms, by address, into runs."""
    for cuts in range(1 << (len(atoms) - 1)):
        found = [[atoms[0]]]
        for place, atom in enumerate(atoms[1:]):
            if cuts >> place & 1:
                found.append([])
            found[-1].append(atom)
        yield found


def as_poll(run: list[Block]) -> Poll:
    """A request for a run: its slower atoms in every so-manieth turn, each a multiple of the next faster ones, never too late."""
    base_ms, every, nested = min(atom.period_ms for atom in run), 1, {}
    for period_ms in sorted({atom.period_ms for atom in run}):
        every = nested[period_ms] = every * max(1, period_ms // (base_ms * every))
    return Poll(base_ms, rides_of([(nested[atom.period_ms], atom) for atom in run]))


@settings(max_examples=150, deadline=None)
@given(devices())
def test_no_other_cut_into_runs_is_cheaper(device: Device) -> None:
    """Brute force over every cut of the points by address, each run priced by its turns."""
    polls, cost = planned(device), COST.of_device(device)
    plain = [atom for atoms in tables_of(device).values() for atom in atoms if not atom.is_latched]
    assume(0 < len(plain) <= 9)
    latched = [atom for atoms in tables_of(device).values() for atom in atoms if atom.is_latched]
    reach = reach_of(device, plain[0].table, latched)
    cuts = ([as_poll(run) for run in cut] for cut in runs(plain))
    least = min(load_of(cut, cost) for cut in cuts if all(reach.allows(poll.whole) for poll in cut))
    assert load_of([poll for poll in polls if not poll.whole.is_latched], cost) <= least * (1 + 1e-9)


def test_hundreds_of_bits_are_planned_nearly_as_well_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """From 250 points on bits are cut every 16 only; what that costs is next to nothing."""
    lot, at, points = random.Random(3), 0, []
    for number in range(400):
        at += 1 + lot.choice((0, 0, 0, 3, 30, 200))
        points.append(Point(number, "d", f"p{number}", "coil", at, "bool", period_ms=lot.choice((1000, 5000, 60_000))))
    device, fast = Device("d", 1, tuple(points)), Cost(byte_us=87.0, silence_us=1750.0)
    cost, quick = fast.of_device(device), joint_plan(device, fast)
    monkeypatch.setattr(plans, "_MANY", 1000)
    exact = joint_plan(device, fast)
    assert load_of(exact, cost) <= load_of(quick, cost) <= 1.02 * load_of(exact, cost)
    assert sum(len(poll.whole.points) for poll in quick) == 400
    assert all(poll.whole.count <= 2000 for poll in quick)


def shape(poll: Poll) -> list[tuple[int, int, int]]:
    return [(every, span.address, span.count) for every, span in poll.spans()]


def test_a_slow_point_rides_along_in_every_tenth_turn() -> None:
    device = Device("d", 1, (point(0, 0, 1000, 2), point(1, 2, 10_000, 4), point(2, 9, 10_500, 1)))
    (poll,) = joint_plan(device, COST)
    assert (poll.period_ms, shape(poll)) == (1000, [(1, 0, 2), (10, 0, 10)])
    assert [len(poll.read(turn, turn - 1).points) for turn in (0, 1, 9, 10)] == [3, 1, 1, 3]


def test_a_slow_point_between_fast_ones_costs_nothing_and_is_given_at_its_period() -> None:
    device = Device("d", 1, (point(0, 0, 1000), point(1, 3, 7000), point(2, 5, 1000)))
    (poll,) = joint_plan(device, COST)
    assert shape(poll) == [(1, 0, 6)]
    assert [[p.id for p in poll.read(turn, turn - 1).points] for turn in (1, 7)] == [["p0", "p2"], ["p0", "p1", "p2"]]


def test_a_slow_point_far_away_has_a_request_of_its_own() -> None:
    device = Device("d", 1, (point(0, 0, 1000), point(1, 60, 10_000)))
    assert [(poll.period_ms, shape(poll)) for poll in joint_plan(device, COST)] == [
        (1000, [(1, 0, 1)]),
        (10_000, [(1, 60, 1)]),
    ]


def test_a_thousand_points_are_planned_at_once() -> None:
    """The benchmark demands 0.2 s; slow machines have five times that here."""
    periods = (1000, 5000, 60_000)
    device = Device("d", 1, tuple(point(i, i + i // 7, periods[i * i % 11 % 3]) for i in range(1000)))
    begin_s = time.process_time()
    polls = joint_plan(device, COST)
    assert time.process_time() - begin_s < 1.0
    assert sum(len(poll.whole.points) for poll in polls) == 1000
