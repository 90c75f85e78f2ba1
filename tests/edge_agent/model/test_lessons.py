"""What a device taught: holes, borders, points that are not there, and a device as it was learned to be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_agent.model.joint_plan import joint_plan
from edge_agent.model.lessons import MOST_HOLES, Hole, Lessons, Refusal, as_learned, cut_between
from edge_agent.model.line_cost import Cost
from edge_agent.model.points import Device, Point
from tests.edge_agent.model.test_plan import device

COST = Cost(byte_us=1000.0, silence_us=3500.0)


def shape(made: Device) -> list[tuple[int, int]]:
    return [(poll.whole.address, poll.whole.count) for poll in joint_plan(made, COST)]


def refusal(point: Point, code: int = 2) -> Refusal:
    return Refusal(point.id, point.table, point.address, code)


def test_a_hole_is_planned_around_and_a_border_is_not_crossed() -> None:
    one = device((0, 2), (4, 2), (6, 2), turnaround_ms=50)
    assert shape(one) == [(0, 8)]
    for holes, expected in (
        ((Hole("holding", 2, 4),), [(0, 2), (4, 4)]),
        ((Hole("holding", 6, 6),), [(0, 6), (6, 2)]),
        ((Hole("holding", 6, 6), Hole("holding", 2, 4)), [(0, 2), (4, 2), (6, 2)]),
        ((Hole("input", 6, 6),), [(0, 8)]),
    ):
        known, refused = as_learned(one, Lessons(holes=holes))
        assert (shape(known), refused) == (expected, ())


def test_a_border_is_not_crossed_among_hundreds_of_points_either() -> None:
    one = replace(device(*((i, 1) for i in range(400))), max_registers=100)
    border = Hole("holding", 203, 203)
    known, _ = as_learned(one, Lessons(holes=(border,)))
    mixed = tuple(replace(point, period_ms=60_000 if point.address % 90 == 0 else 1000) for point in known.points)
    assert not any(start < 203 < start + count for start, count in shape(replace(known, points=mixed)))


def test_a_point_that_is_not_there_is_in_no_request() -> None:
    one = device((0, 2), (2, 2), (4, 2), turnaround_ms=50)
    known, refused = as_learned(one, Lessons(refusals=(refusal(one.points[1], 3),)))
    assert shape(known) == [(0, 2), (4, 2)]
    assert [([point.id for point in atom.points], code) for atom, code in refused] == [(["p1"], 3)]


def test_a_group_is_not_there_only_as_a_whole() -> None:
    one = device((0, 1), (1, 1), (2, 1))
    grouped = replace(one, points=tuple(replace(point, group="g") for point in one.points))
    some, every = (Lessons(refusals=tuple(refusal(point) for point in grouped.points[:count])) for count in (2, 3))
    assert as_learned(grouped, some) == (grouped, ())
    known, refused = as_learned(grouped, every)
    assert (known.points, len(refused)) == ((), 1)


def test_what_the_profile_says_otherwise_now_is_left_out() -> None:
    """Points moved since: a hole amid a point, or a refusal of another address, would make the plan impossible or leave it out."""
    one = device((0, 4), (6, 2), turnaround_ms=50)
    stale = Lessons(
        holes=(Hole("holding", 2, 2), Hole("holding", 1, 3), Hole("holding", 7, 9)),
        refusals=(Refusal("p1", "holding", 60, 2), Refusal("gone", "holding", 0, 2)),
    )
    assert as_learned(one, stale) == (one, ())


def test_lessons_come_and_go() -> None:
    one, two = device((0, 1), (1, 1)).points
    lessons = Lessons().with_refused((one,), 2).with_refused((two,), 3).with_refused((one,), 1)
    assert lessons.refusals == (refusal(two, 3), refusal(one, 1))
    assert lessons.with_accepted((one,)).refusals == (refusal(two, 3),)
    holes = [Hole("holding", i, i) for i in range(MOST_HOLES + 1)]
    for hole in (*holes, holes[5]):
        lessons = lessons.with_hole(hole)
    assert len(lessons.holes) == MOST_HOLES
    assert (lessons.holes[0], lessons.holes[-1]) == (holes[1], holes[5])
    assert lessons.without_oldest_hole().holes[0] == holes[2]


@pytest.mark.parametrize(
    ("hole", "words"),
    [
        (Hole("holding", 5, 8), "holding 5-7"),
        (Hole("input", 5, 6), "input 5"),
        (Hole("coil", 5, 5), "coil 4|5"),
    ],
)
def test_holes_in_words(hole: Hole, words: str) -> None:
    assert hole.words == words


def test_a_cut_teaches_something_only_if_both_parts_work() -> None:
    first, second = (poll.whole for poll in joint_plan(device((0, 2), (100, 2)), COST))
    cut = cut_between(first, second)
    assert (cut.worked(), cut.worked()) == (None, Hole("holding", 2, 100))
    cut = cut_between(second, first)
    assert (cut.worked(), cut.worked()) == (None, None)
