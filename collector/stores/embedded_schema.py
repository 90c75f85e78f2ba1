"""Does I/O: tables of the embedded store and the opening of its database."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from edge_agent.common.file_rescue import finish, is_damage, replace_damaged
from edge_agent.common.problem import Problem, ProblemError
from edge_agent.common.row_checks import find_damage, guard, teach
from edge_agent.common.wal import is_cut_short, settle

SCHEMA = 3
CHECKED_BYTES = 256 << 20
"""Up to this size the whole file is looked at when the collector starts; larger ones row by row, as they are read."""
WRITER_KIB, READER_KIB = 8192, 512
"""Pages that a connection keeps at most: a write for some thousand gateways touches two of each; a reader's are void after each."""
READ_TRIES = 3
"""A file that is not sound so often in a row is set aside."""
TABLES = """
CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE series(
    id INTEGER PRIMARY KEY, site TEXT NOT NULL, gateway TEXT NOT NULL, device TEXT NOT NULL, point TEXT NOT NULL,
    attributes BLOB NOT NULL, since_ms INTEGER NOT NULL, UNIQUE(site, gateway, device, point));
CREATE TABLE history(series INTEGER NOT NULL, from_ms INTEGER NOT NULL, attributes BLOB NOT NULL,
    PRIMARY KEY(series, from_ms)) WITHOUT ROWID;
CREATE TABLE batch(
    id INTEGER PRIMARY KEY, site TEXT NOT NULL, gateway TEXT NOT NULL, epoch TEXT NOT NULL, lane TEXT NOT NULL,
    seq INTEGER NOT NULL, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, columns BLOB NOT NULL,
    UNIQUE(site, gateway, epoch, lane, seq));
CREATE INDEX batch_time ON batch(site, gateway, last_ms, first_ms);
CREATE TABLE span(site TEXT NOT NULL, gateway TEXT NOT NULL, ms INTEGER NOT NULL, PRIMARY KEY(site, gateway)) WITHOUT ROWID;
CREATE TABLE due(site TEXT NOT NULL, gateway TEXT NOT NULL, hour INTEGER NOT NULL, marked_ms INTEGER NOT NULL,
    PRIMARY KEY(site, gateway, hour)) WITHOUT ROWID;
CREATE INDEX due_order ON due(marked_ms);
CREATE TABLE latest(series INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, value BLOB NOT NULL, quality INTEGER NOT NULL);
"""
CHUNKS = """
CREATE TABLE rolled(series INTEGER NOT NULL, hour INTEGER NOT NULL, upto INTEGER NOT NULL, count INTEGER NOT NULL,
    chunk BLOB NOT NULL, chart BLOB, PRIMARY KEY(series, hour)) WITHOUT ROWID;
CREATE TABLE sealed(id INTEGER PRIMARY KEY, series INTEGER NOT NULL, day INTEGER NOT NULL, count INTEGER NOT NULL,
    chunk BLOB NOT NULL, chart BLOB, hours BLOB NOT NULL, UNIQUE(series, day));
CREATE TABLE unsealed(site TEXT NOT NULL, gateway TEXT NOT NULL, day INTEGER NOT NULL,
    PRIMARY KEY(day, site, gateway)) WITHOUT ROWID;
"""
"""Since schema 3. rolled: hours, upto: the last batch whose readings are in it; sealed: days; chart: what a chart of minutes needs,
where that is less; hours: what one of hours needs. unsealed: days that have hours in `rolled`."""
FROM_2 = """
INSERT OR IGNORE INTO due(site, gateway, hour, marked_ms)
    SELECT DISTINCT site, gateway, hour, 0 FROM rolled JOIN series ON series.id = rolled.series;
DROP TABLE rolled;
"""
"""Roll-ups of schema 2 hold less than the readings; they are made anew from the batches, which were all kept."""
COLUMNS = {
    "batch": ("id", "site", "gateway", "epoch", "lane", "seq", "first_ms", "last_ms", "columns"),
    "series": ("id", "site", "gateway", "device", "point", "attributes", "since_ms"),
    "history": ("series", "from_ms", "attributes"),
    "latest": ("series", "time_ms", "value", "quality"),
    "rolled": ("series", "hour", "upto", "count", "chunk", "chart"),
    "sealed": ("id", "series", "day", "count", "chunk", "chart", "hours"),
    "span": ("site", "gateway", "ms"),
    "meta": ("name", "value"),
}
"""Tables with a checksum in each row."""
_NEW = {table: COLUMNS[table] for table in ("rolled", "sealed")}
"""Those that schema 2 has not."""


def open_database(path: Path, cache_kib: int = WRITER_KIB) -> sqlite3.Connection:
    """A connection to the store, made if it is not there. Raises ProblemError (STO501 newer, STO502 unreadable)."""
    with opening(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        database = sqlite3.connect(path, isolation_level=None, timeout=30.0, check_same_thread=False)
        version = int(database.execute("PRAGMA user_version").fetchone()[0])
        if version > SCHEMA:
            database.close()
            what = f"The store was written by a newer version (schema {version}, this one knows {SCHEMA})."
            raise ProblemError(Problem("STO501", str(path), what, "install the newer version again."))
        path.chmod(0o600)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "journal_size_limit=67108864", f"cache_size=-{cache_kib}"):
            database.execute(f"PRAGMA {pragma}").fetchall()
        teach(database)
        if version < SCHEMA:
            made = TABLES if version == 0 else FROM_2
            guarded = guard(_NEW if version == 2 else COLUMNS)
            database.executescript(f"BEGIN IMMEDIATE; {made} {CHUNKS} {guarded} PRAGMA user_version={SCHEMA}; COMMIT;")
    return database


def open_sound(path: Path, renew: Callable[[Path, sqlite3.Connection], object]) -> sqlite3.Connection:
    """A connection to a store without damage. renew: fills a new one from what is sound in a damaged one.

    Raises ProblemError (STO501, STO502).
    """
    with opening(path):
        finish(path)
    for _ in range(READ_TRIES):  # a page that the medium refused to read looks like a damaged one
        with opening(path):
            is_cut = is_cut_short(path)
        try:
            database = open_database(path)
        except ProblemError as problem:
            if not isinstance(problem.__cause__, sqlite3.Error) or not is_damage(problem.__cause__):
                raise
            continue
        with opening(path):
            settle(database, path)
            if not is_cut and (path.stat().st_size > CHECKED_BYTES or not find_damage(database, COLUMNS)):
                return database
        database.close()

    def build(part: Path) -> None:
        with closing(open_database(part)) as database:
            renew(path, database)

    with opening(path):
        replace_damaged(path, build)
    return open_database(path)


@contextmanager
def opening(path: Path) -> Iterator[None]:
    """Whatever SQLite or the system refuses meanwhile is ProblemError (STO502)."""
    try:
        yield
    except UnicodeDecodeError as error:  # SQLite's own words, with what stands in a damaged page
        raise ProblemError(_unreadable(path, error)) from sqlite3.DatabaseError("malformed")
    except (sqlite3.Error, OSError) as error:
        raise ProblemError(_unreadable(path, error)) from error


def _unreadable(path: Path, error: Exception) -> Problem:
    do = "move the file away: it is made anew from the log and from backups."
    return Problem("STO502", str(path), f"The store cannot be opened: {error}.", do)
