"""Does I/O: takes over a log of schema 1 (0.1.0: every record in the database) or 2 (no checksums) at the first start.

The records of schema 1 go into segments; one transaction then makes them the log's and drops the old table. Whatever happens before
that transaction, the old log is as it was and the next start begins anew; whatever happens behind it, the log is taken over.
"""

from __future__ import annotations

import logging
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from collector.intake.records import BatchKey, Record
from collector.io.log_reading import Damage
from collector.io.log_schema import ADD_SUMS, DAY_MS, SCHEMA, SEGMENT_TABLES, add_up, crc_of, durable, put_state, segment_folder
from collector.io.log_writing import SPILL_BYTES, SegmentWriter, remove_orphans
from collector.io.sqlite_log import SEGMENT_BYTES
from edge_agent.common.hazard import hazard
from edge_agent.common.problem import Problem, ProblemError
from edge_agent.common.row_checks import teach
from edge_agent.common.words import stored

_log = logging.getLogger(__name__)
_STEP = 2000
_ROOMY_BYTES = 64 << 20
_COLUMNS = "offset, site, gateway, epoch, lane, seq, received_ms, kind, crc, payload"


def take_over(path: Path, segment_bytes: int = SEGMENT_BYTES) -> int:
    """Does nothing to a log of the present schema, or where there is none. Gives how many damaged records stayed behind.

    For the collector that holds the state folder, before it opens the log. Raises ProblemError (LOG402).
    """
    if not path.exists():
        return 0
    try:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=30.0)) as database:
            version = int(database.execute("PRAGMA user_version").fetchone()[0])
            if version > SCHEMA:
                return 0
            teach(database)
            lost = _convert(database, path, segment_bytes) if version == 1 else _add_sums(database) if version == 2 else 0
            _give_back_space(database)
    except (sqlite3.Error, OSError) as error:
        what = f"The log of an older version cannot be taken over: {error}. It is as it was."
        raise ProblemError(Problem("LOG402", str(path), what, "free space or mend the disk, and start again.")) from error
    return lost


def _convert(database: sqlite3.Connection, path: Path, segment_bytes: int) -> int:
    folder = segment_folder(path)
    durable(database)
    count, last = database.execute("SELECT count(*), coalesce(max(offset), 0) FROM record").fetchone()
    _check_space(path)
    _log.warning("the log of an older version is taken over: %d records", count)
    remove_orphans(folder, [])
    moved = 0
    with database:
        database.execute("BEGIN IMMEDIATE")
        database.execute("DROP INDEX birth")  # the name is a table's now
        for statement in f"{SEGMENT_TABLES}{ADD_SUMS}".split(";"):
            database.execute(statement)
        database.execute("INSERT INTO state(one, last, low) VALUES(1, 0, 1)")
        add_up(database)
        segments = SegmentWriter(folder, database, segment_bytes, Damage(folder), SPILL_BYTES)
        for records in _runs(database, last):
            grown = segments.write(records, records[0].offset - 1)
            segments.commit(grown)
            segments.settle(grown)
            moved += len(records)
        segments.forget()
        (given,) = database.execute("SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'record'), 0)").fetchone()
        put_state(database, given, 1)
        database.execute("DROP TABLE record")
        database.execute(f"PRAGMA user_version = {SCHEMA}")
        hazard("log.takeover.before")
    hazard("log.takeover.after")
    if moved < count:
        _log.error("%d records of the old log were damaged and are left out", count - moved)
    return int(count - moved)


def _add_sums(database: sqlite3.Connection) -> int:
    """Gives the rows of schema 2 their checksums; births had one already, and damaged ones stay behind."""
    durable(database)
    with database:
        database.execute("BEGIN IMMEDIATE")
        query = "SELECT offset, site, gateway, epoch, lane, seq, received_ms, 'birth', crc, payload FROM birth"
        damaged = [(row[0],) for row in database.execute(query).fetchall() if _record(row) is None]
        database.executemany("DELETE FROM birth WHERE offset = ?", damaged)
        for statement in ADD_SUMS.split(";"):
            database.execute(statement)
        add_up(database)
        database.execute(f"PRAGMA user_version = {SCHEMA}")
        hazard("log.takeover.before")
    hazard("log.takeover.after")
    return len(damaged)


def _runs(database: sqlite3.Connection, last: int) -> Iterator[list[Record]]:
    """The sound records in order, as runs without a gap in the offsets and within one day."""
    after = 0
    while after < last:
        rows = _rows(database, after, min(last, after + _STEP))
        after = min(last, after + _STEP)
        run: list[Record] = []
        for record in filter(None, map(_record, rows)):
            if run and (record.offset != run[-1].offset + 1 or record.received_ms // DAY_MS != run[0].received_ms // DAY_MS):
                yield run
                run = []
            run.append(record)
        if run:
            yield run


def _rows(database: sqlite3.Connection, after: int, upto: int) -> list[Any]:
    """The rows in after < offset <= upto; where a page is damaged, those that can be read one by one."""
    query = f"SELECT {_COLUMNS} FROM record WHERE offset > ? AND offset <= ? ORDER BY offset"
    try:
        return database.execute(query, (after, upto)).fetchall()
    except sqlite3.DatabaseError:
        found = []
        for offset in range(after, upto):
            with suppress(sqlite3.DatabaseError):
                found += database.execute(query, (offset, offset + 1)).fetchall()
        return found


def _record(row: Sequence[Any]) -> Record | None:
    """The record of a row; None if its checksum is wrong."""
    offset, site, gateway, epoch, lane, seq, received_ms, kind, crc, payload = row
    key = BatchKey(site, gateway, epoch, lane, seq)
    if not isinstance(payload, bytes):
        return None
    return Record(offset, key, received_ms, payload, kind) if crc_of(key, received_ms, kind, payload) == crc else None


def _check_space(path: Path) -> None:
    needed = path.stat().st_size + _ROOMY_BYTES
    if shutil.disk_usage(path.parent).free < needed:
        raise OSError(f"it needs {stored(needed)} of free space")


def _give_back_space(database: sqlite3.Connection) -> None:
    """Makes the database file small where most of it is empty. It may stay large where the disk refuses: no harm."""
    empty, size = (int(database.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("freelist_count", "page_size"))
    if empty * size > _ROOMY_BYTES:
        try:
            database.execute("VACUUM")
        except sqlite3.Error as error:
            _log.warning("the log's database keeps %d MiB of empty pages: %s", empty * size >> 20, error)
