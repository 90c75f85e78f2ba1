"""A set of sequences equals a plain set, whatever comes in which order."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from collector.intake.sequences import Sequences, parse_ranges

SPANS = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 9)), max_size=30)


@given(SPANS)
def test_it_is_the_set_of_what_was_taken_in(spans: list[tuple[int, int]]) -> None:
    made, expected = Sequences(), set[int]()
    for first, more in spans:
        made.add(first, first + more)
        expected.update(range(first, first + more + 1))
    assert {seq for seq in range(80) if seq in made} == expected
    ranges = made.ranges()
    assert all(last + 1 < first for (_, last), (first, _) in pairwise(ranges))
    assert parse_ranges(made.text()) == tuple(ranges)


def test_one_at_a_time() -> None:
    made = Sequences()
    for seq in (5, 1, 2, 4, 9):
        made.add(seq)
    assert made.text() == "1-2 4-5 9-9"
