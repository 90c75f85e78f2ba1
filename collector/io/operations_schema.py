"""Does I/O: opens the operations database - schema, version, file rights, durability."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from edge_agent.common.file_rescue import Failed, asides, finish, is_damage, replace_damaged
from edge_agent.common.problem import Problem, ProblemError
from edge_agent.common.row_checks import find_damage, guard, rescue, teach
from edge_agent.common.wal import is_cut_short, settle

VERSION = 2
READ_TRIES = 3
"""A file that is not sound so often in a row is set aside."""

_SCHEMA = """
CREATE TABLE engine (one INTEGER PRIMARY KEY CHECK (one = 1), cursor INTEGER NOT NULL, state BLOB NOT NULL);
CREATE TABLE warnings (
    id TEXT PRIMARY KEY, site TEXT NOT NULL, state TEXT NOT NULL, began_ms INTEGER NOT NULL, body BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX warnings_by_time ON warnings (began_ms DESC, id);
CREATE INDEX warnings_by_site ON warnings (site, began_ms DESC, id);
CREATE TABLE acts (
    n INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL,
    warning TEXT NOT NULL, note TEXT NOT NULL, hash TEXT NOT NULL
);
CREATE INDEX acts_by_warning ON acts (warning, n);
CREATE TABLE notices (
    id TEXT PRIMARY KEY, channel TEXT NOT NULL, kind TEXT NOT NULL, warning TEXT NOT NULL, body BLOB NOT NULL,
    made_ms INTEGER NOT NULL, next_ms INTEGER, attempts INTEGER NOT NULL DEFAULT 0, state TEXT NOT NULL DEFAULT 'waiting'
) WITHOUT ROWID;
CREATE INDEX notices_due ON notices (next_ms) WHERE next_ms IS NOT NULL;
CREATE TABLE attempts (
    notice TEXT NOT NULL, n INTEGER NOT NULL, began_ms INTEGER NOT NULL, ended_ms INTEGER, ok INTEGER,
    detail TEXT NOT NULL DEFAULT '', PRIMARY KEY (notice, n)
) WITHOUT ROWID;
CREATE TABLE summaries (day TEXT PRIMARY KEY, made_ms INTEGER NOT NULL, zh TEXT NOT NULL, en TEXT NOT NULL) WITHOUT ROWID;
"""
CACHE_KIB = 1024
"""Pages that each connection keeps: the rules' state of some hundred series fits."""
COLUMNS = {
    "engine": ("one", "cursor", "state"),
    "warnings": ("id", "site", "state", "began_ms", "body"),
    "notices": ("id", "channel", "kind", "warning", "body", "made_ms", "next_ms", "attempts", "state"),
    "attempts": ("notice", "n", "began_ms", "ended_ms", "ok", "detail"),
    "summaries": ("day", "made_ms", "zh", "en"),
    "acts": ("n", "at_ms", "who", "what", "warning", "note", "hash"),
}
"""Tables with a checksum in each row (since version 2)."""


def open_database(path: Path) -> tuple[sqlite3.Connection, list[str]]:
    """A connection for writing, and the names under which damaged files were set aside and lie there still.

    Raises ProblemError: OPS701 newer schema, OPS702 not readable.
    """
    try:
        finish(path)
        path.touch(mode=0o600, exist_ok=True)
        path.chmod(0o600)
        connection = _sound(path)
        if connection is None:
            replace_damaged(path, lambda part: _renew(path, part))
            connection = _prepared(path)
        if connection is None:
            raise sqlite3.DatabaseError("a new database is not readable")
    except (sqlite3.Error, OSError) as error:
        what = f"The operations database cannot be opened: {error}."
        raise ProblemError(
            Problem("OPS702", str(path), what, "check rights and free space; restore it from a backup if it is damaged.")
        ) from error
    return connection, [aside.name for aside in asides(path)]


def _sound(path: Path) -> sqlite3.Connection | None:
    for _ in range(READ_TRIES):  # a page that the medium refused to read looks like a damaged one
        is_cut = is_cut_short(path)
        connection = _prepared(path)
        if connection is not None and not is_cut and not find_damage(connection, COLUMNS):
            return connection
        if connection is not None:
            connection.close()
    return None


def _renew(damaged: Path, part: Path) -> None:
    """Every sound row, but for the engine's: it begins anew and finds the same warnings in what the log still holds."""
    connection = _prepared(part)
    if connection is None:
        raise sqlite3.DatabaseError("a new database is not readable")
    with closing(connection), connection:
        connection.execute("BEGIN IMMEDIATE")
        rescue(damaged, connection, {table: names for table, names in COLUMNS.items() if table != "engine"})


def _prepared(path: Path) -> sqlite3.Connection | None:
    """Open and of the present version; None if the file is too damaged for that."""
    try:
        connection = connect(path)
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if found > VERSION:
            connection.close()
            raise ProblemError(_newer(path, found))
        settle(connection, path)
        if found < VERSION:
            schema = _SCHEMA if found == 0 else ""
            connection.executescript(f"BEGIN IMMEDIATE;{schema}{guard(COLUMNS)}PRAGMA user_version = {VERSION};COMMIT;")
    except Failed as error:
        if is_damage(error):
            return None
        raise
    return connection


def connect(path: Path) -> sqlite3.Connection:
    """A plain connection: WAL, and durable at each commit (synchronous FULL)."""
    connection = sqlite3.connect(path, timeout=10.0, isolation_level=None, check_same_thread=False)
    teach(connection)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA busy_timeout = 10000")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    return connection


def _newer(path: Path, found: int) -> Problem:
    what = f"The operations database has schema {found}; this program knows {VERSION} and would damage it."
    return Problem(
        "OPS701", str(path), what, "install the newer collector again, or restore the backup made before it was upgraded."
    )
