"""The account of chaos finds exactly what is planted: a loss, a double, a wrong stamp, a value that nobody gave."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.account import Case, Logged, Receipted, judge
from tests.chaos.instrument import POINTS, Given
from tests.chaos.part import Life

BEGAN_MS, STEP_MS, ANSWERS = 1_000_000, 250, 40
KILLED_MS = BEGAN_MS + 20 * STEP_MS
LIVES = [Life(BEGAN_MS, KILLED_MS, is_killed=True), Life(KILLED_MS + 1, BEGAN_MS + 60 * STEP_MS)]
JOURNAL = [
    Given(n, 1, 0, 2, BEGAN_MS if n < 20 else KILLED_MS + 1, BEGAN_MS + n * STEP_MS + 1, BEGAN_MS + n * STEP_MS + 2)
    for n in range(ANSWERS)
]
YOUNG = range(16, 20)
"""Given within window and allowance before the kill."""


def rows() -> dict[tuple[int, int], list[tuple[int, int]]]:
    """Everything stored as it was given."""
    return {(1, point): [(one.given_ms + 3, one.number * POINTS + point) for one in JOURNAL] for point in range(2)}


def case(stored: dict[tuple[int, int], list[tuple[int, int]]]) -> Case:
    logged = {
        (*series, value): Logged(("1-ab", "n", 1), 0, "ntp", at_ms) for series, found in stored.items() for at_ms, value in found
    }
    return Case(JOURNAL, LIVES, 1000, {KILLED_MS: 100}, stored, logged)


def test_everything_there() -> None:
    verdict = judge(case(rows()))
    assert (verdict.served, verdict.past_window, verdict.stored) == (80, 80 - 2 * len(YOUNG), 80)
    assert [verdict.lost, verdict.doubled, verdict.wrong, verdict.thrown_away] == [[], [], [], []]


@given(st.sets(st.tuples(st.integers(0, 1), st.integers(0, ANSWERS - 1)), min_size=1, max_size=10))
def test_what_is_left_out_is_lost_unless_it_was_young(out: set[tuple[int, int]]) -> None:
    stored = {series: [row for n, row in enumerate(found) if (series[1], n) not in out] for series, found in rows().items()}
    verdict = judge(case(stored))
    assert {(one.point, one.value // POINTS) for one in verdict.lost} == {(point, n) for point, n in out if n not in YOUNG}
    assert [verdict.doubled, verdict.wrong] == [[], []]


def test_a_value_that_is_there_twice() -> None:
    stored = rows()
    at_ms, value = stored[1, 1][7]
    stored[1, 1].append((at_ms + 1, value))
    assert [one.value for one in judge(case(stored)).doubled] == [value]


def test_a_stamp_outside_of_its_exchange_and_a_value_that_nobody_gave() -> None:
    stored = rows()
    at_ms, value = stored[1, 0][9]
    stored[1, 0][9] = (at_ms + 400, value)
    stored[1, 1].append((at_ms + 1, 999 * POINTS))
    wrong = judge(case(stored)).wrong
    assert [(one.point, one.value) for one in wrong] == [(0, value), (1, 999 * POINTS)]


def test_a_stamp_may_be_off_by_what_its_message_tells_and_no_more() -> None:
    stored = rows()
    at_ms, value = stored[1, 0][9]
    stored[1, 0][9] = (at_ms + 400, value)
    told = Logged(("1-ab", "n", 4), 300, "collector", at_ms + 400)
    assert not judge(replace(case(stored), logged={(1, 0, value): told})).wrong
    elsewhere = replace(told, stamp_ms=at_ms)
    assert judge(replace(case(stored), logged={(1, 0, value): elsewhere})).wrong, "log and store differ"


def test_what_a_thrown_away_log_had_receipted_is_named_apart() -> None:
    stored = rows()
    _, value = stored[1, 0].pop(3)
    batch = ("1-ab", "n", 4)
    verdict = judge(replace(case(stored), thrown_away={(1, 0, value): batch}))
    assert (len(verdict.thrown_away), verdict.batches_thrown_away, verdict.lost) == (1, {batch}, [])


def test_a_full_disk_excuses_what_came_after_it_and_nothing_before() -> None:
    full_ms = BEGAN_MS + 10 * STEP_MS
    lives = [replace(LIVES[0], floor_ms=full_ms), LIVES[1]]
    stored = {series: [row for n, row in enumerate(found) if n not in (4, 8, 15)] for series, found in rows().items()}
    verdict = judge(replace(case(stored), lives=lives))
    assert {one.value // POINTS for one in verdict.lost} == {4}


def test_an_answer_on_a_connection_of_the_dead_agent_is_the_dead_agents() -> None:
    late = [*JOURNAL[:20], replace(JOURNAL[20], opened_ms=BEGAN_MS), *JOURNAL[21:]]
    stored = {series: [row for n, row in enumerate(found) if n != 20] for series, found in rows().items()}
    assert not judge(replace(case(stored), journal=late)).lost


def test_receipts_cover_what_they_say() -> None:
    told = Receipted()
    told.note("1-ab", "n", 4, [(7, 8)])
    told.note("1-ab", "n", 3, [])
    assert [seq for seq in range(1, 11) if told.covers(("1-ab", "n", seq))] == [1, 2, 3, 4, 7, 8]
    assert not told.covers(("1-ab", "u", 1))
