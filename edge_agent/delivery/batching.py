"""Pure. Open batches: readings and events of one lane until they are closed into one body."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from edge_agent.contract.encoding import run_lengths
from edge_agent.contract.message import Block, Body, Column, Event, Gap, Lane
from edge_agent.model.reading import Happening, Reading

URGENT_MS = 200
"""An urgent batch waits at most this long for company."""


@dataclass(slots=True)
class OpenBatch:
    """What has been taken of one lane and is in no sequence yet. Times are monotonic ms of this boot."""

    opened_ms: int | None = None
    readings: list[Reading] = field(default_factory=list)
    events: list[Happening] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """True if there is nothing to close."""
        return not (self.readings or self.events or self.gaps)

    def opened(self, now_ms: int) -> None:
        """Something came: the batch is open since now, if it was not before."""
        if self.opened_ms is None:
            self.opened_ms = now_ms

    def base_ms(self, now_ms: int) -> int:
        """Monotonic time of the oldest thing in it."""
        return min([r.taken_ms for r in self.readings] + [e.taken_ms for e in self.events], default=now_ms)

    def body(self, base_ms: int) -> Body:
        """Its body; offsets count from base_ms."""
        return Body(_blocks(self.readings, base_ms), [_event(e, base_ms) for e in self.events], list(self.gaps))


def _blocks(readings: Sequence[Reading], base_ms: int) -> list[Block]:
    """Columns grouped by equal instants, so that an instant is written once for all series read in one request."""
    by_series: dict[int, list[Reading]] = {}
    for reading in readings:
        by_series.setdefault(reading.series, []).append(reading)
    by_instants: dict[tuple[int, ...], list[Column]] = {}
    for series, rows in by_series.items():
        rows.sort(key=_taken_ms)
        column = Column(series, [r.value for r in rows], run_lengths([int(r.quality) for r in rows]))
        by_instants.setdefault(tuple(r.taken_ms for r in rows), []).append(column)
    return [Block(_steps(instants, base_ms), columns) for instants, columns in by_instants.items()]


def _taken_ms(reading: Reading) -> int:
    return reading.taken_ms


def _steps(instants: Sequence[int], base_ms: int) -> list[int]:
    before = [base_ms, *instants[:-1]]
    return [now - last for now, last in zip(instants, before, strict=True)]


def _event(happening: Happening, base_ms: int) -> Event:
    return Event(
        happening.taken_ms - base_ms, happening.kind, happening.on, happening.subject, happening.reason, dict(happening.about)
    )


@dataclass(slots=True)
class Batcher:
    """The open batch of each lane, and when it is due. urgent_series: indices that travel in lane `u`."""

    batch_ms: int
    batch_readings: int
    urgent_series: frozenset[int] = frozenset()
    normal: OpenBatch = field(default_factory=OpenBatch)
    urgent: OpenBatch = field(default_factory=OpenBatch)

    def take(self, now_ms: int, readings: Sequence[Reading]) -> None:
        """Puts each reading into the batch of its lane."""
        for reading in readings:
            batch = self.urgent if reading.series in self.urgent_series else self.normal
            batch.opened(now_ms)
            batch.readings.append(reading)

    def tell(self, now_ms: int, events: Sequence[Happening] = (), gaps: Sequence[Gap] = ()) -> None:
        """Puts events and gap records into the urgent batch."""
        if events or gaps:
            self.urgent.opened(now_ms)
            self.urgent.events += events
            self.urgent.gaps += gaps

    def due_at_ms(self) -> int | None:
        """When the next batch must be closed; None if nothing is open."""
        times = []
        for batch, wait_ms in ((self.normal, self.batch_ms), (self.urgent, min(URGENT_MS, self.batch_ms))):
            if batch.opened_ms is not None:
                full = len(batch.readings) >= self.batch_readings
                times.append(batch.opened_ms if full else batch.opened_ms + wait_ms)
        return min(times, default=None)

    def close_due(self, now_ms: int) -> list[tuple[Lane, OpenBatch]]:
        """Batches that are due, urgent first; they are open no more."""
        closed: list[tuple[Lane, OpenBatch]] = []
        urgent_ms = min(URGENT_MS, self.batch_ms)
        if self._is_due(self.urgent, urgent_ms, now_ms):
            closed.append(("u", self.urgent))
            self.urgent = OpenBatch()
        if self._is_due(self.normal, self.batch_ms, now_ms):
            closed.append(("n", self.normal))
            self.normal = OpenBatch()
        return closed

    def close_all(self) -> list[tuple[Lane, OpenBatch]]:
        """Every batch that is open and not empty."""
        both: list[tuple[Lane, OpenBatch]] = [("u", self.urgent), ("n", self.normal)]
        self.urgent, self.normal = OpenBatch(), OpenBatch()
        return [(lane, batch) for lane, batch in both if not batch.empty]

    def _is_due(self, batch: OpenBatch, wait_ms: int, now_ms: int) -> bool:
        if batch.opened_ms is None:
            return False
        return len(batch.readings) >= self.batch_readings or now_ms >= batch.opened_ms + wait_ms
