"""Does I/O: the writing end of the log's segments: which keys are new, where records go, and when a new file begins.

A new file begins at the size given, when the UTC day of the present one is over, and after every failure: what a failed write or
commit may have left is never written over, whatever becomes of that commit in the database.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from collector.intake.records import BatchKey, Record
from collector.intake.sequences import Sequences, parse_ranges
from collector.io.log_reading import Damage, Segment, SegmentReader
from collector.io.log_schema import DAY_MS, INSERT_BIRTH, INSERT_HELD, INSERT_SEGMENT, SEGMENTS, birth_row
from collector.io.log_segment import SegmentFile, frame, sync_folder
from edge_agent.common.hazard import hazard

LaneKey = tuple[str, str, str, str]


@dataclass(slots=True)
class _Newest:
    """The newest segment: its row, the keys it holds, and its file while that may grow."""

    row: Segment
    file: SegmentFile | None
    held: dict[LaneKey, Sequences] = field(default_factory=dict)

    def close(self) -> None:
        """Grows no more."""
        if self.file is not None:
            self.file.close()
            self.file = None


@dataclass(frozen=True, slots=True)
class Grown:
    """What was written and is to be committed. sealed: the segment before, if this one is new."""

    row: Segment
    records: Sequence[Record]
    newest: _Newest
    sealed: _Newest | None
    is_new: bool


class SegmentWriter:
    """For the thread that owns the log's writes. `database` is the log's writing connection."""

    def __init__(self, folder: Path, database: sqlite3.Connection, segment_bytes: int, damage: Damage) -> None:
        self._folder = folder
        self._database = database
        self._segment_bytes = segment_bytes
        self._damage = damage
        self._newest: _Newest | None = None
        self._looked = self._swept = False
        self._spoiled = ""
        """A file that takes no more after a failure."""
        self._older: dict[LaneKey, Sequences] = {}
        """What the segments before the newest hold of the lanes that wrote lately."""

    def fresh(self, records: Sequence[Record]) -> list[Record]:
        """The records whose keys the log lacks. Raises sqlite3.Error, OSError, StorageFailed."""
        newest = self._look() if records else None
        own = newest.held if newest is not None else {}
        fresh, taken = list[Record](), set[BatchKey]()
        for record in records:
            key = record.key
            held = own.get(key[:4])
            if key in taken or (held is not None and key.seq in held) or key.seq in self._held_before(key[:4]):
                continue
            if record.kind == "birth" and self._has_birth(key):
                continue
            taken.add(key)
            fresh.append(record)
        return fresh

    def write(self, records: Sequence[Record], last: int) -> Grown:
        """Makes the records durable in the newest file, behind its committed end. Raises OSError."""
        newest, now_ms = self._newest, records[0].received_ms
        size = sum(len(record.payload) for record in records)
        fits = newest is not None and newest.file is not None and newest.file.length + size <= self._segment_bytes
        sealed = None
        is_new = not fits or newest is None or now_ms // DAY_MS > newest.row.oldest_ms // DAY_MS
        if newest is None or is_new:
            sealed, newest = newest, self._begin(last + 1, now_ms)
        row, file = newest.row, newest.file
        if file is None:
            raise OSError("the newest segment is closed")
        try:
            file.write(b"".join(frame(r, last + 1 + n, row.records + n, file.seed) for n, r in enumerate(records)))
            hazard("log.file.synced")
        except BaseException:
            self._spoiled = row.name
            newest.close()
            raise
        newest_ms = max(row.newest_ms, *(record.received_ms for record in records))
        grown = row._replace(last=last + len(records), records=row.records + len(records), length=file.length, newest_ms=newest_ms)
        return Grown(grown, records, newest, sealed, is_new)

    def commit(self, grown: Grown) -> None:
        """Its part of the transaction. Raises sqlite3.Error."""
        database, row = self._database, grown.row
        if grown.is_new:
            database.execute(INSERT_SEGMENT, row)
        else:
            query = "UPDATE segment SET last = ?, records = ?, length = ?, newest_ms = ? WHERE first = ?"
            database.execute(query, (row.last, row.records, row.length, row.newest_ms, row.first))
        if grown.sealed is not None:
            first = grown.sealed.row.first
            database.executemany(INSERT_HELD, [(*lane, first, held.text()) for lane, held in grown.sealed.held.items()])
        database.execute("UPDATE state SET last = ?", (row.last,))
        start = row.last - len(grown.records) + 1
        births = [birth_row(start + n, record) for n, record in enumerate(grown.records) if record.kind == "birth"]
        if births:
            database.executemany(INSERT_BIRTH, births)

    def settle(self, grown: Grown) -> None:
        """The transaction is durable."""
        grown.newest.row = grown.row
        add_keys(grown.newest.held, grown.records)
        if grown.sealed is not None:
            grown.sealed.close()
            self._older.clear()
        self._newest = grown.newest

    def leave(self, grown: Grown | None) -> None:
        """The transaction failed: whatever was written stays where it is, and its file takes no more."""
        if grown is not None:
            self._spoiled = grown.row.name
            grown.newest.close()
        self.forget()

    def forget(self) -> None:
        """Looks anew at what is committed before the next write."""
        if self._newest is not None:
            self._newest.close()
        self._newest, self._looked = None, False
        self._older.clear()

    def remove(self, names: Sequence[str]) -> None:
        """Deletes files that the database names no more; what cannot be deleted is tried again at the next start."""
        self._older.clear()
        if self._newest is not None and self._newest.row.name in names:
            self.forget()
        for name in names:
            with suppress(OSError):
                (self._folder / name).unlink(missing_ok=True)

    def _look(self) -> _Newest | None:
        """The newest committed segment. What a crash left is deleted at the first look alone: a commit that failed since may be
        on disk all the same, and come back with the next start."""
        if self._looked:
            return self._newest
        if not self._swept:
            remove_orphans(self._folder, [name for (name,) in self._database.execute("SELECT name FROM segment")])
            self._swept = True
        rows = self._database.execute(f"{SEGMENTS} ORDER BY first DESC LIMIT 1").fetchall()
        if rows:
            self._newest = self._reopen(Segment(*rows[0]))
        self._looked = True
        return self._newest

    def _reopen(self, row: Segment) -> _Newest:
        newest = _Newest(row, None)
        with suppress(FileNotFoundError):
            add_keys(newest.held, SegmentReader(self._folder, self._damage).frames(row))
            if row.name != self._spoiled:
                newest.file = SegmentFile(self._folder / row.name, row.length)
        return newest

    def _begin(self, first: int, now_ms: int) -> _Newest:
        if not self._folder.is_dir():
            self._folder.mkdir(mode=0o700, exist_ok=True)
            sync_folder(self._folder.parent)
        name = segment_name(first)
        made = _Newest(Segment(first, first - 1, 0, 0, now_ms, now_ms, name), SegmentFile(self._folder / name))
        hazard("log.segment.made")
        return made

    def _held_before(self, lane: LaneKey) -> Sequences:
        held = self._older.get(lane)
        if held is None:
            held = self._older[lane] = Sequences()
            query = "SELECT ranges FROM held WHERE site = ? AND gateway = ? AND epoch = ? AND lane = ?"
            for (ranges,) in self._database.execute(query, lane).fetchall():
                for first, last in parse_ranges(ranges):
                    held.add(first, last)
        return held

    def _has_birth(self, key: BatchKey) -> bool:
        query = "SELECT 1 FROM birth WHERE site = ? AND gateway = ? AND epoch = ? AND lane = ? AND seq = ?"
        return self._database.execute(query, key).fetchone() is not None


def segment_name(first: int) -> str:
    """A name never used before: where it begins, and 32 random bits (the checksums of the file begin with them)."""
    return f"{first:016d}-{secrets.token_hex(4)}.seg"


def add_keys(held: dict[LaneKey, Sequences], records: Iterable[Record]) -> None:
    """Takes the records' keys in."""
    for record in records:
        held.setdefault(record.key[:4], Sequences()).add(record.key.seq)


def remove_orphans(folder: Path, names: Sequence[str]) -> None:
    """Deletes the segment files that are none of these."""
    known = set(names)
    for file in folder.glob("*.seg"):
        if file.name not in known:
            with suppress(OSError):
                file.unlink()
