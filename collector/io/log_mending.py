"""Does I/O: makes the log's database anew where it is damaged, from its segments and from what is sound in it.

A new database is made beside the damaged one and takes its name last (row_checks.py). Every record with a sound frame, in a file or
in the database, is in it; its catalogue is what the files hold. If more is wrong than accounts, births or the quarantine, the new
log has another id, so that agents send again what they hold, and no account of lanes is kept: each begins with what its agent says,
so that no receipt speaks of a record that may have been lost. Offsets then go on far above any that was ever given.
"""

from __future__ import annotations

import logging
import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collector.intake.records import Record
from collector.intake.sequences import Sequences
from collector.io.log_reading import Damage, Segment
from collector.io.log_schema import (
    COLUMNS,
    INSERT_BIRTH,
    INSERT_HELD,
    INSERT_SEGMENT,
    SCHEMA,
    add_up,
    birth_row,
    create,
    durable,
    put_state,
    segment_folder,
    summed,
)
from collector.io.log_segment import HEADER, record_of, scan, seed_of
from collector.io.log_writing import LaneKey, SegmentWriter, add_keys
from edge_agent.common.file_rescue import Failed, finish, is_damage, replace_damaged
from edge_agent.common.problem import Problem, ProblemError
from edge_agent.common.row_checks import damaged_tables, rescue, rows_of, sound, teach
from edge_agent.common.wal import is_cut_short

_log = logging.getLogger(__name__)
READ_TRIES = 3
"""A file that is not sound so often in a row is made anew."""
FAR = 1 << 24
"""More offsets than can have been given behind the last one that is known: of a lost file, and of what waited for it."""
STRUCTURE = "structure"
_SIDE = frozenset({"lane", "birth", "poison"})
"""Tables whose damage leaves the records as they are."""
_NO_LIMIT = 1 << 62


def mend(path: Path) -> None:
    """Does nothing to a sound log of the present schema, and to those of others.

    For the collector that holds the state folder, before it opens the log. Raises ProblemError (LOG402).
    """
    folder = segment_folder(path)
    try:
        finish(path)
        if not path.exists() and not any(folder.glob("*.seg")):
            return
        damaged: frozenset[str] = frozenset()
        for _ in range(READ_TRIES):  # a page that the medium refused to read looks like a damaged one
            damaged = _damaged(path)
            if not damaged:
                return
        _log.error("%s is damaged (%s): it is made anew from its segments", path, ", ".join(sorted(damaged)))
        replace_damaged(path, lambda part: _Rebuilt(path, part, damaged).build())
    except (sqlite3.Error, OSError) as error:
        what = f"The log is damaged and cannot be made anew: {error}. It is as it was."
        raise ProblemError(Problem("LOG402", str(path), what, "free space or mend the disk, and start again.")) from error


def _damaged(path: Path) -> frozenset[str]:
    """The tables in which a row is damaged, or STRUCTURE; empty for what is sound or none of ours."""
    if not path.exists():
        return frozenset({STRUCTURE})
    try:
        is_cut = is_cut_short(path)
        with closing(sqlite3.connect(path, isolation_level=None, timeout=30.0)) as database:
            teach(database)
            version = int(database.execute("PRAGMA user_version").fetchone()[0])
            if version != SCHEMA:
                has_sums = any(row[1] == "crc" for row in database.execute("PRAGMA table_info(state)"))
                return frozenset({STRUCTURE} if has_sums and version < SCHEMA else ())
            found = damaged_tables(database, COLUMNS)
            if found is None or is_cut:
                return frozenset({STRUCTURE})
            if database.execute("SELECT 1 FROM fresh WHERE typeof(frames) != 'blob'").fetchone():
                found |= {"fresh"}
            one = [database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("meta", "state")]
            return frozenset(found) if one == [1, 1] else frozenset({STRUCTURE})
    except Failed as error:
        if is_damage(error):
            return frozenset({STRUCTURE})
        raise


@dataclass(slots=True)
class _File:
    """What one file holds."""

    row: Segment
    held: dict[LaneKey, Sequences] = field(default_factory=dict)
    births: list[Record] = field(default_factory=list)


class _Rebuilt:
    """A new database under `part`."""

    def __init__(self, path: Path, part: Path, damaged: frozenset[str]) -> None:
        self._path, self._part = path, part
        self._folder = segment_folder(path)
        self._is_side = damaged <= _SIDE

    def build(self) -> None:
        with closing(sqlite3.connect(self._part, isolation_level=None)) as new:
            teach(new)
            durable(new)
            with new:
                new.execute("BEGIN IMMEDIATE")
                self._fill(new)
                new.execute(f"PRAGMA user_version={SCHEMA}")

    def _fill(self, new: sqlite3.Connection) -> None:
        log_id = self._old_id() if self._is_side else None
        create(new, log_id or secrets.token_hex(8))
        tables = ("birth", "poison", "lane") if self._is_side else ("birth", "poison")
        if self._path.exists():
            with suppress(sqlite3.DatabaseError):
                rescue(self._path, new, {table: COLUMNS[table] for table in tables})
        files = self._files()
        top = max((file.row.last for file in files), default=0)
        waiting = self._waiting([file.row.name for file in files], top)
        for number, file in enumerate(files):
            new.execute(INSERT_SEGMENT, summed(file.row))
            if waiting or number < len(files) - 1:  # the newest one's are read from its file
                first = file.row.first
                new.executemany(INSERT_HELD, [summed((*lane, first, held.text())) for lane, held in file.held.items()])
            new.executemany(INSERT_BIRTH, [birth_row(record.offset, record) for record in file.births])
        writer = SegmentWriter(self._folder, new, _NO_LIMIT, Damage(self._folder), _NO_LIMIT)
        for run in _runs(waiting):
            grown = writer.write(run, run[0].offset - 1)
            writer.commit(grown)
            writer.settle(grown)
        self._put_state(new, files, max([top, *(record.offset for record in waiting)]))
        add_up(new)

    def _put_state(self, new: sqlite3.Connection, files: list[_File], top: int) -> None:
        births = new.execute("SELECT coalesce(max(offset), 0) FROM birth").fetchone()[0]
        state = next(iter(self._old("state", only_sound=True)), {})
        last = max(top, births, state.get("last", 0)) + (0 if self._is_side else FAR)
        low = state.get("low", min((file.row.first for file in files), default=1))
        put_state(new, last, low)

    def _files(self) -> list[_File]:
        """What the files hold, oldest first; a file that is gone as far as its row is known."""
        rows = [Segment(*row.values()) for row in self._old("segment", only_sound=True)]
        known = {row.name: row for row in rows}
        found = []
        for path in sorted(self._folder.glob("*.seg")):
            file = _look_into(path)
            row = known.pop(path.name, None)
            if file is None and row is None:
                path.rename(path.with_name(f"{path.name}.damaged"))  # what no row names is swept
            elif row is None:
                found.append(file)
            else:
                found.append(_with_row(file, row))
        gone = [_File(row) for row in known.values() if row.records]
        return sorted(filter(None, [*found, *gone]), key=lambda file: file.row.first)

    def _waiting(self, names: list[str], top: int) -> list[Record]:
        """What is in no file, in order. names: of the files."""
        with_rows = [str(row["name"]) for row in self._old("segment", only_sound=False)]
        candidates = sorted({*names, *with_rows}, reverse=True)
        found: dict[int, Record] = {}
        for row in self._old("fresh", only_sound=False):
            frames = row["frames"]
            if not isinstance(frames, bytes):
                continue
            for name in candidates:
                sound_ones = list(scan(0, seed_of(name), 0, len(frames), lambda _, n, at, held=frames: held[at : at + n]))  # type: ignore[misc]
                if sound_ones:
                    found |= {frame.offset: record_of(frame) for frame in sound_ones if frame.offset > top}
                    break
        return [found[offset] for offset in sorted(found)]

    def _old_id(self) -> str | None:
        rows = [row["value"] for row in self._old("meta", only_sound=True) if row["name"] == "log_id"]
        return str(rows[0]) if rows else None

    def _old(self, table: str, only_sound: bool) -> list[dict[str, Any]]:
        """The rows of the damaged database that can be read."""
        if not self._path.exists():
            return []
        with closing(sqlite3.connect(self._path, isolation_level=None)) as old:
            teach(old)
            old.text_factory = lambda raw: raw.decode("utf-8", "replace")
            condition = sound(COLUMNS, table) if only_sound else "1"
            return [dict(zip(names, row, strict=True)) for names, row in rows_of(old, table, condition)]


def _look_into(path: Path) -> _File | None:
    """What a file holds; None if no frame of it is sound."""
    opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        row: Segment | None = None
        found = _File(Segment(0, 0, 0, 0, 0, 0, path.name))
        for frame in scan(opened, seed_of(path.name), len(HEADER), os.fstat(opened).st_size):
            if row is not None and (frame.number < row.records or frame.offset <= row.last):
                continue
            record = record_of(frame)
            at_ms = record.received_ms
            first = row.first if row is not None else _first_of(path.name, frame.offset)
            oldest_ms, newest_ms = (row.oldest_ms, max(row.newest_ms, at_ms)) if row is not None else (at_ms, at_ms)
            row = Segment(first, frame.offset, frame.number + 1, frame.after, oldest_ms, newest_ms, path.name)
            add_keys(found.held, [record])
            if record.kind == "birth":
                found.births.append(record)
    finally:
        os.close(opened)
    if row is None:
        return None
    found.row = row
    return found


def _first_of(name: str, offset: int) -> int:
    """Where a file begins, as its name says."""
    digits = name.split("-", maxsplit=1)[0]
    return min(int(digits), offset) if digits.isdecimal() else offset


def _with_row(file: _File | None, row: Segment) -> _File | None:
    """A file and its row: what was committed and is damaged is counted, what the row does not know yet is taken."""
    if file is None:
        return _File(row) if row.records else None
    seen = file.row
    file.row = row._replace(
        last=max(row.last, seen.last),
        records=max(row.records, seen.records),
        length=max(row.length, seen.length),
        newest_ms=max(row.newest_ms, seen.newest_ms),
    )
    return file


def _runs(records: list[Record]) -> Iterator[list[Record]]:
    """Runs without a gap in the offsets."""
    run: list[Record] = []
    for record in records:
        if run and record.offset != run[-1].offset + 1:
            yield run
            run = []
        run.append(record)
    if run:
        yield run
