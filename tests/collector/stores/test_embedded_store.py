"""The embedded store passes the suite, survives kill -9 between and inside commits, and reads while it writes."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.domain.series import Sample
from collector.seams import StorageFailed, Store
from collector.stores import embedded_hours, rollup
from collector.stores.embedded import EmbeddedStore
from edge_agent.common import hazard
from edge_agent.common.problem import ProblemError
from edge_agent.contract import message as m
from tests.suites.store import END, StandingClock, StoreSuite, rows
from tests.support.line import FLOW, T0, batch


class SetClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_ms = T0

    def monotonic_ms(self) -> int:
        return self.now_ms

    def utc_ms(self) -> int:
        return self.now_ms


def opener(folder: Path) -> Iterator[Callable[[], Store]]:
    opened: list[EmbeddedStore] = []

    def open_again() -> Store:
        for store in opened:
            store.close()
        opened.append(EmbeddedStore(folder / "state" / "store.db", StandingClock()))
        return opened[-1]

    yield open_again
    for store in opened:
        store.close()


def test_a_latest_that_turns_out_to_lie_in_the_future_is_replaced(tmp_path: Path) -> None:
    clock = SetClock()
    clock.now_ms = END
    store = EmbeddedStore(tmp_path / "store.db", clock)
    store.write([batch(1, [0], [9.0])], 1)
    clock.now_ms = T0 - 86_400_000
    assert store.latest() == {}
    store.write([batch(2, [-86_400_000], [1.0])], 2)
    assert store.latest() == {FLOW.key: Sample(T0 - 86_400_000, 1.0, 0)}
    store.close()


class TestEmbeddedStore(StoreSuite):
    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Iterator[Callable[[], Store]]:
        yield from opener(tmp_path)


class TestEmbeddedStoreRolledUp(TestEmbeddedStore):
    """The same, when every hour is rolled up as soon as it is written."""

    @pytest.fixture
    def reopen(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Store]]:
        monkeypatch.setattr(embedded_hours, "QUIET_MS", -1000)
        yield from opener(tmp_path)


class Killed(BaseException):
    """Stands for kill -9."""


@pytest.mark.parametrize(("where", "there"), [("store.commit.before", 1), ("store.commit.after", 2)])
def test_a_crash_at_the_commit_leaves_data_and_cursor_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, there: int
) -> None:
    store = EmbeddedStore(tmp_path / "store.db")
    store.write([batch(1, [0], [1.0])], 1)

    def strike(name: str) -> None:
        if name == where:
            raise Killed

    monkeypatch.setattr(hazard, "strike", strike)
    with pytest.raises(Killed):
        store.write([batch(2, [1000], [2.0])], 2)
    monkeypatch.undo()
    store.close()
    again = EmbeddedStore(tmp_path / "store.db")
    assert (len(rows(again)), again.cursor()) == (there, there)
    again.close()


def test_readers_see_whole_batches_while_it_writes(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "store.db")
    stop, odd = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            found = store.count(FLOW.key, 0, 1 << 60)
            if found % 3:
                odd.append(found)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for seq in range(60):
        store.write([batch(seq + 1, [3000 * seq, 3000 * seq + 1, 3000 * seq + 2], [1.0, 2.0, 3.0])], seq + 1)
    stop.set()
    for reader in readers:
        reader.join()
    assert odd == []
    assert len(rows(store)) == 180
    store.close()


def test_a_newer_store_is_refused_in_words(tmp_path: Path) -> None:
    EmbeddedStore(tmp_path / "store.db").close()
    database = sqlite3.connect(tmp_path / "store.db")
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(ProblemError) as problem:
        EmbeddedStore(tmp_path / "store.db")
    assert problem.value.problems[0].code == "STO501"


writes = st.lists(
    st.tuples(
        st.sampled_from(["write", "roll"]),
        st.lists(
            st.tuples(st.integers(0, 3 * 3600), st.one_of(st.none(), st.integers(-9, 9), st.booleans(), st.sampled_from("ab"))),
            min_size=1, max_size=30,
        ),
    ),
    max_size=12,
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(writes)
def test_roll_ups_say_what_the_readings_say_in_any_order_of_writing(written: list[tuple[str, list[tuple[int, m.Value]]]]) -> None:
    """Late, doubled and overwritten readings, rolled up at any moment: never another answer than from the readings alone."""
    with TemporaryDirectory() as folder:
        clock = SetClock()
        store = EmbeddedStore(Path(folder) / "store.db", clock)
        truth: dict[int, m.Value] = {}
        for seq, (what, told) in enumerate(written, start=1):
            truth |= {T0 + 1000 * second: value for second, value in told}
            store.write([batch(seq, [1000 * s for s, _ in told], [v for _, v in told])], seq)
            if what == "roll":
                clock.now_ms += embedded_hours.QUIET_MS + 1
                while store.tidy():
                    pass
        readings = [Sample(at, truth[at], 0) for at in sorted(truth)]
        low, high = T0 - 1000, T0 + 3 * 3_600_000 + 1000
        assert store.range(FLOW.key, low, high) == readings
        assert store.count(FLOW.key, low, high) == len(readings)
        assert store.minutes(FLOW.key, low, high) == [minute for minute, _ in rollup.minutes(readings)]
        start, end = rollup.minute_window(low, high, 40)
        if len(readings) > 40:
            kept, wanted = store.range(FLOW.key, low, high, 40), rollup.thin(readings, start, end, 40)
            assert numbers_by_interval(kept, start, end) == numbers_by_interval(wanted, start, end)
        store.close()


def numbers_by_interval(samples: list[Sample], start: int, end: int) -> dict[int, tuple[float, float]]:
    found: dict[int, list[float]] = {}
    for s in samples:
        if isinstance(s.value, int) and not isinstance(s.value, bool):
            found.setdefault((s.time_ms - start) * 20 // (end - start), []).append(s.value)
    return {interval: (min(values), max(values)) for interval, values in found.items()}


def test_quiet_hours_are_rolled_up_and_late_data_makes_them_due_again(tmp_path: Path) -> None:
    clock = SetClock()
    store = EmbeddedStore(tmp_path / "store.db", clock)
    hour = -(-T0 // rollup.HOUR_MS) * rollup.HOUR_MS - T0
    store.write([batch(1, [hour + 1000 * i for i in range(3600)], [float(i % 50) for i in range(3600)])], 1)
    assert store.tidy() is False, "it was written just now"
    clock.now_ms += embedded_hours.QUIET_MS
    assert (store.tidy(), store.tidy()) == (True, False)
    store.write([batch(2, [hour + 1500], [-7.0])], 2)
    whole = (FLOW.key, T0 + hour, T0 + hour + rollup.HOUR_MS)
    assert -7.0 in {s.value for s in store.range(*whole, 20)}
    assert store.minutes(*whole)[0] == rollup.Minute(
        T0 + hour, 61, 61, float(sum(range(50)) + sum(range(10))) - 7.0, -7.0, 49.0, 0.0, 9.0
    )
    store.close()


def test_late_batches_of_an_earlier_configuration_do_not_bring_it_back(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "store.db")
    newer = replace(FLOW, unit="l/s")
    store.write(
        [batch(1, [1000], [1.0]), batch(2, [5000], [5.0], newer), batch(3, [2000], [2.0]), batch(4, [6000], [6.0], newer)], 4
    )
    assert [info.unit for info in store.series()] == ["l/s"]
    store.write([batch(5, [9000], [9.0])], 5)
    assert [info.unit for info in store.series()] == [FLOW.unit], "changed back later"
    store.close()


def test_a_medium_that_refuses_is_told_and_what_was_there_stays(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "store.db")
    store.write([batch(1, [0], [1.0])], 1)
    pages = store._writer.execute("PRAGMA page_count").fetchone()[0]
    store._writer.execute(f"PRAGMA max_page_count = {pages}")
    other = replace(FLOW, key=FLOW.key._replace(point="other"))
    noise = [float(i * i % 7919) for i in range(20_000)]
    with pytest.raises(StorageFailed):
        store.write([batch(2, list(range(20_000)), list(noise), other)], 2)
    assert (store.cursor(), [info.key for info in store.series()]) == (1, [FLOW.key])
    store._writer.execute("PRAGMA max_page_count = 1000000")
    store.write([batch(2, list(range(20_000)), list(noise), other)], 2)
    assert store.count(other.key, T0, T0 + 20_000) == 20_000
    store.close()


_WRITER = """
import sys
from pathlib import Path
from collector.stores.embedded import EmbeddedStore
from tests.support.line import batch
store = EmbeddedStore(Path(sys.argv[1]))
for seq in range(1, 100_000):
    store.write([batch(seq, [1000 * seq], [float(seq)])], seq)
    print(seq, flush=True)
"""


def test_data_and_cursor_survive_kill_9_together(tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path / "store.db")], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    told = [int(writer.stdout.readline()) for _ in range(30)][-1]
    writer.send_signal(signal.SIGKILL)
    told = max([told, *(int(line) for line in writer.stdout.read().split("\n")[:-1])])
    writer.stdout.close()
    writer.wait(10)
    store = EmbeddedStore(tmp_path / "store.db")
    assert store.cursor() >= told
    assert [value for _, value, _ in rows(store, 0, 1 << 60)] == [float(seq) for seq in range(1, store.cursor() + 1)]
    store.close()
