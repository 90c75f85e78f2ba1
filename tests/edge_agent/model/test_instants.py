"""Instants of a series rise; what was taken together stays together; nobody is moved without need, or further than needed."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.model.instants import Instants
from edge_agent.model.reading import Reading

TURNS = st.lists(st.tuples(st.integers(0, 3), st.sets(st.integers(0, 4), min_size=1)), max_size=30)
"""ms since the turn before, and the series that it reads."""


def told(turns: Sequence[tuple[int, set[int]]]) -> list[tuple[int, Sequence[Reading]]]:
    """The true instant of each turn, and its readings as they are told."""
    instants, now_ms, found = Instants(), 1000, []
    for pause_ms, series in turns:
        now_ms += pause_ms
        found.append((now_ms, instants.apart([Reading(each, now_ms, 1) for each in sorted(series)])))
    return found


@given(TURNS)
def test_no_two_readings_of_a_series_share_an_instant(turns: list[tuple[int, set[int]]]) -> None:
    last_ms: dict[int, int] = {}
    for true_ms, readings in told(turns):
        at_ms = {reading.taken_ms for reading in readings}
        assert len(at_ms) == 1, "one turn, one instant"
        assert min(at_ms) == max([true_ms, *(last_ms.get(reading.series, 0) + 1 for reading in readings)])
        last_ms |= {reading.series: reading.taken_ms for reading in readings}


def test_what_needs_no_move_is_handed_on_as_it_is() -> None:
    instants = Instants()
    first, other = [Reading(1, 5, 1.0), Reading(2, 5, 2.0)], [Reading(3, 5, 3.0)]
    assert instants.apart(first) is first
    assert instants.apart(other) is other
    assert instants.apart([]) == []
    assert instants.apart([Reading(1, 5, 4.0), Reading(2, 5, 5.0)]) == [Reading(1, 6, 4.0), Reading(2, 6, 5.0)]
