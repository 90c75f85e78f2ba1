"""Does I/O: what the InfluxDB writer must remember on this machine: cursor, series with attributes, rejected lines."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from collector.domain.identity import SeriesKey
from collector.domain.series import SeriesInfo
from collector.seams import StorageFailed
from edge_agent.common.problem import Problem, ProblemError

SCHEMA = 1
MAX_REJECTED = 10_000
_TABLES = """
CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE series(site TEXT, gateway TEXT, device TEXT, point TEXT, info BLOB NOT NULL,
    PRIMARY KEY(site, gateway, device, point)) WITHOUT ROWID;
CREATE TABLE rejected(id INTEGER PRIMARY KEY, reason TEXT NOT NULL, line TEXT NOT NULL);
"""
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(SeriesInfo)


class Sidecar:
    """A small database beside the log. Thread-safe."""

    def __init__(self, path: Path) -> None:
        """Raises ProblemError (STO501 newer, STO502 unreadable)."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        try:
            self._database = sqlite3.connect(path, isolation_level=None, timeout=30.0, check_same_thread=False)
            version = int(self._database.execute("PRAGMA user_version").fetchone()[0])
            if version > SCHEMA:
                self._database.close()
                raise ProblemError(
                    Problem("STO501", str(path), "It was written by a newer version.", "install that version again.")
                )
            path.chmod(0o600)
            for pragma in ("journal_mode=WAL", "synchronous=FULL"):
                self._database.execute(f"PRAGMA {pragma}").fetchall()
            if version == 0:
                self._database.executescript(f"BEGIN; {_TABLES} PRAGMA user_version={SCHEMA}; COMMIT;")
        except sqlite3.Error as error:
            do = "move the file away; the writer begins again at the start of the log, which changes nothing in the store."
            raise ProblemError(Problem("STO502", str(path), f"It cannot be opened: {error}.", do)) from error

    def cursor(self) -> int:
        """The log offset up to which the server has everything."""
        with self._lock:
            row = self._database.execute("SELECT value FROM meta WHERE name = 'cursor'").fetchone()
        return int(row[0]) if row else 0

    def advance(self, cursor: int, changed: Iterable[SeriesInfo], rejected: Sequence[tuple[str, str]]) -> None:
        """Remembers cursor, new or changed series and rejected (reason, line) in one commit. Raises StorageFailed."""
        rows = [(*info.key, _pack(info)) for info in changed]
        try:
            with self._lock, self._database as database:
                database.execute("BEGIN IMMEDIATE")
                database.executemany("INSERT OR REPLACE INTO series VALUES(?,?,?,?,?)", rows)
                database.executemany("INSERT INTO rejected(reason, line) VALUES(?,?)", rejected)
                if rejected:
                    database.execute("DELETE FROM rejected WHERE id <= (SELECT max(id) FROM rejected) - ?", (MAX_REJECTED,))
                database.execute("INSERT OR REPLACE INTO meta VALUES('cursor', ?)", (cursor,))
        except sqlite3.Error as error:
            raise StorageFailed(str(error)) from error

    def series(self) -> dict[SeriesKey, SeriesInfo]:
        """Every series ever written."""
        with self._lock:
            rows = self._database.execute("SELECT info FROM series ORDER BY site, gateway, device, point").fetchall()
        infos = (_unpack.decode(row[0]) for row in rows)
        return {info.key: info for info in infos}

    def rejected(self) -> list[tuple[str, str]]:
        """(reason, line) of what the server refused, oldest first."""
        with self._lock:
            return self._database.execute("SELECT reason, line FROM rejected ORDER BY id").fetchall()

    def close(self) -> None:
        """Closes the database."""
        with self._lock:
            self._database.close()
