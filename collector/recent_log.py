"""Pure but for the log behind it: lends consumers that keep up the newest records as the intake decoded them.

Without it every consumer reads from the disk, and decodes, what was in memory a moment ago. What is lent was committed; whoever
lags further behind reads the log itself. Nothing is kept longer than until every consumer has had it, or beyond MOST_READINGS.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Protocol

from collector.intake.records import LaneState, Poison, Record
from collector.seams import Log
from edge_agent.contract import message as m

MOST_READINGS = 100_000
"""About 5 MB as decoded."""
MOST_RECORDS = 5_000


class KeptLog(Log, Protocol):
    """A log that keeps births for as long as it lives, and knows its ages."""

    def births(self) -> Sequence[Record]:
        """Every birth, oldest first."""
        ...

    def offset_before(self, received_ms: int) -> int:
        """The lowest offset received at or after this time."""
        ...


class RecentLog:
    """A log (`seams.Log`). Appends come from one thread, reads from any; each reading thread is a consumer with its own place."""

    def __init__(self, log: KeptLog) -> None:
        self._log = log
        self._guard = threading.Lock()
        self._recent: deque[Record] = deque()
        """Consecutive offsets up to the last one."""
        self._readings = 0
        self._places: dict[int, int] = {}
        """Of each consumer's thread: it has everything up to this offset."""

    @property
    def log_id(self) -> str:
        """Of the log behind it."""
        return self._log.log_id

    def lanes(self) -> Sequence[LaneState]:
        """The accounting as last committed."""
        return self._log.lanes()

    def append(self, records: Sequence[Record], lanes: Sequence[LaneState], poison: Sequence[Poison]) -> int:
        """One commit of the log behind it; what it took is lent from then on. Raises StorageFailed."""
        before = self._log.last_offset()
        last = self._log.append(records, lanes, poison)
        with self._guard:
            if last - before != len(records):  # it had some of them: which offset is whose is known to the log alone
                self._forget_until(last)
            else:
                for offset, r in enumerate(records, before + 1):
                    self._recent.append(Record(offset, r.key, r.received_ms, r.payload, r.kind, r.head))
                    self._readings += _readings(r)
                self._bound()
        return last

    def read(self, after: int, limit: int) -> Sequence[Record]:
        """Up to `limit` records with offset > after, in order. For a consumer's thread: it has everything up to `after`."""
        with self._guard:
            self._places[threading.get_ident()] = after
            self._forget_until(min(self._places.values()))
            if self._recent and self._recent[0].offset <= after + 1:
                skipped = after + 1 - self._recent[0].offset
                return list(islice(self._recent, skipped, skipped + limit))
        return self._log.read(after, limit)

    def births(self) -> Sequence[Record]:
        """Every birth, oldest first."""
        return self._log.births()

    def last_offset(self) -> int:
        """0 for an empty log."""
        return self._log.last_offset()

    def trim(self, below: int) -> int:
        """Forgets data below an offset. Raises StorageFailed."""
        with self._guard:
            self._forget_until(below - 1)
        return self._log.trim(below)

    def offset_before(self, received_ms: int) -> int:
        """The lowest offset received at or after this time."""
        return self._log.offset_before(received_ms)

    def poison(self, limit: int) -> Sequence[Poison]:
        """The newest quarantined messages first."""
        return self._log.poison(limit)

    def close(self) -> None:
        """Closes the log behind it."""
        self._log.close()

    def _bound(self) -> None:
        while self._readings > MOST_READINGS or len(self._recent) > MOST_RECORDS:
            self._forget_until(self._recent[0].offset)

    def _forget_until(self, offset: int) -> None:
        while self._recent and self._recent[0].offset <= offset:
            self._readings -= _readings(self._recent.popleft())


def _readings(record: Record) -> int:
    head = record.head
    return sum(len(block.t) * len(block.c) for block in head.d.blocks) if isinstance(head, m.Data) else 1
