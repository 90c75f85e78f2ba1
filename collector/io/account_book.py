"""Does I/O: the account by gateway and day, in one SQLite file (`account.sqlite`, WAL, synchronous FULL).

Additions and the log's offset up to which they count share a transaction: after a crash both are there or neither. It is bounded:
DAYS_KEPT days of each gateway, LANES_KEPT lanes of each gateway.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from collector.domain.days import DAY_MS, Days
from collector.domain.identity import GatewayId
from collector.intake.day_account import DayAccount, Kept, Wanted, day_accounts
from collector.intake.daybook import Changes, DayCount, DayId, LaneId, Settled
from collector.intake.holes import Hole, LaneBook, seeded
from collector.intake.records import LaneState
from collector.seams import StorageFailed
from edge_agent.common.hazard import hazard
from edge_agent.common.page_cache import release_pages
from edge_agent.common.problem import Problem, ProblemError

_log = logging.getLogger(__name__)
SCHEMA = 1
DAYS_KEPT = 400
LANES_KEPT = 2000
CACHE_KIB = 512
_AGE = "max(heard_ms, coalesce(newest_ms, 0))"
_TABLES = """
CREATE TABLE meta(
    one INTEGER PRIMARY KEY CHECK (one = 1), log_id TEXT NOT NULL, cursor INTEGER NOT NULL, began_ms INTEGER NOT NULL);
CREATE TABLE lane(
    site TEXT, gateway TEXT, epoch TEXT, lane TEXT, top INTEGER NOT NULL, newest_ms INTEGER, heard_ms INTEGER NOT NULL, holes BLOB,
    PRIMARY KEY(site, gateway, epoch, lane)) WITHOUT ROWID;
CREATE TABLE day(
    site TEXT, gateway TEXT, day TEXT, batches INTEGER NOT NULL, readings INTEGER NOT NULL, late_batches INTEGER NOT NULL,
    late_readings INTEGER NOT NULL, duplicate INTEGER NOT NULL, PRIMARY KEY(site, gateway, day)) WITHOUT ROWID;
CREATE TABLE settled(
    site TEXT, gateway TEXT, day TEXT, why TEXT, batches INTEGER NOT NULL, readings INTEGER NOT NULL,
    PRIMARY KEY(site, gateway, day, why)) WITHOUT ROWID;
CREATE TABLE seen(site TEXT, gateway TEXT, duplicate INTEGER NOT NULL, PRIMARY KEY(site, gateway)) WITHOUT ROWID;
"""
_ADD_DAY = """
INSERT INTO day VALUES(?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET batches = batches + excluded.batches,
    readings = readings + excluded.readings, late_batches = late_batches + excluded.late_batches,
    late_readings = late_readings + excluded.late_readings, duplicate = duplicate + excluded.duplicate
"""
_ADD_SETTLED = """
INSERT INTO settled VALUES(?,?,?,?,?,?) ON CONFLICT DO UPDATE SET batches = batches + excluded.batches,
    readings = readings + excluded.readings
"""
_holes = msgspec.msgpack.Decoder(tuple[Hole, ...])


class SqliteAccountBook:
    """One thread writes; any number read, also of other processes."""

    def __init__(self, path: Path) -> None:
        """Opens or makes the book. One that is damaged is set aside. Raises ProblemError (ACC401 newer schema, ACC402)."""
        self.path = path
        self._guard = threading.Lock()
        try:
            self._database = _open(path)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise ProblemError(_unreadable(path, error)) from error
            _set_aside(path, error)
            self._database = _open(path)
        except OSError as error:
            raise ProblemError(_unreadable(path, error)) from error

    @classmethod
    def reading(cls, path: Path) -> SqliteAccountBook:
        """The book of a collector that may be running, to be read alone. Raises ProblemError (ACC401, ACC402)."""
        book = cls.__new__(cls)
        book.path, book._guard = path, threading.Lock()
        try:
            book._database = sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, timeout=10.0, isolation_level=None)
            _check_version(path, book._database)
        except sqlite3.Error as error:
            raise ProblemError(_unreadable(path, error)) from error
        return book

    def follow(self, log_id: str, last: int, lanes: Sequence[LaneState], now_ms: int) -> int:
        """The offset of this log up to which everything counts. Raises StorageFailed.

        Another log (a restored one) is read from its beginning: what is counted already is known by its sequence. Lanes whose past
        nobody kept begin as they are now.
        """
        with self._guard, _failing(), self._database as database:
            database.execute("BEGIN IMMEDIATE")
            row = database.execute("SELECT log_id, cursor FROM meta").fetchone()
            if row is not None and row[0] == log_id:
                return min(int(row[1]), last)
            cursor = last if row is None else 0
            known = set(database.execute("SELECT site, gateway, epoch, lane FROM lane"))
            fresh = {
                LaneId(state.site, state.gateway, state.epoch, state.lane): seeded(state.upto, state.ranges, state.heard_ms)
                for state in lanes
                if (state.site, state.gateway, state.epoch, state.lane) not in known
            }
            _write_lanes(database, fresh)
            database.execute(
                "INSERT INTO meta VALUES(1,?,?,?) ON CONFLICT DO UPDATE SET log_id = excluded.log_id, cursor = excluded.cursor",
                (log_id, cursor, now_ms),
            )
            database.execute("DELETE FROM seen")
            duplicate = Counter({GatewayId(state.site, state.gateway): 0 for state in lanes})
            for state in lanes:
                duplicate[GatewayId(state.site, state.gateway)] += state.duplicate
            database.executemany("INSERT INTO seen VALUES(?,?,?)", [(*gateway, count) for gateway, count in duplicate.items()])
            return cursor

    def lane(self, id: LaneId) -> LaneBook | None:
        """The book of a lane as last committed."""
        rows = self._rows(f"SELECT {_LANE} FROM lane WHERE site = ? AND gateway = ? AND epoch = ? AND lane = ?", tuple(id))
        return _book(*rows[0]) if rows else None

    def seen(self) -> dict[GatewayId, int]:
        """The intake's counts of duplicates that are in the account."""
        return {GatewayId(site, gateway): count for site, gateway, count in self._rows("SELECT * FROM seen")}

    def began_ms(self) -> int | None:
        """Since when this account is kept; None: not yet."""
        rows = self._rows("SELECT began_ms FROM meta")
        return int(rows[0][0]) if rows else None

    def commit(self, before: int, cursor: int, changes: Changes) -> None:
        """Adds what came between two offsets. Done before (an earlier try that seemed to fail), it adds nothing.

        Raises StorageFailed; then nothing of it is durable.
        """
        with self._guard, _failing():
            with self._database as database:
                database.execute("BEGIN IMMEDIATE")
                (found,) = database.execute("SELECT cursor FROM meta").fetchone()
                if found == cursor != before:
                    return
                _write_lanes(database, changes.lanes)
                days = [
                    (*id, c.batches, c.readings, c.late_batches, c.late_readings, c.duplicate) for id, c in changes.days.items()
                ]
                database.executemany(_ADD_DAY, days)
                database.executemany(_ADD_SETTLED, [(*id, why, s.batches, s.readings) for (id, why), s in changes.settled.items()])
                database.executemany("INSERT OR REPLACE INTO seen VALUES(?,?,?)", [(*g, n) for g, n in changes.duplicate.items()])
                database.execute("UPDATE meta SET cursor = ?", (cursor,))
                hazard("account.commit.before")
            hazard("account.commit.after")
            release_pages(self._database)

    def prune(self, now_ms: int, days_of: Callable[[str], Days]) -> None:
        """Forgets days and lanes beyond the bounds; what was lost in a lane that goes stays in the count of its days.

        A lane is as old as its newest content where that is younger: it may have been heard while our clock was years behind.
        """
        changes, since_ms = Changes(), now_ms - DAYS_KEPT * DAY_MS
        oldest = Days("UTC").of(since_ms)
        query = (
            "SELECT site, gateway, epoch, lane, top, newest_ms, heard_ms, holes FROM (SELECT *, row_number() OVER"
            f" (PARTITION BY site, gateway ORDER BY {_AGE} DESC) AS n FROM lane) WHERE n > ? OR {_AGE} < ?"
        )
        with self._guard, _failing(), self._database as database:
            database.execute("BEGIN IMMEDIATE")
            gone = database.execute(query, (LANES_KEPT, since_ms)).fetchall()
            for site, gateway, epoch, lane, *book in gone:
                for hole in _book(*book).holes:
                    changes.settle(LaneId(site, gateway, epoch, lane), hole, days_of(site))
            database.executemany(
                "DELETE FROM lane WHERE site = ? AND gateway = ? AND epoch = ? AND lane = ?", [r[:4] for r in gone]
            )
            database.executemany(_ADD_SETTLED, [(*id, why, s.batches, s.readings) for (id, why), s in changes.settled.items()])
            for table in ("day", "settled"):
                database.execute(f"DELETE FROM {table} WHERE day < ?", (oldest,))

    def accounts(self, wanted: Wanted, days_of: Callable[[str], Days]) -> list[DayAccount]:
        """The account, by site, gateway and day. Raises StorageFailed."""
        where, names = (
            "WHERE (? = '' OR site = ?) AND (? = '' OR gateway = ?)",
            (wanted.site, wanted.site, wanted.gateway, wanted.gateway),
        )
        span, limits = "AND day >= ? AND (? = '' OR day <= ?)", (wanted.first, wanted.last, wanted.last)
        days = self._rows(f"SELECT * FROM day {where} {span}", (*names, *limits))
        settled = self._rows(f"SELECT * FROM settled {where} {span}", (*names, *limits))
        lanes = self._rows(f"SELECT site, gateway, epoch, lane, {_LANE} FROM lane {where} AND holes IS NOT NULL", names)
        kept = Kept(
            {DayId(*row[:3]): DayCount(*row[3:]) for row in days},
            {LaneId(*row[:4]): _book(*row[4:]) for row in lanes},
            {(DayId(*row[:3]), row[3]): Settled(*row[4:]) for row in settled},
        )
        return day_accounts(kept, wanted, {lane.site: days_of(lane.site) for lane in kept.lanes})

    def close(self) -> None:
        """Ends cleanly."""
        with self._guard:
            self._database.close()

    def _rows(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        with self._guard, _failing():
            return self._database.execute(query, values).fetchall()


@contextmanager
def _failing() -> Iterator[None]:
    """Turns what SQLite raises into StorageFailed."""
    try:
        yield
    except sqlite3.Error as error:
        raise StorageFailed(str(error)) from error


_LANE = "top, newest_ms, heard_ms, holes"


def _book(top: int, newest_ms: int | None, heard_ms: int, holes: bytes | None) -> LaneBook:
    return LaneBook(top, newest_ms, heard_ms, () if holes is None else _holes.decode(holes))


def _write_lanes(database: sqlite3.Connection, lanes: dict[LaneId, LaneBook]) -> None:
    rows = [
        (*id, book.top, book.newest_ms, book.heard_ms, msgspec.msgpack.encode(book.holes) if book.holes else None)
        for id, book in lanes.items()
    ]
    database.executemany("INSERT OR REPLACE INTO lane VALUES(?,?,?,?,?,?,?,?)", rows)


def _open(path: Path) -> sqlite3.Connection:
    path.touch(mode=0o600, exist_ok=True)
    path.chmod(0o600)
    database = sqlite3.connect(path, timeout=10.0, isolation_level=None, check_same_thread=False)
    try:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "journal_size_limit = 8388608", f"cache_size = -{CACHE_KIB}"):
            database.execute(f"PRAGMA {pragma}").fetchall()
        if _check_version(path, database) == 0:
            database.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {SCHEMA}; COMMIT;")
        elif database.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("its pages are damaged")
    except BaseException:
        database.close()
        raise
    return database


def _check_version(path: Path, database: sqlite3.Connection) -> int:
    version = int(database.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA:
        database.close()
        what = f"The account was written by a newer version (schema {version}, this one knows {SCHEMA})."
        raise ProblemError(Problem("ACC401", str(path), what, "install the newer version again."))
    return version


def _set_aside(path: Path, error: Exception) -> None:
    aside = path.with_name(path.name + ".damaged")
    path.replace(aside)
    for tail in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + tail).unlink()
    _log.error("the account is damaged (%s); it is set aside as %s, and a new one begins", error, aside)


def _unreadable(path: Path, error: Exception) -> Problem:
    what = f"The account cannot be opened: {error}."
    return Problem("ACC402", str(path), what, "check rights and free space; moved away, a new one begins.")
