"""Does I/O: the writing end of the log's segments: which keys are new, where records go, and when a new file begins.

An append puts its frames into the database, with all else that it commits: one sync. When a quarter of a MiB waits there it is
written into the segment's file, and the next transaction moves the file's end and empties the table. What is written behind the end
is always the beginning of what waits, so that a second attempt writes the same bytes. A new segment begins at the size given, and
when the UTC day of the present one is over.
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
from collector.io.log_schema import (
    DAY_MS,
    FRESH,
    HELD,
    INSERT_BIRTH,
    INSERT_HELD,
    INSERT_SEGMENT,
    SEGMENTS,
    birth_row,
    checked,
    checked_fresh,
    get_state,
    put_state,
    summed,
)
from collector.io.log_segment import HEADER, frame, seed_of, write_frames
from edge_agent.common.durable import sync_folder
from edge_agent.common.hazard import hazard

SPILL_BYTES = 256 << 10
"""Frames wait in the database, and in memory, up to this, so that an append costs one sync and not two."""
MAX_FRESH = 1 << 40
LaneKey = tuple[str, str, str, str]


@dataclass(slots=True)
class _Newest:
    """The newest segment: its row, the keys it holds, and the frames that are committed in the database alone."""

    row: Segment
    held: dict[LaneKey, Sequences] = field(default_factory=dict)
    frames: list[bytes] = field(default_factory=list)
    waiting: int = 0
    """Bytes of the frames."""
    fresh: int = 0
    """Records of the frames."""
    last: int = 0
    """Offset of the last of them."""
    newest_ms: int = 0


@dataclass(frozen=True, slots=True)
class Grown:
    """What is to be committed. spilled: the row of the newest file after its frames were written into it; None: they wait."""

    records: Sequence[Record]
    frames: bytes
    last: int
    number: int
    newest: _Newest
    spilled: Segment | None
    sealed: _Newest | None
    """The segment before, if this one is new."""
    is_new: bool


class SegmentWriter:
    """For the thread that owns the log's writes. `database` is the log's writing connection."""

    def __init__(self, folder: Path, database: sqlite3.Connection, segment_bytes: int, damage: Damage, spill_bytes: int) -> None:
        self._folder = folder
        self._database = database
        self._segment_bytes = segment_bytes
        self._damage = damage
        self._spill_bytes = spill_bytes
        self._newest: _Newest | None = None
        self._looked = self._swept = False
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
        """Frames for the database; those that wait there go into their file when they are many. Raises OSError."""
        newest, now_ms = self._newest, records[0].received_ms
        size = sum(len(record.payload) for record in records)
        is_new = (
            newest is None
            or newest.row.length + newest.waiting + size > self._segment_bytes
            or now_ms // DAY_MS > newest.row.oldest_ms // DAY_MS
        )
        sealed = spilled = None
        if newest is not None and newest.frames and (is_new or newest.waiting + size > self._spill_bytes):
            spilled = self._spill(newest)
        if newest is None or is_new:
            first = last + 1
            row = Segment(first, last, 0, len(HEADER), now_ms, now_ms, segment_name(first))
            sealed, newest = newest, _Newest(row, newest_ms=now_ms)
        number, seed = newest.row.records + newest.fresh, seed_of(newest.row.name)
        frames = b"".join(frame(r, last + 1 + n, number + n, seed) for n, r in enumerate(records))
        return Grown(records, frames, last + len(records), number, newest, spilled, sealed, is_new)

    def commit(self, grown: Grown) -> None:
        """Its part of the transaction. Raises sqlite3.Error."""
        database = self._database
        if grown.spilled is not None:
            self._move_end(grown.spilled)
        if grown.sealed is not None:
            first = grown.sealed.row.first
            database.executemany(INSERT_HELD, [summed((*lane, first, held.text())) for lane, held in grown.sealed.held.items()])
        if grown.is_new:
            database.execute(INSERT_SEGMENT, summed(grown.newest.row))
        start = grown.last - len(grown.records) + 1
        sum_of = summed((start, grown.last, grown.number))[-1]
        database.execute("INSERT INTO fresh VALUES(?,?,?,?,?)", (start, grown.last, grown.number, grown.frames, sum_of))
        put_state(database, grown.last, get_state(database)[1])
        births = [birth_row(start + n, record) for n, record in enumerate(grown.records) if record.kind == "birth"]
        if births:
            database.executemany(INSERT_BIRTH, births)

    def settle(self, grown: Grown) -> None:
        """The transaction is durable."""
        newest = grown.newest
        if grown.spilled is not None and grown.sealed is None:
            newest.row, newest.frames, newest.waiting, newest.fresh = grown.spilled, [], 0, 0
        newest.frames.append(grown.frames)
        newest.waiting += len(grown.frames)
        newest.fresh += len(grown.records)
        newest.last = grown.last
        newest.newest_ms = max(newest.newest_ms, *(record.received_ms for record in grown.records))
        add_keys(newest.held, grown.records)
        if grown.sealed is not None:
            self._older.clear()
        self._newest = newest

    def flush(self) -> None:
        """Puts what waits into its file now, in a transaction of its own. Raises sqlite3.Error, OSError."""
        newest = self._look()
        if newest is not None and newest.frames:
            row = self._spill(newest)
            with self._database:
                self._database.execute("BEGIN IMMEDIATE")
                self._move_end(row)
            self.forget()

    def _move_end(self, row: Segment) -> None:
        """What waited is in the file now."""
        query = "UPDATE segment SET last = ?, records = ?, length = ?, newest_ms = ?, crc = ? WHERE first = ?"
        self._database.execute(query, (row.last, row.records, row.length, row.newest_ms, summed(row)[-1], row.first))
        self._database.execute("DELETE FROM fresh")

    def forget(self) -> None:
        """Looks anew at what is committed before the next write."""
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

    def _spill(self, newest: _Newest) -> Segment:
        """Puts what waits into the file. Should its commit fail, the same bytes are written there again."""
        if not self._folder.is_dir():
            self._folder.mkdir(mode=0o700, exist_ok=True)
            sync_folder(self._folder.parent)
        row = newest.row
        hazard("log.spill.before")
        length = write_frames(self._folder / row.name, row.length, newest.frames)
        hazard("log.spill.after")
        records = row.records + newest.fresh
        return row._replace(last=newest.last, records=records, length=length, newest_ms=max(row.newest_ms, newest.newest_ms))

    def _look(self) -> _Newest | None:
        """The newest committed segment. Files that no row names are what a trim left, and go."""
        if self._looked:
            return self._newest
        if not self._swept:
            remove_orphans(self._folder, [checked(row)[-1] for row in self._database.execute(SEGMENTS)])
            self._swept = True
        rows = self._database.execute(f"{SEGMENTS} ORDER BY first DESC LIMIT 1").fetchall()
        if rows:
            self._newest = self._reopen(Segment(*checked(rows[0])))
        self._looked = True
        return self._newest

    def _reopen(self, row: Segment) -> _Newest:
        newest, reader = _Newest(row, newest_ms=row.newest_ms), SegmentReader(self._folder, self._damage)
        if row.records:
            with suppress(FileNotFoundError):
                add_keys(newest.held, reader.frames(row))
        rows = [checked_fresh(row) for row in self._database.execute(f"{FRESH} ORDER BY first")]
        records = reader.fresh(row, rows, 0, MAX_FRESH)
        add_keys(newest.held, records)
        newest.frames = [frames for *_, frames in rows]
        newest.waiting = sum(map(len, newest.frames))
        newest.fresh = sum(last - first + 1 for first, last, *_ in rows)
        newest.last = rows[-1][1] if rows else row.last
        newest.newest_ms = max(row.newest_ms, *(record.received_ms for record in records), 0)
        return newest

    def _held_before(self, lane: LaneKey) -> Sequences:
        held = self._older.get(lane)
        if held is None:
            held = Sequences()
            query = f"{HELD} WHERE site = ? AND gateway = ? AND epoch = ? AND lane = ?"
            for row in self._database.execute(query, lane).fetchall():
                for first, last in parse_ranges(checked(row)[-1]):
                    held.add(first, last)
            self._older[lane] = held
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
