"""A lane's sequences: order, holes, what is declared lost, and what comes after it was passed over."""

from __future__ import annotations

import random

from collector.domain.interpreted import Interpreted
from collector.rules.lane import MAX_HELD, MAX_PASSED, PATIENCE_MS, Lane
from tests.support.warnings import Feed, series


def batches(count: int) -> dict[int, Interpreted]:
    feed = Feed()
    return {seq: feed.data(series(), {float(seq): 1.0}, float(seq)) for seq in range(1, count + 1)}


def seqs(ready: list[Interpreted]) -> list[int]:
    return [message.seq for message in ready]


def test_what_stands_behind_a_hole_waits_for_it() -> None:
    lane, made = Lane(), batches(4)
    assert [seqs(lane.take(made[seq], 0)) for seq in (1, 3, 4, 3, 2, 2, 4)] == [[1], [], [], [], [2, 3, 4], [], []]


def test_a_hole_that_is_too_old_is_passed_over_and_what_fills_it_goes_on_once() -> None:
    lane, made = Lane(), batches(5)
    assert [seqs(lane.take(made[seq], 0)) for seq in (1, 5)] == [[1], []]
    assert lane.give_up(PATIENCE_MS) == []
    assert seqs(lane.give_up(PATIENCE_MS + 1)) == [5]
    assert [seqs(lane.take(made[seq], PATIENCE_MS + 2)) for seq in (3, 3, 2, 4, 4, 2, 1, 5)] == [[3], [], [2], [4], [], [], [], []]
    assert lane.passed == []


def test_an_absence_of_the_collector_is_added_to_the_patience_with_the_hole_that_was_open_then() -> None:
    lane, made = Lane(), batches(6)
    lane.take(made[2], 0)
    lane.grace_ms = 1000
    assert lane.give_up(PATIENCE_MS + 1000) == []
    assert seqs(lane.take(made[1], PATIENCE_MS + 1000)) == [1, 2]
    lane.take(made[4], PATIENCE_MS + 2000)
    assert seqs(lane.give_up(2 * PATIENCE_MS + 2001)) == [4]


def test_what_is_declared_lost_holds_nothing_back_and_what_of_it_is_here_goes_on() -> None:
    lane, made = Lane(), batches(7)
    for seq in (1, 3, 6, 7):
        lane.take(made[seq], 0)
    assert seqs(lane.lose(2, 5, 0)) == [3, 6, 7]
    assert lane.held == {}
    assert [seqs(lane.take(made[seq], 0)) for seq in (4, 2, 3)] == [[4], [2], []], "it came after all"


def test_what_is_declared_lost_behind_a_hole_waits_with_the_others() -> None:
    lane, made = Lane(), batches(6)
    for seq in (1, 6):
        lane.take(made[seq], 0)
    assert lane.lose(4, 5, 0) == []
    assert [seqs(lane.take(made[seq], 1)) for seq in (2, 3)] == [[2], [3]]


def test_of_very_many_the_first_hole_is_passed_over() -> None:
    lane, made = Lane(), batches(MAX_HELD + 2)
    for seq in range(2, MAX_HELD + 2):
        assert lane.take(made[seq], 0) == []
    assert seqs(lane.take(made[MAX_HELD + 2], 0)) == list(range(2, MAX_HELD + 3))
    assert seqs(lane.take(made[1], 0)) == [1]


def test_ranges_passed_over_are_bounded_and_none_of_them_is_forgotten() -> None:
    lane, made = Lane(), batches(6 * MAX_PASSED)
    for number, seq in enumerate(range(3, 6 * MAX_PASSED, 3)):  # every third comes, each after its hole was given up
        now_ms = number * (PATIENCE_MS + 1)
        lane.take(made[seq], now_ms)
        assert seqs(lane.give_up(now_ms + PATIENCE_MS + 1)) == [seq]
    assert len(lane.passed) == MAX_PASSED
    assert seqs(lane.take(made[1], 0)) == [1]
    assert seqs(lane.take(made[6 * MAX_PASSED - 5], 0)) == [6 * MAX_PASSED - 5]


def test_every_order_of_arrival_gives_each_once() -> None:
    made = batches(60)
    for seed in range(50):
        chance = random.Random(seed)
        order = [*made, *chance.sample(list(made), 20)]
        chance.shuffle(order)
        lane, given, now_ms = Lane(), list[int](), 0
        for seq in order:
            now_ms += chance.choice((0, 1000, PATIENCE_MS))
            given += seqs(lane.give_up(now_ms)) + seqs(lane.take(made[seq], now_ms))
            if chance.random() < 0.1:
                first = chance.randint(1, 60)
                given += seqs(lane.lose(first, min(60, first + 5), now_ms))
        given += seqs(lane.give_up(now_ms + PATIENCE_MS + 1))
        assert sorted(given) == sorted(made), f"seed {seed}"
