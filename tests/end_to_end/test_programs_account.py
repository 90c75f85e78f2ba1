"""The account that the end-to-end tests rest on: it finds exactly what is missing, and nothing foreign passes it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.programs_account import APART_MS, Timed, missing, settle

given_values = st.lists(st.tuples(st.integers(900, 3000), st.integers(0, 3)), min_size=1, max_size=30)


def journal(steps: list[tuple[int, int]]) -> list[Timed]:
    """Values at instants a period or more apart; few different values, so that they repeat."""
    at_ms, rows = 0, []
    for step, value in steps:
        at_ms += step
        rows.append((at_ms, value))
    return rows


@given(given_values, st.data())
def test_what_is_left_out_is_what_is_missing(steps: list[tuple[int, int]], data: st.DataObject) -> None:
    rows = journal(steps)
    kept = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    late = data.draw(st.integers(1 - APART_MS, APART_MS - 1))
    arrived = [(at_ms + late, value) for (at_ms, value), keep in zip(rows, kept, strict=True) if keep]
    assert missing(arrived, rows) == [at_ms for (at_ms, _), keep in zip(rows, kept, strict=True) if not keep]


@given(given_values, st.data())
def test_what_was_not_given_or_comes_twice_is_refused(steps: list[tuple[int, int]], data: st.DataObject) -> None:
    rows = journal(steps)
    place = data.draw(st.integers(0, len(rows) - 1))
    at_ms, value = rows[place]
    wrong = data.draw(st.sampled_from(["another value", "twice", "at another time"]))
    if wrong == "another value":
        arrived = [*rows[:place], (at_ms, value + 1), *rows[place + 1 :]]
    elif wrong == "twice":
        arrived = [*rows[: place + 1], (at_ms + 1, value), *rows[place + 1 :]]
    else:
        arrived = [*rows, (rows[-1][0] + 2 * APART_MS, value)]
    with pytest.raises(ValueError, match="was not given"):
        missing(arrived, rows)


def test_a_site_is_settled() -> None:
    given_rows: dict[tuple[str, str], list[Timed]] = {("level", "level"): [(1000, 2), (2000, 3)], ("drive", "current"): [(2010, 7)]}
    total = settle({("level", "level"): [(2100, 3), (1500, None)]}, given_rows)
    assert (total.served, total.arrived, total.without_value) == (3, 1, 1)
    assert total.instants() == [1000, 2010]
    quiet = settle({("level", "level"): [(2100, 3), (1500, None)]}, given_rows, frozenset({("drive", "current")}))
    assert (quiet.instants(), quiet.unchanged) == ([1000], 1)
    with pytest.raises(AssertionError, match="twice"):
        settle({("level", "level"): [(1000, 2), (1000, 2)]}, given_rows)
