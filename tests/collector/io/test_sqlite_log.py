"""The log passes the suite, is whole after a crash at its commit, and never serves a damaged record."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from collector.io.log_schema import DAY_MS
from collector.io.log_segment import HEADER, frame
from collector.io.log_writing import SPILL_BYTES
from collector.io.sqlite_log import SEGMENT_BYTES, SqliteLog
from collector.seams import Log, StorageFailed
from edge_agent.common import hazard
from edge_agent.common.problem import ProblemError
from tests.suites.log import LANE, POISON, LogSuite
from tests.support.line import T0, birth, data, record


class TestSqliteLog(LogSuite):
    segment_bytes, spill_bytes = SEGMENT_BYTES, SPILL_BYTES

    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Iterator[Callable[[], Log]]:
        opened: list[SqliteLog] = []

        def open_again() -> Log:
            for log in opened:
                log.close()
            opened.append(SqliteLog(tmp_path / "state" / "log.db", self.segment_bytes, self.spill_bytes))
            return opened[-1]

        yield open_again
        for log in opened:
            log.close()


class TestLogOfManySegments(TestSqliteLog):
    """Every append begins a new file."""

    segment_bytes = 1


class TestLogThatWaitsForNothing(TestSqliteLog):
    """Every append writes into the file what the one before left in the database."""

    spill_bytes = 0


class Killed(BaseException):
    """Stands for kill -9."""


@pytest.mark.parametrize(("where", "there"), [("log.commit.before", 0), ("log.commit.after", 1)])
def test_a_crash_at_the_commit_leaves_all_or_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, there: int
) -> None:
    log = SqliteLog(tmp_path / "log.db")

    def strike(name: str) -> None:
        if name == where:
            raise Killed

    monkeypatch.setattr(hazard, "strike", strike)
    with pytest.raises(Killed):
        log.append([record(0, data(1, [1.0]), 1)], [LANE], [])
    monkeypatch.undo()
    log.close()
    again = SqliteLog(tmp_path / "log.db")
    assert (len(again.read(0, 9)), len(again.lanes())) == (there, there)
    again.close()


@pytest.mark.parametrize("where", ["log.spill.before", "log.spill.after", "log.commit.before", "log.commit.after"])
@pytest.mark.parametrize("segment_bytes", [1, SEGMENT_BYTES])
def test_a_crash_anywhere_in_an_append_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, segment_bytes: int
) -> None:
    """At the beginning of a new file as well as inside one; what the crash left is written over or gone."""
    log = SqliteLog(tmp_path / "log.db", segment_bytes, 0)
    log.append([record(0, data(1, [1.0]), 1), record(0, birth()[0], 1, "u", "birth")], [], [])

    def strike(name: str) -> None:
        if name == where:
            raise Killed

    monkeypatch.setattr(hazard, "strike", strike)
    with contextlib.suppress(Killed):
        log.append([record(0, data(2, [2.0]), 2), record(0, birth(2, hold_ms=5)[0], 2, "u", "birth")], [LANE], [])
    monkeypatch.undo()
    log.close()
    for _ in range(2):  # the second time it is a duplicate
        log = SqliteLog(tmp_path / "log.db", segment_bytes, 0)
        log.append([record(0, data(2, [2.0]), 2), record(0, birth(2, hold_ms=5)[0], 2, "u", "birth")], [LANE], [])
        assert [(r.offset, r.key.lane, r.key.seq) for r in log.read(0, 9)] == [(1, "n", 1), (2, "u", 1), (3, "n", 2), (4, "u", 2)]
        assert [r.offset for r in log.births()] == [2, 4]
        log.close()
    names = {name for name, _ in log_rows(tmp_path / "log.db")}
    assert {file.name for file in (tmp_path / "log.segments").iterdir()} <= names


def log_rows(path: Path) -> list[tuple[str, int]]:
    """Name and committed length of every segment."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT name, length FROM segment ORDER BY first").fetchall()


def flip(file: Path, position: int, bit: int = 3) -> None:
    content = bytearray(file.read_bytes())
    content[position] ^= 1 << bit
    file.write_bytes(content)


def test_a_flipped_bit_anywhere_damages_one_record_and_the_rest_stays_readable(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.db")
    log.append([record(0, data(seq, [1.0]), seq) for seq in range(1, 6)], [], [])
    log.flush()
    log.close()
    (file,) = (tmp_path / "log.segments").iterdir()
    sound = file.read_bytes()
    seen = set()
    for position in range(len(HEADER), len(sound), 2):
        flip(file, position, position % 8)
        log = SqliteLog(tmp_path / "log.db")
        served = {r.key.seq: r.payload for r in log.read(0, 9)}
        assert served == {seq: data(seq, [1.0]) for seq in served}
        assert (len(served), log.damaged()) == (4, 1), position
        problem = log.problem()
        assert problem is not None
        assert problem.code == "LOG403"
        seen |= set(range(1, 6)) - served.keys()
        log.close()
        file.write_bytes(sound)
    assert seen == {1, 2, 3, 4, 5}
    flip(file, 2)
    log = SqliteLog(tmp_path / "log.db")
    assert (len(log.read(0, 9)), log.problem()) == (5, None), "the line that names the format holds nothing"
    log.close()


def test_one_segment_gone_or_cut_costs_its_records_alone(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.db", 1)
    for first in (1, 3, 5):
        log.append([record(0, data(seq, [1.0]), seq) for seq in (first, first + 1)], [], [])
    log.flush()
    files = sorted((tmp_path / "log.segments").iterdir())
    files[0].unlink()
    assert [r.key.seq for r in log.read(0, 9)] == [3, 4, 5, 6]
    assert log.damaged() == 2
    os.truncate(files[1], log_rows(tmp_path / "log.db")[1][1] - 1)
    assert [r.key.seq for r in log.read(0, 9)] == [3, 5, 6]
    assert [r.key.seq for r in log.read(3, 1)] == [5]
    assert log.damaged() == 3
    log.close()


def test_a_damaged_newest_segment_is_no_hindrance_to_write_on(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.db")
    log.append([record(0, data(seq, [1.0]), seq) for seq in (1, 2)], [], [])
    log.flush()
    log.close()
    (file,) = (tmp_path / "log.segments").iterdir()
    os.truncate(file, file.stat().st_size - 1)
    log = SqliteLog(tmp_path / "log.db")
    assert log.append([record(0, data(3, [1.0]), 3)], [], []) == 3
    log.flush()
    assert [r.offset for r in log.read(0, 9)] == [1, 3]
    file.unlink()
    assert log.append([record(0, data(4, [1.0]), 4)], [], []) == 4
    assert [r.offset for r in log.read(0, 9)] == [4]
    log.flush()
    assert [r.offset for r in log.read(0, 9)] == [4]
    assert log.damaged() == 3
    log.close()


def test_what_a_gateway_hides_in_a_payload_is_no_record(tmp_path: Path) -> None:
    """A whole frame in the payload of a record that is damaged later: its checksum does not begin with the file's name."""
    forged = frame(record(0, data(7, [9.0]), 7), 2, 1, 0)
    log = SqliteLog(tmp_path / "log.db")
    log.append([record(0, data(1, [1.0]), 1), record(0, forged, 2), record(0, data(3, [1.0]), 3)], [], [])
    log.flush()
    (file,) = (tmp_path / "log.segments").iterdir()
    flip(file, file.read_bytes().index(forged) - 1)
    assert [r.key.seq for r in log.read(0, 9)] == [1, 3]
    log.close()


@contextlib.contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """The system refuses what makes a file longer (EFBIG)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_medium_that_refuses_records_or_accounting_is_told(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.db")
    with no_file_beyond(200_000), pytest.raises(StorageFailed):
        log.append([record(0, b"{" + b" " * 500_000, 1)], [LANE], [])
    assert (log.read(0, 9), log.lanes(), log.last_offset()) == ([], [], 0)
    log.append([record(0, data(1, [1.0]), 1)], [], [])
    pages = log._writer.execute("PRAGMA page_count").fetchone()[0]
    log._writer.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StorageFailed):  # the records are in the file by then
        log.append([record(0, data(2, [1.0]), 2)], [LANE], [replace(POISON, payload=bytes(500_000))])
    assert ([r.key.seq for r in log.read(0, 9)], log.lanes(), log.last_offset()) == ([1], [], 1)
    log._writer.execute("PRAGMA max_page_count = 1000000")
    log.append([record(0, data(2, [1.0]), 2)], [LANE], [])
    assert [(r.offset, r.key.seq) for r in log.read(0, 9)] == [(1, 1), (2, 2)]
    log.close()


def test_a_file_that_refuses_keeps_what_waits_in_the_database(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.db", spill_bytes=0)
    log.append([record(0, b"{" + b" " * 300_000, 1)], [], [])
    with contextlib.closing(sqlite3.connect(tmp_path / "log.db")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with no_file_beyond(200_000), pytest.raises(StorageFailed):
        log.append([record(0, data(2, [1.0]), 2)], [LANE], [])
    assert ([r.key.seq for r in log.read(0, 9)], log.lanes()) == ([1], [])
    log.append([record(0, data(2, [1.0]), 2)], [LANE], [])
    log.flush()
    assert [(r.offset, r.key.seq) for r in log.read(0, 9)] == [(1, 1), (2, 2)]
    assert log.damaged() == 0
    log.close()


def test_a_flipped_bit_in_what_waits_damages_one_record(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.db")
    log.append([record(0, data(seq, [1.0]), seq) for seq in (1, 2, 3)], [], [])
    (frames,) = log._writer.execute("SELECT frames FROM fresh").fetchone()
    flipped = bytearray(frames)
    flipped[len(frames) // 2] ^= 4
    log._writer.execute("UPDATE fresh SET frames = ?", (bytes(flipped),))
    log.close()
    log = SqliteLog(tmp_path / "log.db")
    assert [r.key.seq for r in log.read(0, 9)] == [1, 3]
    log.flush()
    assert [r.key.seq for r in log.read(0, 9)] == [1, 3]
    assert log.damaged() == 1
    log.close()


def test_a_new_day_and_a_full_file_begin_a_new_segment(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.db", 2000)
    at = [T0 + ms for ms in (0, 1000, DAY_MS, DAY_MS - 1000, DAY_MS + 1000)]
    for seq, received_ms in enumerate(at, 1):
        log.append([replace(record(0, data(seq, [1.0]), seq), received_ms=received_ms)], [], [])
    log.flush()
    assert [(s.first, s.last) for s in log.segments()] == [(1, 2), (3, 5)], "a clock that goes back begins none"
    log.append([record(0, b"{" + b" " * 3000, 6)], [], [])
    log.append([replace(record(0, data(7, [1.0]), 7), received_ms=T0 + 2 * DAY_MS)], [], [])
    log.flush()
    assert [(s.first, s.last) for s in log.segments()][2:] == [(6, 6), (7, 7)]
    assert [log.offset_before(ms) for ms in (0, T0 + 1, T0 + DAY_MS, T0 + 2 * DAY_MS, T0 + 3 * DAY_MS)] == [1, 2, 3, 7, 8]
    log.close()


def test_whole_files_go_when_nothing_of_them_is_left(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.db", 1)
    for first in (1, 3, 5):
        log.append([record(0, data(seq, [1.0]), seq) for seq in (first, first + 1)], [], [])
    log.flush()
    assert log.trim(4) == 3
    assert [s.first for s in log.segments()] == [3, 5]
    assert sorted(file.name for file in (tmp_path / "log.segments").iterdir()) == [s.name for s in log.segments()]
    assert log.trim(99) == 3
    assert list((tmp_path / "log.segments").iterdir()) == []
    assert log.append([record(0, data(9, [1.0]), 9)], [], []) == 7
    log.close()


def test_readers_keep_their_place_while_files_come_and_go(tmp_path: Path) -> None:
    """Another connection, as another process has it, reads on over rolls and trims and misses nothing that is kept."""
    log, reader = SqliteLog(tmp_path / "log.db", 1500), SqliteLog(tmp_path / "log.db")
    read: list[int] = []
    for seq in range(1, 200):
        log.append([record(0, data(seq, [1.0]), seq)], [], [])
        if seq % 3 == 0:
            read += [r.key.seq for r in reader.read(read[-1] if read else 0, 5)]
        if seq % 50 == 0:
            log.trim(read[-1] + 1)
    while more := reader.read(read[-1], 50):
        read += [r.key.seq for r in more]
    assert read == list(range(1, 200))
    assert reader.damaged() == 0
    log.close()
    reader.close()


def test_only_its_owner_may_read_it_and_a_newer_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    SqliteLog(path).close()
    assert path.stat().st_mode & 0o077 == 0
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(ProblemError) as problem:
        SqliteLog(path)
    assert problem.value.problems[0].code == "LOG401"


def test_a_damaged_birth_is_left_out(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.db")
    log.append([record(0, birth()[0], 1, "u", "birth"), record(0, birth(2, hold_ms=5)[0], 2, "u", "birth")], [], [])
    log._writer.execute("UPDATE birth SET seq = 7 WHERE offset = 1")
    assert [r.key.seq for r in log.births()] == [2]
    assert log.damaged() == 1
    log.close()


def test_a_log_of_an_older_schema_is_left_to_the_collector(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "log.db")) as database:
        database.execute("PRAGMA user_version = 1")
    with pytest.raises(ProblemError) as problem:
        SqliteLog(tmp_path / "log.db")
    assert problem.value.problems[0].code == "LOG404"


def test_trimming_keeps_one_copy_of_each_birth(tmp_path: Path) -> None:
    """Each start of an agent sends its birth again under a new epoch."""
    log = SqliteLog(tmp_path / "log.db")
    for start in range(1, 5):
        epoch = f"{start}-0123456789abcdef"
        log.append(
            [record(0, birth(epoch=epoch)[0], 1, "u", "birth", epoch), record(0, data(1, [1.0], epoch=epoch), 1, epoch=epoch)],
            [],
            [],
        )
    other = birth(hold_ms=5, epoch="9-0123456789abcdef")[0]
    log.append([record(0, other, 1, "u", "birth", "9-0123456789abcdef")], [], [])
    assert log.trim(9) == 4 + 3
    assert [r.key.epoch[0] for r in log.births()] == ["4", "9"]
    assert log.offset_before(0) == 10, "births are no data that could be aged out"
    log.close()


def test_a_folder_that_cannot_be_made_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ProblemError) as problem:
        SqliteLog(tmp_path / "file" / "log.db")
    assert problem.value.problems[0].code == "LOG402"


_WRITER = """
import sys
from pathlib import Path
from collector.io.sqlite_log import SqliteLog
from tests.support.line import birth, data, record
log = SqliteLog(Path(sys.argv[1]))
for seq in range(1, 100_000):
    log.append([record(0, data(seq, [1.0]), seq)], [], [])
    print(seq, flush=True)
"""


def test_what_was_told_to_be_durable_survives_kill_9(tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path / "log.db")], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    told = [int(writer.stdout.readline()) for _ in range(50)][-1]
    writer.send_signal(signal.SIGKILL)
    told = max([told, *(int(line) for line in writer.stdout.read().split("\n")[:-1])])
    writer.stdout.close()
    writer.wait(10)
    log = SqliteLog(tmp_path / "log.db")
    assert [r.key.seq for r in log.read(0, 1_000_000)][:told] == list(range(1, told + 1))
    log.close()
