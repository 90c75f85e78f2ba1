"""Does I/O: the log: records in segment files, and one SQLite database (WAL, synchronous FULL) that says what of them is committed.

One append is one transaction: frames, accounting, quarantine, births. Frames wait in the database until some MiB of them go into
the newest segment's file together (log_writing.py); a full segment never changes again and goes as a whole file. Births are in the
database too and outlive it. Every frame carries a checksum that is tried on every read: a damaged one is left out and counted.
"""

from __future__ import annotations

import secrets
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from collector.intake.records import LaneState, Poison, Record
from collector.intake.sequences import parse_ranges, ranges_text
from collector.io.log_reading import Damage, Segment, SegmentReader
from collector.io.log_schema import (
    BIRTHS,
    COLUMNS,
    FRESH,
    FRESH_FROM,
    INSERT_LANE,
    INSERT_POISON,
    LANES,
    POISON,
    SCHEMA,
    SEGMENTS,
    STATE,
    Damaged,
    birth_of,
    checked,
    checked_fresh,
    create,
    durable,
    forget,
    is_sound,
    is_unbroken,
    poison_of,
    segment_folder,
    summed,
)
from collector.io.log_writing import SPILL_BYTES, SegmentWriter
from collector.seams import StorageFailed
from edge_agent.common.file_rescue import asides
from edge_agent.common.hazard import hazard
from edge_agent.common.page_cache import release_pages
from edge_agent.common.problem import Problem, ProblemError
from edge_agent.common.row_checks import damaged_tables, teach
from edge_agent.common.wal import settle
from edge_agent.common.words import counted

MAX_POISON = 1000
SEGMENT_BYTES = 64 << 20
CACHE_KIB = 512
"""Pages that each connection keeps. Left alone SQLite takes 2 MiB for each, and fills them over the first hour."""
FEW_RECORDS = 100
"""Appends of fewer let go of the pages they touched."""
T = TypeVar("T")


class _Missing(Exception):
    """The file of a segment is not there."""

    def __init__(self, segment: Segment) -> None:
        super().__init__(segment.name)
        self.segment = segment


class SqliteLog:
    """The log of one collector. Appends come from one thread; every reading thread has a connection of its own."""

    def __init__(self, path: Path, segment_bytes: int = SEGMENT_BYTES, spill_bytes: int = SPILL_BYTES) -> None:
        """Opens or makes the log. Raises ProblemError (LOG401 newer schema, LOG402 damaged or unreadable, LOG404 older schema)."""
        self.path = path
        self.folder = segment_folder(path)
        self._local = threading.local()
        self._all: list[sqlite3.Connection] = []
        self._guard = threading.Lock()
        self._damage = Damage(self.folder)
        self._damaged_rows: set[tuple[Any, ...]] = set()
        self._asides = asides(path)
        self._is_rotten = False
        self._scrubbed = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            self._writer = self._connect()
            self._log_id = self._prepare()
        except (sqlite3.Error, OSError) as error:
            self.close()
            what = f"The log cannot be opened: {error}."
            raise ProblemError(
                Problem("LOG402", str(path), what, "restore it with `collector restore`, or move it away.")
            ) from error
        self._segments = SegmentWriter(self.folder, self._writer, segment_bytes, self._damage, spill_bytes)

    @property
    def log_id(self) -> str:
        """Drawn when the log was made."""
        return self._log_id

    def lanes(self) -> list[LaneState]:
        """The accounting as last committed."""
        sound = [row for row in self._rows(LANES) if self._is_sound("lane", row)]
        return [
            LaneState(site, gateway, epoch, lane, upto, parse_ranges(ranges), low, received, duplicate, lost, heard_ms)
            for site, gateway, epoch, lane, upto, ranges, low, received, duplicate, lost, heard_ms, _ in sound
        ]

    def append(self, records: Sequence[Record], lanes: Sequence[LaneState], poison: Sequence[Poison]) -> int:
        """One commit. Raises StorageFailed; then nothing of it is durable."""
        states = [
            (s.site, s.gateway, s.epoch, s.lane, s.upto, ranges_text(s.ranges), s.low, s.received, s.duplicate, s.lost, s.heard_ms)
            for s in lanes
        ]
        try:
            last = self.last_offset()
            fresh = self._segments.fresh(records)
            grown = self._segments.write(fresh, last) if fresh else None
            with self._writer as database:
                database.execute("BEGIN IMMEDIATE")
                if grown is not None:
                    self._segments.commit(grown)
                database.executemany(INSERT_LANE, map(summed, states))
                if poison:
                    (above,) = database.execute("SELECT coalesce(max(id), 0) + 1 FROM poison").fetchone()
                    rows = [(above + n, p.received_ms, p.topic, p.reason, p.detail, p.payload) for n, p in enumerate(poison)]
                    database.executemany(INSERT_POISON, map(summed, rows))
                    database.execute("DELETE FROM poison WHERE id <= (SELECT max(id) FROM poison) - ?", (MAX_POISON,))
                hazard("log.commit.before")
            hazard("log.commit.after")
        except BaseException as error:
            self._segments.forget()
            if isinstance(error, (sqlite3.Error, OSError)):
                raise StorageFailed(str(error)) from error
            raise
        if len(records) < FEW_RECORDS:
            release_pages(self._writer)
        if grown is None:
            return last
        self._segments.settle(grown)
        return grown.last

    def flush(self) -> None:
        """Puts what waits in the database into its segment's file. For the appending thread. Raises StorageFailed."""
        try:
            self._segments.flush()
        except (sqlite3.Error, OSError) as error:
            raise StorageFailed(str(error)) from error

    def read(self, after: int, limit: int) -> list[Record]:
        """Up to `limit` sound records with offset > after, in order."""
        missing: set[str] = set()
        while True:
            try:
                with self._snapshot():
                    return self._read(after, limit, missing)
            except _Missing as gone:
                if self._rows("SELECT 1 FROM segment WHERE name = ?", (gone.segment.name,)):  # else it was trimmed meanwhile
                    missing.add(gone.segment.name)
                    self._segment_reader().missing(gone.segment)

    def _read(self, after: int, limit: int, missing: set[str]) -> list[Record]:
        low = self._low()
        query = f"{BIRTHS} WHERE offset > ? AND offset < ? ORDER BY offset LIMIT ?"
        found = self._births(query, (after, low, limit))
        position = max(after, low - 1)
        reader = self._segment_reader()
        for segment in self.segments():  # all of them: a damaged row may not hide behind a condition
            if len(found) >= limit:
                break
            if segment.last <= position or not segment.records:
                continue
            if segment.name not in missing:
                try:
                    found += reader.read(segment, position, limit - len(found))
                except FileNotFoundError as error:
                    raise _Missing(segment) from error
            position = segment.last
        if len(found) < limit:
            found += self._fresh(reader, position, limit - len(found))
        return found

    def _fresh(self, reader: SegmentReader, after: int, limit: int) -> list[Record]:
        """What is in no file yet."""
        rows = self._parsed(checked_fresh, FRESH_FROM, (after + 1, limit + 1))
        if not rows or not is_unbroken(rows, after + 1):
            rows = self._parsed(checked_fresh, f"{FRESH} WHERE last > ? ORDER BY first LIMIT ?", (after, limit))
        rows = [row for row in rows if row[1] > after]
        if not rows:
            return []
        newest = self._segments_of(f"{SEGMENTS} ORDER BY first DESC LIMIT 1")[0]
        return reader.fresh(newest, rows, after, limit)

    def births(self) -> list[Record]:
        """Every birth the log holds, oldest first; trimming keeps the newest copy of each."""
        return self._births(f"{BIRTHS} ORDER BY offset", ())

    def last_offset(self) -> int:
        """The highest offset ever given; 0 for a log that never held anything."""
        return self._state()[0]

    def trim(self, below: int) -> int:
        """Forgets data and older copies of births with offset < below; emptied files go. Raises StorageFailed."""
        try:
            with self._writer as database:
                database.execute("BEGIN IMMEDIATE")
                gone, names = forget(database, below)
                hazard("log.trim.before")
            hazard("log.trim.after")
        except sqlite3.Error as error:
            raise StorageFailed(str(error)) from error
        self._segments.remove(names)
        return gone

    def offset_before(self, received_ms: int) -> int:
        """The lowest offset of data received at or after this time; one past the end if there is none."""
        reader = SegmentReader(self.folder, self._damage)
        with self._snapshot():
            low = self._low()
            end = self.last_offset() + 1
            segments = [s for s in self.segments() if s.last >= low and s.newest_ms >= received_ms and s.records]
            fresh = self._fresh(reader, low - 1, end)
        with suppress(FileNotFoundError):
            for record in chain(chain.from_iterable(map(reader.frames, segments)), fresh):
                if record.offset >= low and record.received_ms >= received_ms and record.kind == "data":
                    return record.offset
        return end

    def poison(self, limit: int) -> list[Poison]:
        """The newest quarantined messages first."""
        rows = self._rows(f"{POISON} ORDER BY id DESC LIMIT ?", (limit,))
        return [poison_of(row) for row in rows if self._is_sound("poison", row)]

    def segments(self) -> list[Segment]:
        """What is committed of each file, oldest first."""
        return self._segments_of(f"{SEGMENTS} ORDER BY first")

    def scrub(self) -> None:
        """Looks at the database and at one segment, in turn, so that rot is told before anybody reads it. Raises StorageFailed."""
        try:
            self._is_rotten = damaged_tables(self._reader(), COLUMNS) != frozenset()
        except sqlite3.Error as error:
            raise StorageFailed(str(error)) from error
        if self._is_rotten:
            return
        segments = [segment for segment in self.segments() if segment.records]
        segment = next((s for s in segments if s.first > self._scrubbed), segments[0] if segments else None)
        if segment is not None:
            self._scrubbed = segment.first
            with suppress(FileNotFoundError):  # trimmed meanwhile, or missing: who reads it tells
                deque(SegmentReader(self.folder, self._damage).frames(segment), 0)

    def damaged(self) -> int:
        """Records and rows met so far that are damaged."""
        return self._damage.count + len(self._damaged_rows)

    def problem(self) -> Problem | None:
        """What a person must know of the log's files."""
        said = []
        if count := self.damaged():
            records = counted(count, "record of the log is", "records of the log are")
            said.append(f"{records} damaged and left out; all others are served.")
        if aside := [file.name for file in self._asides if file.exists()]:
            said.append(
                f"Its database was damaged and is kept as {', '.join(aside)}; what was sound is in use, gateways send again what "
                "they hold. This is told until you move that file away."
            )
        if self._is_rotten:
            said.append("Rows of its database are damaged: restart the collector, it mends them.")
        if not said:
            return None
        where = ", ".join(map(str, self._damage.where()[:3])) or str(self.path)
        do = "check the disk: `dmesg`, `smartctl -a`; see `collector account` for what is missing."
        return Problem("LOG403", where, " ".join(said), do)

    def close(self) -> None:
        """Closes files and connections."""
        if hasattr(self, "_segments"):
            self._segments.forget()
        with self._guard:
            for connection in self._all:
                connection.close()
            self._all.clear()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, timeout=30.0, check_same_thread=False)
        connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        teach(connection)
        with self._guard:
            self._all.append(connection)
        return connection

    def _reader(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
        return connection

    def _prepare(self) -> str:
        database = self._writer
        version = int(database.execute("PRAGMA user_version").fetchone()[0])
        if version not in (0, SCHEMA):
            self.close()
            raise ProblemError(_other_schema(self.path, version))
        self.path.chmod(0o600)
        durable(database)
        settle(database, self.path)  # receipts may speak of what is here at once
        if version == 0:
            with database:
                database.execute("BEGIN IMMEDIATE")
                create(database, secrets.token_hex(8))
                database.execute(f"PRAGMA user_version={SCHEMA}")
        row = database.execute("SELECT name, value, crc FROM meta WHERE name = 'log_id'").fetchone()
        return str(checked(row or (None,))[1])

    def _low(self) -> int:
        """Data below this offset is forgotten."""
        return self._state()[1]

    def _state(self) -> tuple[int, int]:
        """The last offset given, and the low end."""
        rows = self._parsed(checked, STATE)
        if not rows:
            raise StorageFailed("a row of the log's database is gone")
        return rows[0][1], rows[0][2]

    def _segments_of(self, query: str, arguments: tuple[int | str, ...] = ()) -> list[Segment]:
        return self._parsed(lambda row: Segment(*checked(row)), query, arguments)

    def _is_sound(self, table: str, row: Sequence[Any]) -> bool:
        """False for a damaged row, which is counted."""
        if is_sound(row):
            return True
        self._damaged_rows.add((table, *row[:4]))
        return False

    def _segment_reader(self) -> SegmentReader:
        reader: SegmentReader | None = getattr(self._local, "segments", None)
        if reader is None:
            reader = self._local.segments = SegmentReader(self.folder, self._damage)
        return reader

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        """Queries of this thread see one state of the log. Raises StorageFailed."""
        self._rows("BEGIN")
        try:
            yield
        finally:
            self._rows("ROLLBACK")

    def _births(self, query: str, arguments: tuple[int, ...]) -> list[Record]:
        sound = []
        for row in self._rows(query, arguments):
            record = birth_of(row)
            if record is None:
                self._damaged_rows.add(("birth", row[0]))
            else:
                sound.append(record)
        return sound

    def _rows(self, query: str, arguments: tuple[int | str, ...] = ()) -> list[tuple[Any, ...]]:
        try:
            return self._reader().execute(query, arguments).fetchall()
        except sqlite3.Error as error:
            raise StorageFailed(str(error)) from error

    def _parsed(self, parse: Callable[[Sequence[Any]], T], query: str, arguments: tuple[int | str, ...] = ()) -> list[T]:
        """Rows that must be sound. Raises StorageFailed."""
        try:
            return [parse(row) for row in self._rows(query, arguments)]
        except Damaged as error:
            raise StorageFailed(str(error)) from error


def _other_schema(path: Path, version: int) -> Problem:
    if version > SCHEMA:
        what = f"The log was written by a newer version (schema {version}, this one knows {SCHEMA})."
        return Problem("LOG401", str(path), what, "install the newer version again.")
    what = f"The log was written by an older version (schema {version}, this one writes {SCHEMA})."
    return Problem(
        "LOG404", str(path), what, "start the collector once with this version: it takes the log over. Then call this again."
    )
