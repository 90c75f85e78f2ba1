"""The embedded store passes the suite, survives kill -9 between and inside commits, and reads while it writes."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.domain.series import Sample
from collector.seams import StorageFailed, Store
from collector.stores import embedded, embedded_days, embedded_hours, rollup
from collector.stores.embedded import EmbeddedStore
from collector.stores.embedded_hours import DAY_MS, samples_of
from collector.stores.embedded_rows import pack_attributes, pack_columns
from collector.stores.embedded_schema import COLUMNS, TABLES
from collector.stores.rollup import HOUR_MS
from edge_agent.common import hazard
from edge_agent.common.problem import ProblemError
from edge_agent.common.row_checks import guard, teach
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


class TestEmbeddedStoreSealed(TestEmbeddedStore):
    """The same, when every day is sealed as soon as it is written."""

    @pytest.fixture
    def reopen(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Store]]:
        monkeypatch.setattr(embedded_hours, "QUIET_MS", -1000)
        monkeypatch.setattr(embedded_days, "AFTER_MS", -10 * DAY_MS)
        monkeypatch.setattr(embedded, "TIDY_STEPS", 100)
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
        st.sampled_from(["write", "roll", "seal", "open again"]),
        st.lists(
            st.tuples(
                st.one_of(st.integers(0, 3 * 3600), st.integers(0, 60).map(lambda half: half * 1800)),
                st.one_of(st.none(), st.integers(-9, 9), st.booleans(), st.sampled_from("ab"), st.sampled_from([0.1, -0.0, 1e300])),
            ),
            min_size=1,
            max_size=30,
        ),
    ),
    max_size=12,
)
"""Batches over three hours, and over thirty: some reach into another day."""


@settings(max_examples=30, deadline=None)
@given(writes)
def test_roll_ups_say_what_the_readings_say_in_any_order_of_writing(written: list[tuple[str, list[tuple[int, m.Value]]]]) -> None:
    """Late, doubled and overwritten readings, rolled up and sealed at any moment: the same answers as from the readings alone."""
    with TemporaryDirectory() as folder:
        clock = SetClock()
        store = EmbeddedStore(Path(folder) / "store.db", clock)
        truth: dict[int, m.Value] = {}
        for seq, (what, told) in enumerate(written, start=1):
            truth |= {T0 + 1000 * second: value for second, value in told}
            store.write([batch(seq, [1000 * s for s, _ in told], [v for _, v in told])], seq)
            if what == "open again":
                store.close()
                store = EmbeddedStore(Path(folder) / "store.db", clock)
            elif what != "write":
                clock.now_ms += embedded_hours.QUIET_MS + 1 + (3 * DAY_MS if what == "seal" else 0)
                while store.tidy():
                    pass
        readings = [Sample(at, truth[at], 0) for at in sorted(truth)]
        for low, high in ((T0 - 1000, T0 + 31 * rollup.HOUR_MS), (T0 - 3 * DAY_MS, T0 + 3 * DAY_MS), (T0, T0 + rollup.HOUR_MS + 1)):
            within = [s for s in readings if low <= s.time_ms < high]
            assert list(map(repr, store.range(FLOW.key, low, high))) == list(map(repr, within)), "to the sign of nought"
            assert store.count(FLOW.key, low, high) == len(within)
            for width_ms in (rollup.MINUTE_MS, rollup.HOUR_MS):
                points = 2 * max(1, (high - low) // width_ms)
                start, end = rollup.whole_window(low, high, points, width_ms)
                if len(within) > points:
                    kept, wanted = store.range(FLOW.key, low, high, points), rollup.thin(within, start, end, points)
                    assert numbers_by_interval(kept, start, end, points // 2) == numbers_by_interval(
                        wanted, start, end, points // 2
                    )
        minute = (T0 // rollup.MINUTE_MS * rollup.MINUTE_MS, T0 // rollup.MINUTE_MS * rollup.MINUTE_MS + 31 * rollup.HOUR_MS)
        assert store.minutes(FLOW.key, *minute) == [each for each, _ in rollup.minutes(readings)]
        store.close()


FEW_INSTANTS = [0, 1800, 3599, 3600, 5400, 7200, 20 * 3600, 29 * 3600]
"""s behind T0: three hours of one day, and two later ones."""


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.lists(st.sampled_from(FEW_INSTANTS), min_size=1, max_size=3, unique=True),
            st.sampled_from([embedded_hours.QUIET_MS // 2 + 1, embedded_hours.QUIET_MS, 3 * DAY_MS]),
        ),
        max_size=16,
    )
)
def test_the_later_written_counts_whatever_has_become_of_the_earlier(steps: list[list[int] | int]) -> None:
    """Few instants, written over and over by batches that lie in several hours, while some hours are due and others are not."""
    with TemporaryDirectory() as folder:
        clock = SetClock()
        store = EmbeddedStore(Path(folder) / "store.db", clock)
        truth: dict[int, int] = {}
        for seq, step in enumerate(steps, start=1):
            if isinstance(step, int):
                tidied(store, clock, step)
            else:
                truth |= dict.fromkeys(sorted(step), seq)
                store.write([batch(seq, [1000 * second for second in sorted(step)], [seq] * len(step))], seq)
            whole = (FLOW.key, T0 - DAY_MS, T0 + 3 * DAY_MS)
            expected = {T0 + 1000 * second: value for second, value in truth.items()}
            assert {s.time_ms: s.value for s in store.range(*whole)} == expected
            assert store.count(*whole) == len(truth)
            within = [Sample(at, expected[at], 0) for at in sorted(expected)]
            hour = T0 // HOUR_MS * HOUR_MS
            for hour_intervals in (1, 60):
                chart = store.range(*whole, 2 * 4 * 24 * hour_intervals)
                found, wanted = (numbers_by_interval(each, hour, hour + HOUR_MS, hour_intervals) for each in (chart, within))
                assert found == wanted
        tidied(store, clock, 9 * DAY_MS)
        assert rows_of(store, "batch", "rolled", "due", "unsealed") == (0, 0, 0, 0)
        store.close()


def numbers_by_interval(samples: list[Sample], start: int, end: int, intervals: int) -> dict[int, tuple[float, float]]:
    found: dict[int, list[float]] = {}
    for s in samples:
        if isinstance(s.value, (int, float)) and not isinstance(s.value, bool):
            found.setdefault((s.time_ms - start) * intervals // (end - start), []).append(s.value)
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


def rows_of(store: EmbeddedStore, *tables: str) -> tuple[int, ...]:
    """How many rows each table has."""
    return tuple(store._writer.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)


def tidied(store: EmbeddedStore, clock: SetClock, by_ms: int) -> None:
    clock.now_ms += by_ms
    while store.tidy():
        pass


def test_batches_become_hours_and_hours_become_days_and_each_reading_stands_once(tmp_path: Path) -> None:
    clock = SetClock()
    store = EmbeddedStore(tmp_path / "store.db", clock)
    minutes = [60_000 * n for n in range(1, 1440)]
    for seq, minute in enumerate(minutes, 1):
        store.write([batch(seq, [minute], [float(seq % 7)])], seq)
        clock.now_ms += 60_000
    batches, hours = rows_of(store, "batch", "rolled")
    assert batches < 70, "those of the hour that is not over, and of the last"
    assert 23 <= hours <= 25
    tidied(store, clock, 3 * DAY_MS)
    assert rows_of(store, "batch", "rolled", "unsealed", "due") == (0, 0, 0, 0)
    assert rows_of(store, "sealed") == (2,)
    assert [s.value for s in store.range(FLOW.key, T0, T0 + DAY_MS)] == [float(n % 7) for n in range(1, 1440)]
    store.write([batch(9999, [minutes[5] + 1], [99.0])], 2000)
    assert rows_of(store, "batch") == (1,)
    assert 99.0 in {s.value for s in store.range(FLOW.key, T0, T0 + DAY_MS, 20)}, "late, and in the chart at once"
    tidied(store, clock, embedded_hours.QUIET_MS)
    assert rows_of(store, "batch", "rolled", "sealed") == (0, 0, 2)
    assert store.count(FLOW.key, T0, T0 + DAY_MS) == 1440
    store.close()


def test_what_is_written_after_every_batch_is_gone_counts_as_later(tmp_path: Path) -> None:
    clock = SetClock()
    store = EmbeddedStore(tmp_path / "store.db", clock)
    store.write([batch(1, [0], [1.0])], 1)
    tidied(store, clock, embedded_hours.QUIET_MS)
    store.close()
    store = EmbeddedStore(tmp_path / "store.db", clock)
    store.write([batch(2, [0], [2.0])], 2)
    assert [s.value for s in store.range(FLOW.key, T0, T0 + 1)] == [2.0]
    tidied(store, clock, embedded_hours.QUIET_MS)
    assert [s.value for s in store.range(FLOW.key, T0, T0 + 1)] == [2.0]
    store.close()


class Late:
    """A store to which everything comes days late, and which tests keep from rolling up one hour."""

    def __init__(self, folder: Path) -> None:
        self.clock = SetClock()
        self.clock.now_ms += 5 * DAY_MS
        self.store = EmbeddedStore(folder / "store.db", self.clock)
        self.day_ms = -(-T0 // DAY_MS) * DAY_MS - T0
        """Behind T0: where a day begins."""
        self._seq = 0

    def write(self, instants: dict[int, float]) -> None:
        """ms behind the day's begin, values: one batch."""
        self._seq += 1
        self.store.write([batch(self._seq, [self.day_ms + ms for ms in instants], list(instants.values()))], self._seq)

    def roll_all_but(self, hour: int) -> None:
        """Everything that is due is rolled up and sealed, but for this hour."""
        self.clock.now_ms += embedded_hours.QUIET_MS - 1
        self.write({hour * HOUR_MS + 1_800_000 + self._seq: 0.5})
        tidied(self.store, self.clock, 1)

    def values(self, from_ms: int, to_ms: int, max_points: int | None = None) -> list[m.Value]:
        begin = T0 + self.day_ms
        return [s.value for s in self.store.range(FLOW.key, begin + from_ms, begin + to_ms, max_points)]


@pytest.fixture
def late(tmp_path: Path) -> Iterator[Late]:
    made = Late(tmp_path)
    yield made
    made.store.close()


def test_a_batch_that_lies_in_two_hours_does_not_come_back_over_what_was_written_later(late: Late) -> None:
    late.write({1000: 1.0, HOUR_MS + 1000: 1.0})
    late.roll_all_but(1)
    assert rows_of(late.store, "rolled") == (1,)
    late.write({1000: 2.0})
    assert late.values(0, HOUR_MS) == [2.0], "a batch over a rolled hour"
    late.roll_all_but(1)
    assert late.values(0, HOUR_MS) == [2.0], "the first batch is still there, and older"
    late.write({5000: 3.0})
    late.roll_all_but(1)
    assert late.values(0, HOUR_MS) == [2.0, 3.0], "rolled up once more beside it"
    late.roll_all_but(30)
    assert late.values(0, HOUR_MS) == [2.0, 3.0]


def test_a_day_is_not_sealed_while_a_batch_reaches_into_it(late: Late) -> None:
    late.write({23 * HOUR_MS: 1.0, 24 * HOUR_MS: 1.0})
    late.roll_all_but(24)
    late.write({23 * HOUR_MS: 2.0})
    late.roll_all_but(24)
    assert rows_of(late.store, "rolled", "sealed") == (1, 0)
    assert late.values(0, 24 * HOUR_MS) == [2.0]
    late.roll_all_but(50)
    assert rows_of(late.store, "rolled", "sealed") == (0, 2)
    assert late.values(0, 24 * HOUR_MS) == [2.0]


def test_what_came_after_a_day_was_sealed_stands_beside_it(late: Late) -> None:
    late.write({hour * HOUR_MS + 1000: float(hour) for hour in range(24)})
    late.roll_all_but(50)
    assert rows_of(late.store, "rolled", "sealed") == (0, 1)
    late.write({5 * HOUR_MS + 2000: 55.0})
    late.roll_all_but(7)
    assert rows_of(late.store, "rolled", "sealed") == (1, 2), "its own day, and that of the other hour"
    assert late.values(4 * HOUR_MS, 7 * HOUR_MS) == [4.0, 5.0, 55.0, 6.0]
    assert late.values(4 * HOUR_MS, 7 * HOUR_MS, 2 * 180) == [4.0, 5.0, 55.0, 6.0], "in a chart of a part of the day"
    assert {5.0, 55.0} <= set(late.values(-DAY_MS, 2 * DAY_MS, 2 * 72)), "and in one of the whole day"
    assert late.store.count(FLOW.key, T0 - DAY_MS, T0 + 3 * DAY_MS) == 24 + 1 + 2


def test_a_year_is_drawn_from_days_without_reading_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SetClock()
    store = EmbeddedStore(tmp_path / "store.db", clock)
    begin = -(-T0 // DAY_MS) * DAY_MS - T0
    for day in range(10):
        times = [begin + day * DAY_MS + 600_000 * n for n in range(144)]
        store.write([batch(day + 1, times, [float(n + day) for n in range(144)])], day)
    tidied(store, clock, 30 * DAY_MS)
    read: list[int] = []
    monkeypatch.setattr(embedded_hours, "samples_of", lambda *told: read.append(1) or samples_of(*told))
    found = store.range(FLOW.key, T0 + begin, T0 + begin + 10 * DAY_MS, 40)
    assert len(read) == 10, "one row a day"
    assert {0.0, 152.0} <= {s.value for s in found}
    store.close()


def test_the_latest_of_a_damaged_store_comes_from_its_chunks(tmp_path: Path) -> None:
    clock = SetClock()
    store = EmbeddedStore(tmp_path / "store.db", clock)
    other = replace(FLOW, key=FLOW.key._replace(point="other"))
    store.write([batch(1, [0, 60_000], [1.0, 2.0]), batch(2, [0], [7.0], other)], 1)
    tidied(store, clock, 3 * DAY_MS)
    store.write([batch(3, [-5000], [9.0]), batch(4, [90_000], [8.0], other)], 2)
    expected, whole = dict(store.latest()), [store.range(key, T0 - DAY_MS, T0 + DAY_MS) for key in (FLOW.key, other.key)]
    store._writer.executescript("DROP TRIGGER latest_update; UPDATE latest SET crc = 0;")
    store.close()
    renewed = EmbeddedStore(tmp_path / "store.db", clock)
    assert [problem.code for problem in renewed.problems()] == ["STO503"]
    assert dict(renewed.latest()) == expected == {FLOW.key: Sample(T0 + 60_000, 2.0, 0), other.key: Sample(T0 + 90_000, 8.0, 0)}
    assert [renewed.range(key, T0 - DAY_MS, T0 + DAY_MS) for key in (FLOW.key, other.key)] == whole
    tidied(renewed, clock, 3 * DAY_MS)
    assert rows_of(renewed, "batch", "rolled", "unsealed") == (0, 0, 0)
    renewed.close()


_SCHEMA_2 = """
CREATE TABLE rolled(series INTEGER NOT NULL, hour INTEGER NOT NULL, count INTEGER NOT NULL, minutes BLOB NOT NULL,
    PRIMARY KEY(series, hour)) WITHOUT ROWID;
"""


def test_a_store_of_schema_2_makes_its_roll_ups_anew(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        teach(database)
        columns = {**COLUMNS, "rolled": ("series", "hour", "count", "minutes")}
        columns.pop("sealed")
        database.executescript(f"{TABLES} {_SCHEMA_2} {guard(columns)} PRAGMA user_version=2;")
        number = database.execute(
            "INSERT INTO series(site, gateway, device, point, attributes, since_ms) VALUES(?,?,?,?,?,?)",
            (*FLOW.key, pack_attributes(FLOW), T0),
        ).lastrowid
        packed = pack_columns(batch(1, [0, 1000], [1.5, 2.5]).columns, T0, lambda *_: int(number or 0))
        database.execute(
            "INSERT INTO batch(site, gateway, epoch, lane, seq, first_ms, last_ms, columns) VALUES(?,?,?,?,?,?,?,?)",
            (*FLOW.key[:2], "1-0123456789abcdef", "n", 1, T0, T0 + 1000, packed),
        )
        database.execute("INSERT INTO rolled(series, hour, count, minutes) VALUES(?,?,2,x'00')", (number, T0 // rollup.HOUR_MS))
        database.execute("INSERT INTO meta(name, value) VALUES('cursor', 7)")
    clock = SetClock()
    store = EmbeddedStore(path, clock)
    assert (store.cursor(), rows_of(store, "due", "rolled")) == (7, (1, 0))
    tidied(store, clock, embedded_hours.QUIET_MS)
    assert rows_of(store, "batch", "rolled") == (0, 1)
    assert [s.value for s in store.range(FLOW.key, T0, T0 + 2000)] == [1.5, 2.5]
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
