"""Does I/O: the outbox file - one SQLite database that holds messages without receipt across restarts and power cuts.

One write is one transaction with one fsync (WAL, synchronous FULL): its messages go in as one compressed row (outbox_rows.py).
A row leaves when all of its messages are forgotten. The start counter of epochs lives here too.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

from edge_agent.common.hazard import hazard
from edge_agent.common.problem import Problem, ProblemError
from edge_agent.common.wal import settle
from edge_agent.contract.message import Lane
from edge_agent.delivery.machine import Anchor, Key, Span, Stored
from edge_agent.delivery.outbox import MEMORY_BYTES
from edge_agent.delivery.shelf import Shelf, Shelves
from edge_agent.io.outbox_index import PartIndex, spans_of
from edge_agent.io.outbox_rows import head_of, is_loose, is_sound, pack, pack_head, readings_of, unpack, unpack_head, without

SCHEMA = 2
WAL_PAGES = 256
"""So long the write-ahead log becomes before it is carried over; it is written over in place from then on."""
READ_TRIES = 3
"""A file that is not sound so often in a row at the start is set aside; a medium that refuses once says nothing about the file."""
OPEN_BYTES = 1 << 20
"""At the start messages are loaded up to this, with all that they take in memory; of the rest the heads alone."""
ROW_MESSAGES = 256
"""A row holds no more: what is read back comes by rows."""
_TABLES = """
CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE part(id INTEGER PRIMARY KEY, head BLOB, crc INTEGER NOT NULL, messages BLOB NOT NULL);
CREATE TABLE gone(part INTEGER NOT NULL, epoch TEXT NOT NULL, lane TEXT NOT NULL, seq INTEGER NOT NULL,
                  PRIMARY KEY(part, epoch, lane, seq)) WITHOUT ROWID;
CREATE TABLE anchor(epoch TEXT PRIMARY KEY, offset_ms INTEGER NOT NULL, source TEXT NOT NULL, bound_ms INTEGER NOT NULL)
                  WITHOUT ROWID;
"""
_OWED = """
INSERT INTO meta VALUES('starts', ?1)
ON CONFLICT(name) DO UPDATE SET value = ?1 WHERE CAST(value AS INTEGER) < CAST(?1 AS INTEGER)
"""


class OutboxFailed(Exception):
    """The medium refused: full, read-only, I/O error. Nothing of the call may be believed durable."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What the file held. set_aside: where a damaged file went, empty if it was sound; damaged: rows that could not be read."""

    stored: tuple[Stored, ...]
    set_aside: str = ""
    damaged: int = 0
    anchors: tuple[Anchor, ...] = ()
    """Of the epochs of which anything is stored."""
    shelves: tuple[Shelf, ...] = ()
    """What the file holds beside `stored`; damaged rows too, as far as their heads tell of them."""


class OutboxFile:
    """One file. Not thread-safe: everything after `open` happens on one thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._database: sqlite3.Connection | None = None
        self._is_doubtful = False
        self._owed_starts = 0
        """The start counter of an epoch that is in use and not durable yet."""
        self._is_unread = False
        """Nobody knows what the file holds: it could not be opened at the start."""
        self._opened_late: Opened | None = None
        self._index = PartIndex()
        self._dead: list[int] = []
        """Rows that tell nothing any more."""

    def open(self) -> Opened:
        """Opens or makes the file; a damaged one goes to `<name>.damaged-<n>`. Raises OutboxFailed, ProblemError (OUT201)."""
        for _ in range(READ_TRIES):  # SQLite tells of a page that the medium refused to read in the words of a damaged one
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                return self._load()
            except (sqlite3.Error, OSError) as error:
                self.close()
                if not isinstance(error, sqlite3.DatabaseError) or not _is_damage(error):
                    raise OutboxFailed(str(error)) from error
        try:
            aside = self._set_aside()
            return replace(self._load(), set_aside=aside)
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise OutboxFailed(str(error)) from error

    def open_later(self, random_hex: str, minutes: int) -> str:
        """The medium refuses at the start: an epoch that is not durable. The next good write makes it so, and opens the file.

        Random bits make the epoch unique; its counter is for order alone. It goes on from the last one that can be read, by more
        where newer ones may stand in the write-ahead log, which cannot be read without writing; else it is `minutes`, of the clock.
        """
        if self._database is None:
            self._give_up()
            self._is_unread = True
        known = self._last_starts()
        wal = self.path.with_name(self.path.name + "-wal")
        unread = WAL_PAGES if self._is_unread and wal.exists() and wal.stat().st_size else 0
        self._owed_starts = known + unread + 1 if known else minutes
        return f"{self._owed_starts}-{random_hex}"

    def take_opened(self) -> Opened | None:
        """What the file held that could not be opened at the start, once, when it can."""
        opened, self._opened_late = self._opened_late, None
        return opened

    def _last_starts(self) -> int:
        """The start counter as far as it can be read without touching the medium; 0 if it cannot."""
        query = "SELECT value FROM meta WHERE name = 'starts'"
        try:
            if self._database is not None:
                row = self._database.execute(query).fetchone()
                return int(row[0]) if row else 0
            with closing(sqlite3.connect(f"{self.path.resolve().as_uri()}?immutable=1", uri=True)) as database:
                row = database.execute(query).fetchone()
                return int(row[0]) if row else 0
        except (sqlite3.Error, OSError, ValueError):
            return 0

    def new_epoch(self, random_hex: str) -> str:
        """The epoch of this start, `{counter}-{16 hex}`, durable before it is given. Raises OutboxFailed."""
        database = self._open_database()
        try:
            row = database.execute("SELECT value FROM meta WHERE name = 'starts'").fetchone()
            epoch = f"{int(row[0]) + 1 if row else 1}-{random_hex}"
            hazard("start.commit.before")
            with database:
                database.execute("BEGIN IMMEDIATE")
                database.execute("INSERT OR REPLACE INTO meta VALUES('starts', ?)", (epoch.partition("-")[0],))
                held = self._index.epochs()
                unneeded = [row for row in database.execute("SELECT epoch FROM anchor").fetchall() if row[0] not in held]
                database.executemany("DELETE FROM anchor WHERE epoch = ?", unneeded)
            hazard("start.commit.after")
        except sqlite3.Error as error:
            raise OutboxFailed(str(error)) from error
        return epoch

    def write(self, add: Sequence[Stored], forget: Sequence[Key], anchors: Sequence[Anchor] = ()) -> None:
        """Makes all of it durable in one transaction: first forgets, then adds.

        Raises OutboxFailed; then nothing of it may be believed, and the next call reads the file anew.

        A key that is added again is replaced; one to forget that is not there is no error.
        """
        database = self._open_database()
        try:
            hazard("outbox.commit.before")
            with database:
                database.execute("BEGIN IMMEDIATE")
                self._forget(database, [*forget, *(stored.key for stored in add)])
                added = [self._insert(database, add[at : at + ROW_MESSAGES]) for at in range(0, len(add), ROW_MESSAGES)]
                if self._owed_starts:
                    database.execute(_OWED, (str(self._owed_starts),))
                database.executemany("INSERT OR IGNORE INTO anchor VALUES(?,?,?,?)", [astuple(anchor) for anchor in anchors])
            hazard("outbox.commit.after")
        except sqlite3.Error as error:
            self._give_up()
            raise OutboxFailed(str(error)) from error
        for part, spans in added:
            self._index.add(part, spans)
        self._dead.clear()
        self._owed_starts = 0

    def _forget(self, database: sqlite3.Connection, keys: Iterable[Key]) -> None:
        """Also in the index: if the write fails, that is read anew."""
        gone: dict[int, list[Key]] = {}
        empty = set(self._dead)
        for key in keys:
            part = self._index.find(key)
            if part is None:
                continue
            gone.setdefault(part, []).append(key)
            if self._index.forget(key):
                empty.add(part)
        rows = [(part, *key) for part, forgotten in gone.items() if part not in empty for key in forgotten]
        database.executemany("INSERT OR IGNORE INTO gone VALUES(?,?,?,?)", rows)
        database.executemany("DELETE FROM part WHERE id = ?", [(part,) for part in sorted(empty)])
        database.executemany("DELETE FROM gone WHERE part = ?", [(part,) for part in sorted(empty)])

    def fetch(self, keys: Sequence[Key]) -> tuple[list[Stored], list[Key]]:
        """The messages with these keys, and the keys that cannot be read. Raises OutboxFailed where the medium refuses."""
        wanted, found = set(keys), dict[Key, Stored]()
        for part in self._parts(keys):
            row = self._row("SELECT crc, messages FROM part WHERE id = ?", part)
            for stored in unpack(*row) if row else ():
                if stored.key in wanted:
                    found[stored.key] = stored
        return [found[key] for key in keys if key in found], [key for key in keys if key not in found]

    def readings_of(self, keys: Sequence[Key]) -> int:
        """Readings in messages that cannot be read, as far as the heads of their rows tell. Raises OutboxFailed."""
        wanted, readings = set(keys), 0
        for part in self._parts(keys):
            row = self._row("SELECT head FROM part WHERE id = ?", part)
            head = unpack_head(row[0]) if row else None
            readings += readings_of(head, wanted) if head is not None else 0
        return readings

    def _parts(self, keys: Iterable[Key]) -> list[int]:
        self._open_database()
        return sorted({part for key in keys if (part := self._index.find(key)) is not None})

    def _row(self, query: str, part: int) -> Any:
        """A row, None also where it is damaged."""
        try:
            return self._open_database().execute(query, (part,)).fetchone()
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise OutboxFailed(str(error)) from error
        return None

    def close(self) -> None:
        """Closes the file."""
        self._is_doubtful = False
        if self._database is not None:
            self._database.close()
            self._database = None

    def _give_up(self) -> None:
        """After a failed write nothing that was known of the file is believed: the next call reads it again."""
        self.close()
        self._is_doubtful = True

    def _open_database(self) -> sqlite3.Connection:
        if self._database is None and self._is_doubtful:
            try:
                if self._is_unread:
                    self._opened_late = self.open()
                    self._is_unread = False
                else:
                    self._load()
            except (sqlite3.Error, OSError, OutboxFailed) as error:
                self._give_up()
                raise OutboxFailed(str(error)) from error
        if self._database is None:
            raise OutboxFailed("the outbox is closed")
        return self._database

    def _insert(self, database: sqlite3.Connection, add: Sequence[Stored]) -> tuple[int, list[Span]]:
        head = head_of(add)
        cursor = database.execute("INSERT INTO part(head, crc, messages) VALUES(?,?,?)", (pack_head(head), *pack(add)))
        return int(cursor.lastrowid or 0), head.spans()

    def _load(self) -> Opened:
        database = self._database = sqlite3.connect(self.path, isolation_level=None, timeout=5.0, check_same_thread=False)
        if self.path.stat().st_mode & 0o077:
            self.path.chmod(0o600)
        version = int(database.execute("PRAGMA user_version").fetchone()[0])
        if version > SCHEMA:
            self.close()
            what = f"The outbox was written by a newer version (schema {version}, this one knows {SCHEMA})."
            raise ProblemError(Problem("OUT201", str(self.path), what, "install the newer version again, or move the file away."))
        for pragma in ("journal_mode=WAL", "synchronous=FULL", f"wal_autocheckpoint={WAL_PAGES}", "secure_delete=OFF"):
            database.execute(f"PRAGMA {pragma}").fetchall()
        settle(database, self.path)
        if version == 0:
            with database:
                database.executescript(f"BEGIN; {_TABLES} PRAGMA user_version={SCHEMA}; COMMIT;")
        elif version == 1:  # its rows have no heads and are unpacked at each start until they are gone
            with database:
                database.executescript(f"BEGIN; ALTER TABLE part ADD COLUMN head BLOB; PRAGMA user_version={SCHEMA}; COMMIT;")
        if database.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("database disk image is malformed")
        return self._read(database)

    def _read(self, database: sqlite3.Connection) -> Opened:
        gone: dict[int, set[Key]] = {}
        for part, epoch, lane, seq in database.execute("SELECT part, epoch, lane, seq FROM gone"):
            gone.setdefault(part, set()).add(Key(epoch, lane, seq))
        self._index, self._dead = PartIndex(), []
        stored: list[Stored] = []
        shelves: dict[tuple[str, Lane], Shelves] = {}
        loaded, damaged = 0, 0
        for part, packed_head, crc, packed in database.execute("SELECT id, head, crc, messages FROM part ORDER BY id"):
            head, is_whole = unpack_head(packed_head), is_sound(crc, packed)
            damaged += not is_whole
            messages: list[Stored] = []
            if is_whole and (head is None or head.loose or part in gone or loaded < OPEN_BYTES):
                messages = [message for message in unpack(crc, packed) if message.key not in gone.get(part, ())]
                head = head_of(messages)
            is_loaded = loaded < OPEN_BYTES and is_whole
            shelved = [] if is_loaded or head is None else without(head.shelves, () if messages else gone.get(part, ()))
            if not messages and not shelved:
                self._dead.append(part)
                continue
            kept = [message for message in messages if is_loaded or is_loose(message)]
            loaded += sum(len(message.body) + MEMORY_BYTES for message in kept)
            stored += kept
            for shelf in shelved:
                shelves.setdefault(shelf.key[:2], Shelves()).put(shelf)
            self._index.add(part, spans_of(message.key for message in messages) if messages else [s.span for s in shelved])
        self._is_doubtful = False
        epochs = self._index.epochs()
        rows = database.execute("SELECT epoch, offset_ms, source, bound_ms FROM anchor").fetchall()
        anchors = tuple(Anchor(*row) for row in rows if row[0] in epochs)
        found = tuple(shelf for each in shelves.values() for shelf in each.each)
        return Opened(tuple(stored), damaged=damaged, anchors=anchors, shelves=found)

    def _set_aside(self) -> str:
        number = 1
        while (aside := self.path.with_name(f"{self.path.name}.damaged-{number}")).exists():
            number += 1
        for suffix in ("", "-wal", "-shm"):
            source = self.path.with_name(self.path.name + suffix)
            if source.exists():
                source.rename(aside.with_name(aside.name + suffix))
        return aside.name


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """True if the file itself is wrong, not the medium or its free space."""
    return "malformed" in str(error) or "not a database" in str(error)
