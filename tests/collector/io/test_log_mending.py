"""A log whose database is damaged is made anew: every record is served, none twice, and no receipt says more than is durable."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from collector.io.log_mending import FAR, mend
from collector.io.log_schema import ADD_SUMS, COLUMNS, SEGMENT_TABLES, TABLES, crc_of
from collector.io.log_takeover import take_over
from collector.io.sqlite_log import SqliteLog
from collector.seams import StorageFailed
from tests.suites.log import LANE, POISON
from tests.support.line import EPOCH, birth, data, record

BIRTH = record(0, birth()[0], 1, "u", "birth")


@contextmanager
def opened(path: Path, segment_bytes: int = 1) -> Iterator[SqliteLog]:
    mend(path)
    take_over(path)
    with closing(SqliteLog(path, segment_bytes)) as log:
        yield log


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Three files and what waits in the database."""
    path = tmp_path / "log.sqlite"
    with opened(path) as log:
        log.append([BIRTH], [replace(LANE, lane="u", upto=1)], [POISON])
        for seq in range(1, 4):
            log.append([record(0, data(seq, [1.0]), seq)], [replace(LANE, upto=seq)], [])
    return path


def served(log: SqliteLog) -> list[tuple[str, int]]:
    return [(r.key.lane, r.key.seq) for r in log.read(0, 99)]


ALL = [("u", 1), ("n", 1), ("n", 2), ("n", 3)]


def spoil(path: Path, change: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        assert database.execute(change).rowcount > 0


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE state SET last = 1",
        "UPDATE state SET low = 9",
        "DELETE FROM state",
        "UPDATE segment SET last = 0 WHERE first = 2",
        "UPDATE segment SET name = 'x' WHERE first = 2",
        "UPDATE segment SET length = 30 WHERE first = 2",
        "UPDATE segment SET records = 0 WHERE first = 2",
        "UPDATE segment SET first = 9 WHERE first = 4",
        "UPDATE fresh SET first = 1",
        "UPDATE fresh SET number = 7",
        "UPDATE held SET ranges = ''",
        "UPDATE meta SET value = 'x'",
    ],
)
def test_a_damaged_row_of_the_catalogue_costs_no_record(path: Path, change: str) -> None:
    with opened(path) as log:
        before = (log.log_id, log.last_offset())
    spoil(path, change)
    with opened(path) as log:
        assert served(log) == ALL
        assert [r.key.seq for r in log.births()] == [1]
        assert log.lanes() == [], "each lane begins with what its agent says"
        assert [p.topic for p in log.poison(9)] == [POISON.topic]
        assert log.log_id != before[0]
        problem = log.problem()
        assert problem is not None
        assert (problem.code, "log.sqlite.damaged-1" in problem.what) == ("LOG403", True)
        again = [record(0, data(seq, [1.0]), seq) for seq in range(1, 5)]
        assert log.append([BIRTH, *again], [LANE], []) > before[1] + FAR - 1
        assert served(log) == [*ALL, ("n", 4)], "what comes again is taken once"
        log.flush()
        assert served(log) == [*ALL, ("n", 4)]
    with opened(path) as log:
        assert served(log) == [*ALL, ("n", 4)]
        assert log.problem() is not None, "told until the file is moved away"
        (path.parent / "log.sqlite.damaged-1").unlink()
        assert log.problem() is None


def test_a_damaged_account_is_forgotten_and_the_others_stay(path: Path) -> None:
    with opened(path) as log:
        before = (log.log_id, log.last_offset())
    spoil(path, "UPDATE lane SET upto = 99 WHERE lane = 'n'")
    with closing(SqliteLog(path)) as log:
        assert [lane.lane for lane in log.lanes()] == ["u"], "not even without mending"
    with opened(path) as log:
        assert [(lane.lane, lane.upto) for lane in log.lanes()] == [("u", 1)]
        assert (log.log_id, log.last_offset(), served(log)) == (*before, ALL)
        assert log.problem() is not None


def test_a_damaged_birth_comes_back_from_its_segment(path: Path) -> None:
    spoil(path, "UPDATE birth SET hash = 'x'")
    with opened(path) as log:
        assert [r.payload for r in log.births()] == [BIRTH.payload]
        assert [lane.lane for lane in log.lanes()] == ["n", "u"]


def test_a_payload_that_is_none_any_more_is_told_and_not_raised(path: Path) -> None:
    with opened(path) as log:
        log._writer.execute("PRAGMA writable_schema = 1")
        log._writer.execute("UPDATE sqlite_schema SET sql = replace(sql, 'payload BLOB NOT NULL', 'payload BLOB')")
    spoil(path, "UPDATE birth SET payload = NULL")
    spoil(path, "UPDATE poison SET payload = NULL")
    with closing(SqliteLog(path)) as log:
        assert (log.births(), log.poison(9), log.damaged()) == ([], [], 2)


@pytest.mark.parametrize("what", ["gone", "no database", "a page"])
def test_a_database_that_cannot_be_read_is_made_anew_from_the_segments(path: Path, what: str) -> None:
    with opened(path) as log:
        log.flush()
        log_id = log.log_id
    if what == "gone":
        path.unlink()
    else:
        content = bytearray(path.read_bytes())
        at = 0 if what == "no database" else 4096 * 2
        content[at : at + 100] = bytes(range(100))
        path.write_bytes(content)
    with opened(path) as log:
        assert (served(log), [r.key.seq for r in log.births()]) == (ALL, [1])
        assert log.log_id != log_id
        log.append([record(0, data(4, [1.0]), 4)], [], [])
        assert served(log) == [*ALL, ("n", 4)]


def test_rot_that_is_met_while_the_collector_runs_lets_nothing_go(path: Path) -> None:
    with opened(path) as log:
        spoil(path, "UPDATE segment SET last = 1 WHERE first = 3")
        for attempt in (lambda: log.trim(3), lambda: log.read(1, 9), lambda: log.offset_before(0)):
            with pytest.raises(StorageFailed):
                attempt()
        assert len(list(log.folder.iterdir())) == 3
        assert log.problem() is None
        log.scrub()
        problem = log.problem()
        assert problem is not None
        assert "restart the collector" in problem.what
    with opened(path) as log:
        assert served(log) == ALL


def test_a_log_of_schema_2_gets_its_checksums(path: Path) -> None:
    older = path.with_name("older.sqlite")
    with closing(sqlite3.connect(older, isolation_level=None)) as database:
        database.executescript(f"{TABLES} {SEGMENT_TABLES}")
        database.execute("ATTACH ? AS new", (str(path),))
        for table, names in COLUMNS.items():
            columns = ", ".join((*names, "frames") if table == "fresh" else (*names, "crc") if table == "birth" else names)
            database.execute(f"INSERT INTO main.{table}({columns}) SELECT {columns} FROM new.{table}")
        crc = crc_of(BIRTH.key, BIRTH.received_ms, "birth", BIRTH.payload)
        database.execute("UPDATE main.birth SET crc = ?", (crc,))
        database.execute("PRAGMA user_version = 2")
    older.rename(path)
    with opened(path) as log:
        assert (served(log), log.damaged(), log.problem()) == (ALL, 0, None)
        assert [r.key for r in log.births()] == [BIRTH.key]
        assert [(lane.lane, lane.upto, lane.epoch) for lane in log.lanes()] == [("n", 3, EPOCH), ("u", 1, EPOCH)]
    assert ADD_SUMS.count("ALTER") == len(COLUMNS) - 1


def test_a_scrub_goes_from_segment_to_segment_and_tells_what_it_meets(path: Path) -> None:
    with opened(path) as log:
        log.flush()
        for _ in range(4):
            log.scrub()
        assert log.problem() is None
        oldest, *_, newest = log.segments()
        for segment in (oldest, newest):
            file = log.folder / segment.name
            content = bytearray(file.read_bytes())
            content[-1] ^= 1
            file.write_bytes(content)
        counts = []
        for _ in range(4):
            log.scrub()
            counts.append(log.damaged())
        assert counts == [1, 1, 1, 2]
