"""What every store must do. A test module inherits StoreSuite and says how to open one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from collector.domain.series import AHEAD_MS, Sample
from collector.seams import Store
from edge_agent.contract.message import Value
from tests.support.line import FLOW, STATE, T0, batch

END = T0 + 10_000_000


class StandingClock:
    """The clock of a store under test; it stands at END, after every reading but those of the future."""

    def monotonic_ms(self) -> int:
        return END

    def utc_ms(self) -> int:
        return END


def rows(store: Store, from_ms: int = 0, to_ms: int = END) -> list[tuple[int, Value, int]]:
    return [(s.time_ms - T0, s.value, s.quality) for s in store.range(FLOW.key, from_ms, to_ms)]


class StoreSuite:
    """`reopen()` gives the same store as after a restart. Its clock is a StandingClock."""

    @pytest.fixture
    def reopen(self) -> Callable[[], Store]:
        raise NotImplementedError

    def test_an_empty_store(self, reopen: Callable[[], Store]) -> None:
        store = reopen()
        assert (store.cursor(), list(store.series()), dict(store.latest())) == (0, [], {})
        assert rows(store) == []

    def test_what_is_written_is_there_with_cursor_series_and_latest(self, reopen: Callable[[], Store]) -> None:
        reopen().write([batch(1, [0, 1000, 2000], [1.5, 2.25, 0.1]), batch(2, [500], [True], STATE)], 7)
        store = reopen()
        assert store.cursor() == 7
        assert {info.key: info for info in store.series("shiquan")} == {FLOW.key: FLOW, STATE.key: STATE}
        assert list(store.series("elsewhere")) == []
        assert store.latest("shiquan") == {FLOW.key: Sample(T0 + 2000, 0.1, 0), STATE.key: Sample(T0 + 500, True, 0)}
        assert rows(store) == [(0, 1.5, 0), (1000, 2.25, 0), (2000, 0.1, 0)]

    def test_the_range_is_half_open(self, reopen: Callable[[], Store]) -> None:
        store = reopen()
        store.write([batch(1, [0, 1000, 2000], [1.0, 2.0, 3.0])], 1)
        assert rows(store, T0, T0 + 2000) == [(0, 1.0, 0), (1000, 2.0, 0)]
        assert store.count(FLOW.key, T0 + 1000, END) == 2

    def test_written_again_changes_nothing(self, reopen: Callable[[], Store]) -> None:
        for _ in range(3):
            reopen().write([batch(1, [0, 1000], [1.0, 2.0]), batch(2, [2000], [3.0])], 2)
        assert rows(reopen()) == [(0, 1.0, 0), (1000, 2.0, 0), (2000, 3.0, 0)]

    def test_late_data_is_in_its_place_and_does_not_become_the_latest(self, reopen: Callable[[], Store]) -> None:
        store = reopen()
        store.write([batch(2, [5000], [5.0])], 1)
        store.write([batch(1, [1000, 3000], [1.0, 3.0])], 2)
        assert rows(store) == [(1000, 1.0, 0), (3000, 3.0, 0), (5000, 5.0, 0)]
        assert store.latest()[FLOW.key].value == 5.0

    def test_a_reading_of_the_future_does_not_become_the_latest(self, reopen: Callable[[], Store]) -> None:
        now, ahead = END - T0, END - T0 + AHEAD_MS + 1
        store = reopen()
        store.write([batch(1, [ahead], [9.0]), batch(2, [ahead], [True], STATE)], 1)
        assert dict(store.latest("shiquan")) == {}
        store.write([batch(3, [now - 1000, ahead + 1], [1.0, 8.0]), batch(4, [now], [2.0], replace(FLOW, unit="l/s"))], 2)
        assert store.latest("shiquan") == store.latest() == {FLOW.key: Sample(END, 2.0, 0)}
        assert {info.key: info.unit for info in store.series()}[FLOW.key] == "l/s"
        assert store.count(FLOW.key, END - 1000, END + 2 * AHEAD_MS) == 4, "it is kept all the same"
        store.write([batch(5, [ahead - 1], [3.0])], 3)
        assert store.latest()[FLOW.key].value == 3.0, "a little ahead is no wrong clock"
        store.write([batch(6, [ahead + 2], [7.0])], 4)
        assert store.latest()[FLOW.key].value == 3.0, "and the latest stays"

    def test_one_instant_holds_one_reading(self, reopen: Callable[[], Store]) -> None:
        store = reopen()
        store.write([batch(1, [0], [1.0])], 1)
        store.write([batch(2, [0], [2.0])], 2)
        assert rows(store) == [(0, 2.0, 0)]

    def test_qualities_texts_and_missing_values(self, reopen: Callable[[], Store]) -> None:
        text = replace(FLOW, key=FLOW.key._replace(point="state"), kind="text", unit="", role="")
        store = reopen()
        store.write([batch(1, [0, 1000], [None, 7.5], qualities=[64, 2]), batch(2, [0], ['pump "A", on\\'], text)], 1)
        assert rows(store) == [(0, None, 64), (1000, 7.5, 2)]
        assert [s.value for s in store.range(text.key, 0, END)] == ['pump "A", on\\']

    def test_changed_attributes_are_the_present_ones(self, reopen: Callable[[], Store]) -> None:
        store = reopen()
        store.write([batch(1, [0], [1.0])], 1)
        store.write([batch(2, [1000], [2.0], replace(FLOW, unit="l/s"))], 2)
        assert [info.unit for info in reopen().series()] == ["l/s"]
        assert rows(reopen()) == [(0, 1.0, 0), (1000, 2.0, 0)]

    def test_thinning_keeps_the_extremes(self, reopen: Callable[[], Store]) -> None:
        store = reopen()
        values: list[Value] = [float(i % 7) for i in range(600)]
        values[137], values[411] = 99.0, -99.0
        store.write([batch(1, [1000 * i for i in range(600)], values)], 1)
        thinned = store.range(FLOW.key, T0, T0 + 600_000, 40)
        assert len(thinned) <= 44
        found = {s.value for s in thinned}
        assert {99.0, -99.0} <= found
        assert [s.time_ms for s in thinned] == sorted(s.time_ms for s in thinned)
