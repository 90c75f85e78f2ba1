"""Holes are found by bisection, kept for later runs, tried again rarely, and forgotten with the firmware."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from edge_agent.model.blocks import Block, atoms_of
from edge_agent.model.lessons import Hole, Lessons, Refusal
from edge_agent.model.points import Bus
from tests.edge_agent.model.test_polling_plan import Outcome, Run, bus, point

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def without(*missing: int, most: int = 125, border: int = -1) -> Outcome:
    """A device that refuses these registers, more registers at once, and what crosses a border."""

    def answer(block: Block) -> int:
        if block.count > most or any(block.address <= at < block.end for at in missing) or block.address < border < block.end:
            return 2
        return 0

    return answer


def refusals(run: Run, from_ms: int = 0) -> list[tuple[int, int]]:
    return [(turn.block.address, turn.block.count) for at_ms, turn in run.turns if at_ms >= from_ms and run.outcome(turn.block)]


def asked(run: Run, from_ms: int) -> set[tuple[int, int]]:
    return {(turn.block.address, turn.block.count) for at_ms, turn in run.turns if at_ms >= from_ms}


def lessons_of(run: Run) -> Lessons:
    run.until(run.now_ms + 61_000)
    return run.polling.lessons.get("d", Lessons())


SIXTEEN = bus(*(point(i, 4 * i, 1000) for i in range(16)), turnaround_ms=60)


def test_a_hole_is_found_by_bisection_and_the_rest_is_read_around_it() -> None:
    run = Run(SIXTEEN, without(41, 42))
    run.until(5000)
    assert run.polling.lessons == {"d": Lessons(holes=(Hole("holding", 41, 44),))}, "at once: the agent may end any time"
    assert [poll.whole.count for _, poll in run.polling.planned.placed] == [41, 17]
    run.until(30_000)
    assert len(refusals(run)) == 2 * 4  # 16, 8, 4 and 2 points, each said twice
    assert asked(run, 5000) == {(0, 41), (44, 17)}
    assert all(len(run.times(series)) >= 29 for series in range(16))
    assert lessons_of(run) == Lessons(holes=(Hole("holding", 41, 44),))


def test_a_point_that_is_not_there_is_found_and_the_rest_is_read_around_it() -> None:
    run = Run(SIXTEEN, without(20))
    run.until(30_000)
    assert len(refusals(run)) == 2 * 5
    assert asked(run, 5000) == {(0, 17), (24, 37)}
    assert run.polling.figures(0)[0].refused == ("p5",)
    assert lessons_of(run) == Lessons(refusals=(Refusal("p5", "holding", 20, 2),))


def test_a_limit_that_no_profile_names_becomes_borders() -> None:
    run = Run(bus(*(point(i, i, 1000) for i in range(90)), turnaround_ms=60), without(most=50))
    run.until(30_000)
    assert asked(run, 5000) == {(0, 45), (45, 45)}
    assert lessons_of(run).holes == (Hole("holding", 45, 45),)


def test_a_later_run_begins_with_what_was_learned() -> None:
    first = Run(SIXTEEN, without(20, 41))
    first.until(30_000)
    later = Run(SIXTEEN, without(20, 41), {"d": lessons_of(first)})
    assert [reading.series for reading in later.polling.first.readings] == [5]
    assert [(each.kind, each.on) for each in later.polling.first.happenings] == [("point.refused", True)]
    later.until(50_000)
    assert refusals(later) in ([], [(20, 1)])
    assert asked(later, 0) - {(20, 1)} == asked(first, 10_000)
    assert later.polling.figures(0)[0].refused == ("p5",)
    later.until(HOUR_MS + 1000)
    assert refusals(later) == [(20, 1)]


def test_a_point_that_came_to_be_there_joins_the_others() -> None:
    first = Run(SIXTEEN, without(20))
    first.until(30_000)
    later = Run(SIXTEEN, without(), {"d": lessons_of(first)})
    later.until(HOUR_MS + 10_000)
    assert asked(later, HOUR_MS + 5000) == {(0, 61)}
    assert lessons_of(later) == Lessons()
    assert later.polling.figures(0)[0].refused == ()


def test_a_hole_is_tried_again_once_a_day_each_in_its_turn() -> None:
    slow = bus(*(point(i, 4 * i, 10_000) for i in range(16)), turnaround_ms=60)
    run = Run(slow, without(10, 42))
    run.until(30_000)
    known = {Hole("holding", 9, 12), Hole("holding", 41, 44)}
    assert set(lessons_of(run).holes) == known
    begun = len(refusals(run))
    order = lessons_of(run).holes
    run.until(DAY_MS)
    tried = len(refusals(run)) - begun
    assert 2 <= tried <= 10
    assert lessons_of(run).holes == order[::-1]
    run.outcome = without()
    run.until(3 * DAY_MS)
    assert lessons_of(run) == Lessons()
    assert asked(run, 3 * DAY_MS - 60_000) == {(0, 61)}


def test_another_firmware_forgets_holes_and_tries_points_at_once() -> None:
    first = Run(SIXTEEN, without(20, 41))
    device = first.polling._devices[0]
    first.until(30_000)
    first.polling.identified(device, "acme 1.0", first.now_ms)
    learned = lessons_of(first)
    assert (learned.firmware, len(learned.holes), len(learned.refusals)) == ("acme 1.0", 1, 1)
    for firmware, expected in (("acme 1.0", learned), ("", learned), ("acme 1.1", Lessons("acme 1.1"))):
        later = Run(SIXTEEN, without(), {"d": learned})
        later.until(500)
        later.polling.identified(later.polling._devices[0], firmware, later.now_ms)
        later.until(5000)
        assert asked(later, 3000) == ({(0, 61)} if firmware == "acme 1.1" else {(0, 17), (24, 17), (44, 17)})
        assert replace(lessons_of(later), holes=tuple(sorted(lessons_of(later).holes, key=str))) == expected


def test_a_device_that_falls_silent_amid_a_bisection_learns_nothing_wrong() -> None:
    run = Run(SIXTEEN, lambda block: without(41)(block) if not 1000 <= run.now_ms < 90_000 else -1)
    run.until(400_000)
    assert lessons_of(run) == Lessons(holes=(Hole("holding", 41, 44),))
    assert asked(run, 300_000) == {(0, 41), (44, 17)}


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Bus, Outcome]:
    addresses = draw(st.lists(st.integers(0, 60), min_size=2, max_size=12, unique=True))
    groups = [draw(st.sampled_from(("", "", "", "g"))) for _ in addresses]
    points = [
        replace(
            point(i, address, draw(st.sampled_from((1000, 1000, 5000))), group=group),
            type=draw(st.sampled_from(("u16", "u16", "u32"))),
        )
        for i, (address, group) in enumerate(zip(addresses, groups, strict=True))
    ]
    missing = draw(st.lists(st.integers(0, 60), max_size=4))
    return (
        bus(*points, turnaround_ms=draw(st.sampled_from((0, 20, 100)))),
        without(*missing, most=draw(st.sampled_from((125, 125, 20))), border=draw(st.sampled_from((-1, -1, 30)))),
    )


@settings(max_examples=60, deadline=None, phases=(Phase.explicit, Phase.generate, Phase.shrink))
@given(worlds(), st.integers(0, 1000))
def test_whatever_a_device_refuses_everything_else_is_read(world: tuple[Bus, Outcome], seed: int) -> None:
    made, outcome = world
    device = made.devices[0]
    run = Run(made, outcome, seed=seed)
    run.until(60_000)
    lessons = lessons_of(run)
    groups = {p.group for p in device.points if p.group}
    together = {p.series: [q for q in device.points if q is p or (p.group and q.group == p.group)] for p in device.points}
    for p in device.points:
        start, end = min(q.address for q in together[p.series]), max(q.address + q.span for q in together[p.series])
        is_there = outcome(Block("holding", start, end - start, tuple(together[p.series]))) == 0
        assert bool(run.times(p.series)) is is_there, p.id
        assert any(each.point == p.id for each in lessons.refusals) is not is_there
        if is_there:
            assert len(run.times(p.series)) >= 60_000 // p.period_ms - 1
    assert len(groups) <= 1
    assert not refusals(run, 50_000), "it is asked in vain again and again"
    later = Run(made, outcome, {"d": lessons}, seed=seed)
    later.until(50_000)
    alone = {(p.address, p.span) for p in device.points}
    if not groups:  # a hole amid a group that works is found anew
        assert set(refusals(later)) <= alone
        assert asked(later, 30_000) - alone == asked(run, 100_000) - alone
    assert set(refusals(later, 30_000)) <= {(atom.address, atom.count) for atom in atoms_of(device.points)}
