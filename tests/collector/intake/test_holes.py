"""The book of a lane: what is not here, and why, as it comes to be known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from collector.intake import holes
from collector.intake.holes import MISSING, NOT_HERE, Hole, LaneBook
from edge_agent.contract import encoding
from edge_agent.contract.message import Gap

EPOCH = "1-00000000000000aa"
T0 = 1_750_000_000_000
GAP = Gap(EPOCH, "n", 3, 5, 30, "overflow", T0 - 50, T0 - 40)


def after(*told: tuple[int, int]) -> LaneBook:
    """The book after messages (sequence, lowest held), a second apart by sequence."""
    book = LaneBook()
    for seq, low in told:
        book, _ = holes.heard(book, seq, low, T0 + seq * 1000, T0)
    return book


def shape(book: LaneBook) -> list[tuple[int, int, str, int | None]]:
    return [(hole.first, hole.last, hole.why, hole.readings) for hole in book.holes]


def test_what_lies_below_a_first_contact_was_settled_with_another_log() -> None:
    assert shape(after((10, 8))) == [(1, 7, NOT_HERE, None), (8, 9, MISSING, None)]


def test_a_hole_has_the_time_of_its_neighbours_whatever_the_order() -> None:
    assert after((1, 1), (5, 1)).holes == (Hole(2, 4, MISSING, None, T0 + 1000, T0 + 5000),)
    newest_first = after((5, 1), (4, 1), (1, 1))
    assert newest_first.holes == (Hole(2, 3, MISSING, None, T0 + 1000, T0 + 4000),)


def test_a_gap_record_says_why_and_how_many() -> None:
    book = holes.told(after((1, 1), (6, 6)), GAP, T0)
    assert shape(book) == [(2, 2, NOT_HERE, None), (3, 5, "overflow", 30)]
    assert (book.holes[1].from_ms, book.holes[1].to_ms) == (T0 - 50, T0 - 40)
    assert holes.told(book, GAP, T0) == book


def test_what_came_all_the_same_is_not_lost() -> None:
    book = holes.told(after((1, 1), (2, 1), (4, 1), (6, 1)), GAP, T0)
    assert shape(book) == [(3, 3, "overflow", 10), (5, 5, "overflow", 10)]
    late, is_new = holes.heard(book, 5, 1, T0, T0)
    assert (is_new, shape(late)) == (True, [(3, 3, "overflow", 10)])


def test_a_gap_record_beyond_what_was_heard_makes_its_sequences_known() -> None:
    book = holes.told(after((1, 1)), replace_gap(a=4, z=9, readings=6), T0)
    assert (book.top, shape(book)) == (9, [(2, 3, MISSING, None), (4, 9, "overflow", 6)])


@pytest.mark.parametrize(
    "changes",
    [
        {"e": "nonsense"},
        {"a": 0},
        {"a": 6},
        {"z": encoding.MAX_SEQUENCE + 1},
        {"readings": -1},
        {"readings": holes.MAX_TOLD + 1},
        {"t_from": 0},
        {"t_to": encoding.MAX_TIME_MS + 1},
    ],
)
def test_gap_records_that_nobody_can_mean_are_not_believed(changes: dict[str, object]) -> None:
    assert holes.believable(GAP)
    assert not holes.believable(replace_gap(**changes))


def test_a_reason_that_is_no_word_is_other() -> None:
    assert shape(holes.told(after((6, 1)), replace_gap(why="<b>\n"), T0))[1] == (3, 5, "other", 30)


def test_an_outage_dropped_one_by_one_is_one_hole() -> None:
    book = after((1, 1))
    for seq in range(2, 2000):
        book = holes.told(book, Gap(EPOCH, "n", seq, seq, 10, "overflow", T0 + seq * 1000, T0 + seq * 1000), T0)
    assert shape(book) == [(2, 1999, "overflow", 19_980)]


def test_a_lane_whose_past_was_not_kept_begins_with_what_is_missing() -> None:
    assert shape(holes.seeded(10, ((13, 14), (20, 20)), T0)) == [(11, 12, MISSING, None), (15, 19, MISSING, None)]
    assert replace(holes.seeded(10, (), T0)).absent == 0


def replace_gap(**changes: object) -> Gap:
    fields = {name: getattr(GAP, name) for name in GAP.__struct_fields__}
    return Gap(**(fields | changes))
