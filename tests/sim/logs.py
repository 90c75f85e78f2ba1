"""Pure, but for FileLog, which does I/O. What a simulated collector keeps: log, store, operations. Each can be backed up.

An append, a write, a commit is there whole or not at all; one that failed may be there all the same. Records of the log can rot:
such a record is never served again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from collector.domain.identity import GatewayId, SeriesKey
from collector.intake.records import BatchKey, LaneState, Poison, Record
from collector.io.sqlite_log import SqliteLog
from collector.rules.changes import Change, Raised
from collector.seams import StorageFailed, StoreBatch
from edge_agent.common.hazard import hazard
from edge_agent.contract import encoding
from edge_agent.contract.message import Value
from tests.sim.world import World

FAR = 1 << 62


class SimLog:
    """The part of seams.Log that the line needs, in memory. records: all that ever was durable in it, also what was trimmed."""

    def __init__(self, world: World, log_id: str) -> None:
        self.world = world
        self.log_id = log_id
        self.records: dict[BatchKey, Record] = {}
        self.rotten: set[BatchKey] = set()
        self.failing = 0.0
        """Chance that an append fails."""
        self._states: dict[tuple[str, str, str], LaneState] = {}
        self._at: dict[int, Record] = {}
        self._births: list[Record] = []
        self._first, self._last = 1, 0

    def lanes(self) -> list[LaneState]:
        """The accounting as last committed."""
        return list(self._states.values())

    def append(self, records: Sequence[Record], lanes: Sequence[LaneState], poison: Sequence[Poison]) -> int:
        """One commit. Raises StorageFailed; then it may be there all the same."""
        if self.world.likely(self.failing):
            if self.world.likely(0.2):
                self._take(records, lanes)
            raise StorageFailed(self.world.chance.choice(("disk full", "input/output error")))
        hazard("log.commit.before")
        self._take(records, lanes)
        hazard("log.commit.after")
        return self._last

    def _take(self, records: Sequence[Record], lanes: Sequence[LaneState]) -> None:
        for record in records:
            self.add(record)
        for state in lanes:
            self._states[state.gateway, state.epoch, state.lane] = state

    def add(self, record: Record) -> None:
        """One record; a key that is there is skipped."""
        if record.key not in self.records:
            self._put(Record(self._last + 1, record.key, record.received_ms, record.payload, record.kind))

    def _put(self, record: Record) -> None:
        self._last = record.offset
        self.records[record.key] = self._at[record.offset] = record
        if record.kind == "birth":
            self._births.append(record)

    def read(self, after: int, limit: int) -> list[Record]:
        """Up to `limit` sound records behind `after`."""
        found: list[Record] = []
        for offset in range(max(after + 1, self._first), self._last + 1):
            record = self._at.get(offset)
            if record is not None and record.key not in self.rotten:
                found.append(record)
                if len(found) == limit:
                    break
        return found

    def births(self) -> list[Record]:
        """Every birth."""
        return list(self._births)

    def last_offset(self) -> int:
        """Of the newest record."""
        return self._last

    def offset_before(self, received_ms: int) -> int:
        """The lowest offset received at or after this time."""
        for offset in range(self._first, self._last + 1):
            if offset in self._at and self._at[offset].received_ms >= received_ms:
                return offset
        return self._last + 1

    def trim(self, below: int) -> int:
        """Forgets data below this offset."""
        for offset in range(self._first, min(below, self._last + 1)):
            self._at.pop(offset, None)
        self._first = max(self._first, min(below, self._last + 1))
        return 0

    def rot(self) -> Record | None:
        """A bit flips in a record of data that is not trimmed; which one it was."""
        sound = [r for r in self._at.values() if r.kind == "data" and r.key not in self.rotten]
        record = self.world.chance.choice(sound) if sound else None
        if record is not None:
            self.rotten.add(record.key)
        return record

    def restored(self, log_id: str) -> SimLog:
        """A copy: a backup, or what is restored from one under another id."""
        made = type(self)(self.world, log_id)
        made.records, made.rotten, made._states = dict(self.records), set(self.rotten), dict(self._states)
        made._at, made._births, made._first, made._last = dict(self._at), list(self._births), self._first, self._last
        made.failing = self.failing
        return made

    def reopen(self) -> None:
        """The program that had it open died."""


class FileLog(SimLog):
    """The product's own log in a folder; what the oracles ask for is read from it."""

    def __init__(self, world: World, path: Path) -> None:
        self._path = path
        self._file = SqliteLog(path)
        super().__init__(world, self._file.log_id)

    def reopen(self) -> None:
        """As the next process finds it."""
        self._file.close()
        self._file = SqliteLog(self._path)
        for record in self._file.read(self._last, FAR >> 32):
            self._put(record)

    def close(self) -> None:
        """The end of the run."""
        self._file.close()

    def lanes(self) -> list[LaneState]:
        """By the product."""
        return list(self._file.lanes())

    def append(self, records: Sequence[Record], lanes: Sequence[LaneState], poison: Sequence[Poison]) -> int:
        """One commit of the product; its hazards may strike."""
        if self.world.likely(self.failing):
            raise StorageFailed("disk full")
        self._file.append(records, lanes, poison)
        for record in self._file.read(self._last, len(records) + 1):
            self._put(record)
        return self._last

    def read(self, after: int, limit: int) -> list[Record]:
        """By the product."""
        return list(self._file.read(after, limit))

    def births(self) -> list[Record]:
        """By the product."""
        return list(self._file.births())

    def offset_before(self, received_ms: int) -> int:
        """By the product."""
        return int(self._file.offset_before(received_ms))

    def trim(self, below: int) -> int:
        """By the product."""
        return int(self._file.trim(below))

    def rot(self) -> Record | None:
        """Bits of real files flip in tests of their own."""
        return None


class SimStore:
    """The time series: one value for each series and instant, and the writer's cursor."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.cells: dict[tuple[SeriesKey, int], Value] = {}
        self.replaced: list[tuple[SeriesKey, int, Value]] = []
        """Another value came for the same series and instant."""
        self.failing = 0.0
        self._cursor = 0

    def cursor(self) -> int:
        """Everything up to here is in."""
        return self._cursor

    def write(self, batches: Sequence[StoreBatch], cursor: int) -> None:
        """One write. Raises StorageFailed; then it may be there all the same."""
        fails = self.world.likely(self.failing)
        if fails and self.world.likely(0.7):
            raise StorageFailed("disk full")
        hazard("store.commit.before")
        self.apply(batches, cursor)
        hazard("store.commit.after")
        if fails:
            raise StorageFailed("input/output error")

    def tidy(self) -> bool:
        """Nothing to keep in order."""
        return False

    def apply(self, batches: Sequence[StoreBatch], cursor: int) -> None:
        """Values and cursor together."""
        cells = self.cells
        for batch in batches:
            for column in batch.columns:
                key = column.series.key
                for at_ms, value in zip(column.times, column.values, strict=True):
                    before = cells.setdefault((key, at_ms), value)
                    if before != value:
                        self.replaced.append((key, at_ms, before))
                        cells[key, at_ms] = value
        self._cursor = cursor

    def copy(self) -> SimStore:
        """A backup."""
        made = type(self)(self.world)
        made.cells, made.replaced, made._cursor, made.failing = dict(self.cells), list(self.replaced), self._cursor, self.failing
        return made


class SimLedger:
    """The operations database as the warning engine knows it. warnings: id to when it was over."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.warnings: dict[str, int | None] = {}
        self.failing = 0.0
        self._cursor, self._state = 0, b""

    def cursor(self) -> int:
        """Everything up to here has been judged."""
        return self._cursor

    def rule_state(self) -> bytes:
        """Belongs to the cursor."""
        return self._state

    def commit(self, cursor: int, state: bytes, changes: Sequence[Change], now_ms: int) -> None:
        """One commit. Raises StorageFailed; then nothing of it is there."""
        if self.world.likely(self.failing):
            raise StorageFailed("disk full")
        hazard("operations.commit.before")
        self.apply(cursor, state, changes)
        hazard("operations.commit.after")

    def apply(self, cursor: int, state: bytes, changes: Sequence[Change]) -> None:
        """Cursor, state and changes together."""
        for change in changes:
            if isinstance(change, Raised):
                self.tell(change.warning.id, change.warning.over_ms)
            else:
                self.end(change.id, change.over_ms)
        self._cursor, self._state = cursor, state

    def tell(self, id: str, over_ms: int | None) -> None:
        """People are told of a warning."""
        if id in self.warnings:
            raise self.world.fail(f"warning {id} is told twice")
        self.warnings[id] = over_ms

    def end(self, id: str, over_ms: int) -> None:
        """A warning is over."""
        if id not in self.warnings:
            raise self.world.fail(f"warning {id} is over and was never told")
        self.warnings[id] = over_ms

    def copy(self) -> SimLedger:
        """A backup."""
        made = type(self)(self.world)
        made.warnings, made._cursor, made._state, made.failing = dict(self.warnings), self._cursor, self._state, self.failing
        return made


def hashes(births: Sequence[Record]) -> frozenset[tuple[GatewayId, str]]:
    """Gateway and hash of every birth."""
    named = [(record, encoding.decode_sequenced(record.payload)) for record in births]
    return frozenset((GatewayId(r.key.site, r.key.gateway), head.h) for r, head in named if hasattr(head, "h"))
