"""Does I/O: the log in one SQLite database (WAL, synchronous FULL). One append is one transaction: records, accounting, quarantine.

Each record carries a checksum over all of it that is tried on every read: a damaged record is left out and counted, never served.
"""

from __future__ import annotations

import secrets
import sqlite3
import threading
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from collector.intake.records import BatchKey, LaneState, Poison, Record
from collector.seams import StorageFailed
from edge_agent.common.hazard import hazard
from edge_agent.common.problem import Problem, ProblemError
from edge_agent.contract import encoding
from edge_agent.contract import message as m

SCHEMA = 1
MAX_POISON = 1000
_TABLES = """
CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE record(
    offset INTEGER PRIMARY KEY AUTOINCREMENT, site TEXT NOT NULL, gateway TEXT NOT NULL, epoch TEXT NOT NULL, lane TEXT NOT NULL,
    seq INTEGER NOT NULL, received_ms INTEGER NOT NULL, kind TEXT NOT NULL, birth TEXT, crc INTEGER NOT NULL, payload BLOB NOT NULL,
    UNIQUE(site, gateway, epoch, lane, seq));
CREATE INDEX birth ON record(site, gateway, birth, offset) WHERE kind = 'birth';
CREATE TABLE lane(
    site TEXT NOT NULL, gateway TEXT NOT NULL, epoch TEXT NOT NULL, lane TEXT NOT NULL, upto INTEGER NOT NULL, ranges TEXT NOT NULL,
    low INTEGER NOT NULL, received INTEGER NOT NULL, duplicate INTEGER NOT NULL, lost INTEGER NOT NULL, heard_ms INTEGER NOT NULL,
    PRIMARY KEY(site, gateway, epoch, lane)) WITHOUT ROWID;
CREATE TABLE poison(id INTEGER PRIMARY KEY, received_ms INTEGER NOT NULL, topic TEXT NOT NULL, reason TEXT NOT NULL,
    detail TEXT NOT NULL, payload BLOB NOT NULL);
"""
TRIM_STEP = 5000
_TRIM = """
DELETE FROM record WHERE offset IN (
    SELECT offset FROM record WHERE offset < ? AND (kind = 'data' OR EXISTS (
        SELECT 1 FROM record AS later WHERE later.kind = 'birth' AND later.site = record.site AND later.gateway = record.gateway
        AND later.birth = record.birth AND later.offset > record.offset)) LIMIT ?)
"""
_COLUMNS = "offset, site, gateway, epoch, lane, seq, received_ms, kind, crc, payload"


class SqliteLog:
    """The log of one collector. Appends come from one thread; every reading thread has a connection of its own."""

    def __init__(self, path: Path) -> None:
        """Opens or makes the log. Raises ProblemError (LOG401 newer schema, LOG402 damaged or unreadable)."""
        self.path = path
        self._local = threading.local()
        self._all: list[sqlite3.Connection] = []
        self._guard = threading.Lock()
        self._damaged: set[int] = set()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            self._writer = self._connect()
            self._log_id = self._prepare()
        except (sqlite3.Error, OSError) as error:
            what = f"The log cannot be opened: {error}."
            raise ProblemError(
                Problem("LOG402", str(path), what, "restore it with `collector restore`, or move it away.")
            ) from error

    @property
    def log_id(self) -> str:
        """Drawn when the log was made."""
        return self._log_id

    def lanes(self) -> list[LaneState]:
        """The accounting as last committed."""
        rows = self._rows("SELECT site, gateway, epoch, lane, upto, ranges, low, received, duplicate, lost, heard_ms FROM lane")
        return [
            LaneState(site, gateway, epoch, lane, upto, _ranges(ranges), low, received, duplicate, lost, heard_ms)
            for site, gateway, epoch, lane, upto, ranges, low, received, duplicate, lost, heard_ms in rows
        ]

    def append(self, records: Sequence[Record], lanes: Sequence[LaneState], poison: Sequence[Poison]) -> int:
        """One commit. Raises StorageFailed; then nothing of it is durable."""
        rows = [
            (*r.key, r.received_ms, r.kind, _birth(r), _crc(r.key, r.received_ms, r.kind, r.payload), r.payload) for r in records
        ]
        states = [
            (s.site, s.gateway, s.epoch, s.lane, s.upto, _ranges_text(s.ranges), s.low, s.received, s.duplicate, s.lost, s.heard_ms)
            for s in lanes
        ]
        spoiled = [(p.received_ms, p.topic, p.reason, p.detail, p.payload) for p in poison]
        try:
            with self._writer as database:
                database.execute("BEGIN IMMEDIATE")
                database.executemany(
                    "INSERT OR IGNORE INTO record(site, gateway, epoch, lane, seq, received_ms, kind, birth, crc, payload)"
                    " VALUES(?,?,?,?,?,?,?,?,?,?)",
                    rows,
                )
                database.executemany("INSERT OR REPLACE INTO lane VALUES(?,?,?,?,?,?,?,?,?,?,?)", states)
                if spoiled:
                    database.executemany(
                        "INSERT INTO poison(received_ms, topic, reason, detail, payload) VALUES(?,?,?,?,?)", spoiled
                    )
                    database.execute("DELETE FROM poison WHERE id <= (SELECT max(id) FROM poison) - ?", (MAX_POISON,))
                hazard("log.commit.before")
            hazard("log.commit.after")
        except sqlite3.Error as error:
            raise StorageFailed(str(error)) from error
        return self.last_offset()

    def read(self, after: int, limit: int) -> list[Record]:
        """Up to `limit` sound records with offset > after, in order."""
        sound: list[Record] = []
        position = after
        while not sound:
            rows = self._rows(f"SELECT {_COLUMNS} FROM record WHERE offset > ? ORDER BY offset LIMIT ?", (position, limit))
            if not rows:
                break
            position = rows[-1][0]
            sound = self._sound(rows)
        return sound

    def births(self) -> list[Record]:
        """Every birth the log holds, oldest first; trimming keeps the newest copy of each."""
        return self._sound(self._rows(f"SELECT {_COLUMNS} FROM record WHERE kind = 'birth' ORDER BY offset"))

    def last_offset(self) -> int:
        """The highest offset ever given; 0 for a log that never held anything."""
        rows = self._rows("SELECT seq FROM sqlite_sequence WHERE name = 'record'")
        return int(rows[0][0]) if rows else 0

    def trim(self, below: int) -> int:
        """Forgets data and older copies of births with offset < below, some thousand at a time. Raises StorageFailed."""
        gone = 0
        try:
            while True:
                with self._writer as database:
                    step = database.execute(_TRIM, (below, TRIM_STEP)).rowcount
                gone += step
                if step < TRIM_STEP:
                    return gone
        except sqlite3.Error as error:
            raise StorageFailed(str(error)) from error

    def offset_before(self, received_ms: int) -> int:
        """The lowest offset received at or after this time; one past the end if there is none."""
        query = "SELECT offset FROM record WHERE received_ms >= ? AND kind = 'data' ORDER BY offset LIMIT 1"  # stops at the first
        rows = self._rows(query, (received_ms,))
        return int(rows[0][0]) if rows else self.last_offset() + 1

    def poison(self, limit: int) -> list[Poison]:
        """The newest quarantined messages first."""
        rows = self._rows("SELECT topic, payload, reason, detail, received_ms, id FROM poison ORDER BY id DESC LIMIT ?", (limit,))
        return [Poison(*row) for row in rows]

    def damaged(self) -> int:
        """Records met so far whose checksum is wrong."""
        return len(self._damaged)

    def close(self) -> None:
        """Closes every connection."""
        with self._guard:
            for connection in self._all:
                connection.close()
            self._all.clear()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, timeout=30.0, check_same_thread=False)
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
        if version > SCHEMA:
            self.close()
            what = f"The log was written by a newer version (schema {version}, this one knows {SCHEMA})."
            raise ProblemError(Problem("LOG401", str(self.path), what, "install the newer version again."))
        self.path.chmod(0o600)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "journal_size_limit=67108864"):
            database.execute(f"PRAGMA {pragma}").fetchall()
        if version == 0:
            database.executescript(f"BEGIN; {_TABLES} PRAGMA user_version={SCHEMA}; COMMIT;")
            database.execute("INSERT INTO meta VALUES('log_id', ?)", (secrets.token_hex(8),))
        return str(database.execute("SELECT value FROM meta WHERE name = 'log_id'").fetchone()[0])

    def _rows(self, query: str, arguments: tuple[int, ...] = ()) -> list[tuple[Any, ...]]:
        try:
            return self._reader().execute(query, arguments).fetchall()
        except sqlite3.Error as error:
            raise StorageFailed(str(error)) from error

    def _sound(self, rows: Sequence[tuple[Any, ...]]) -> list[Record]:
        sound = []
        for offset, site, gateway, epoch, lane, seq, received_ms, kind, crc, payload in rows:
            key = BatchKey(site, gateway, epoch, lane, seq)
            if _crc(key, received_ms, kind, payload) == crc:
                sound.append(Record(offset, key, received_ms, payload, kind))
            else:
                self._damaged.add(offset)
        return sound


def _crc(key: BatchKey, received_ms: int, kind: str, payload: bytes) -> int:
    """Checksum over everything of a record: one that moved to another key is damaged too."""
    return zlib.crc32(payload, zlib.crc32("/".join(map(str, (*key, received_ms, kind))).encode()))


def _birth(record: Record) -> str | None:
    """The hash of a birth; None for data."""
    if record.kind != "birth":
        return None
    try:
        head = encoding.decode_sequenced(record.payload)
    except encoding.Malformed:
        return None
    return head.h if isinstance(head, m.Birth) else None


def _ranges_text(ranges: Sequence[tuple[int, int]]) -> str:
    return " ".join(f"{first}-{last}" for first, last in ranges)


def _ranges(text: str) -> tuple[tuple[int, int], ...]:
    pairs = (part.split("-") for part in text.split())
    return tuple((int(first), int(last)) for first, last in pairs)
