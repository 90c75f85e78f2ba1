"""Pure. Open batches: readings, events and gap records gather per lane until a batch is closed and encoded, once.

A normal batch closes `batch_ms` after its first reading or at `batch_readings`; an urgent one after URGENT_WAIT_MS, so that
what happens together travels together. A normal batch that is to wait longer than the durability window stays open, and drafts of
it go to disk under the sequence that it will have; the closed batch replaces them. Gap records wait for company up to GAP_WAIT_MS,
because each drop makes one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from edge_agent.contract.encoding import MAX_INTEGER, MAX_TEXT, encode_body, run_lengths
from edge_agent.contract.message import NORMAL, Block, Body, Column, Event, Gap, Lane, Value
from edge_agent.contract.quality import Quality
from edge_agent.model.points import Delivery
from edge_agent.model.reading import Happening, Reading

URGENT_WAIT_MS = 200
GAP_WAIT_MS = 60_000
DROPPED = "outbox.dropped"
MAX_BATCH_BYTES = 256 << 10
"""A batch closes when its body may have become as long: far below what a message may hold (encoding.MAX_UNPACKED)."""
_READING_BYTES = 40
_TEXT_BYTES = 6
"""A character of a text takes up to six bytes in JSON."""


@dataclass(frozen=True, slots=True)
class Closed:
    """One batch, closed and encoded. base_ms: monotonic time that its offsets count from."""

    lane: Lane
    base_ms: int
    last_ms: int
    """Monotonic time of its last reading or event."""
    arrived_ms: int
    """Monotonic time when the first content came that no draft holds: its durability window begins here."""
    body: bytes
    readings: int
    gaps: int
    has_draft: bool = False
    """A draft of it may be on disk."""


@dataclass(slots=True)
class OpenBatch:
    """What one lane has gathered. Times are monotonic ms."""

    lane: Lane
    wait_ms: int
    most_readings: int
    arrived_ms: int = 0
    due_ms: int | None = None
    """When it closes; None while it is empty."""
    unsafe_since_ms: int | None = None
    """When the first content came that no draft holds; None: drafts hold all of it."""
    _draft_since_ms: int | None = None
    """unsafe_since_ms before the draft under way."""
    _drafted_ms: int | None = None
    """When the last draft was made."""
    _readings: list[Reading] = field(default_factory=list)
    _events: list[Happening] = field(default_factory=list)
    _gaps: list[Gap] = field(default_factory=list)
    _bytes: int = 0

    @property
    def readings(self) -> int:
        """Readings gathered."""
        return len(self._readings)

    @property
    def is_full(self) -> bool:
        """True when nothing more may come in."""
        return len(self._readings) >= self.most_readings or self._bytes >= MAX_BATCH_BYTES

    @property
    def has_draft(self) -> bool:
        """True if a draft of it may be on disk."""
        return self._drafted_ms is not None

    @property
    def has_gaps(self) -> bool:
        """True while it holds gap records."""
        return bool(self._gaps)

    def add_reading(self, now_ms: int, reading: Reading) -> None:
        """One reading; what JSON cannot carry becomes "no value"."""
        self._begin(now_ms, self.wait_ms)
        value, quality = sendable(reading.value, reading.quality)
        if value is not reading.value:
            reading = Reading(reading.series, reading.taken_ms, value, quality)
        self._readings.append(reading)
        self._bytes += _READING_BYTES + (_TEXT_BYTES * len(value) if isinstance(value, str) else 0)

    def add_event(self, now_ms: int, event: Happening) -> None:
        """One event."""
        self._begin(now_ms, self.wait_ms)
        self._events.append(event)
        texts = [
            event.kind,
            event.subject,
            event.reason,
            *(k for k, _ in event.about),
            *(v for _, v in event.about if isinstance(v, str)),
        ]
        self._bytes += 100 + _TEXT_BYTES * sum(map(len, texts)) + _READING_BYTES * len(event.about)

    def add_gap(self, now_ms: int, gap: Gap) -> None:
        """A gap record; one that continues another is joined to it."""
        self._begin(now_ms, GAP_WAIT_MS)
        for at, known in enumerate(self._gaps):
            joined = join_gaps(known, gap) or join_gaps(gap, known)
            if joined is not None:
                self._gaps[at] = joined
                return
        self._gaps.append(gap)
        self._bytes += 200

    def draft(self, now_ms: int) -> Closed:
        """What it holds by now, encoded; it stays open. Until `draft_is_safe` or `draft_failed` no other one is made."""
        draft = self._encoded()
        self._draft_since_ms, self.unsafe_since_ms, self._drafted_ms = self.unsafe_since_ms, None, now_ms
        return draft

    def draft_is_safe(self) -> None:
        """The write under way is durable."""
        self._draft_since_ms = None

    def draft_failed(self) -> None:
        """It is not."""
        if self._draft_since_ms is not None:
            self.unsafe_since_ms, self._draft_since_ms = self._draft_since_ms, None

    def close(self) -> Closed | None:
        """The batch, encoded; None if there is none. The lane is empty afterwards."""
        if self.due_ms is None:
            return None
        closed = self._encoded()
        self._readings, self._events, self._gaps, self._bytes, self.due_ms = [], [], [], 0, None
        self.unsafe_since_ms = self._draft_since_ms = self._drafted_ms = None
        return closed

    def _encoded(self) -> Closed:
        times = [*(r.taken_ms for r in self._readings), *(e.taken_ms for e in self._events)]
        base = min(times, default=self.arrived_ms)
        events = [_event(e, base) for e in self._events]
        if self._gaps:
            events.append(_dropped(self._gaps, self.arrived_ms - base))
        body = Body(columns(self._readings, base), events, list(self._gaps))
        since = next(at for at in (self.unsafe_since_ms, self._drafted_ms, self.arrived_ms) if at is not None)
        last = max(times, default=base)
        readings, gaps = len(self._readings), len(self._gaps)
        return Closed(self.lane, base, last, since, encode_body(body), readings, gaps, self.has_draft)

    def _begin(self, now_ms: int, wait_ms: int) -> None:
        if self.due_ms is None:
            self.arrived_ms = now_ms
            self.due_ms = now_ms + wait_ms
        if self.unsafe_since_ms is None:
            self.unsafe_since_ms = now_ms
        self.due_ms = min(self.due_ms, now_ms + wait_ms)


def new_open_batches(settings: Delivery) -> tuple[OpenBatch, OpenBatch]:
    """The two lanes, empty: normal, urgent."""
    most = settings.batch_readings
    return OpenBatch(NORMAL, settings.batch_ms, most), OpenBatch("u", min(URGENT_WAIT_MS, settings.batch_ms), most)


def sendable(value: Value, quality: Quality) -> tuple[Value, Quality]:
    """The value as it can cross the wire: NaN and infinities are no values, huge integers lose digits, texts are cut."""
    if isinstance(value, float) and not math.isfinite(value):
        return None, quality if quality.is_bad else Quality.BAD_SENSOR
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        return float(value), quality
    if isinstance(value, str):
        clean = text(value)
        return (value if clean == value else clean), quality
    return value, quality


def text(value: str) -> str:
    """A text as it can cross the wire."""
    return value[:MAX_TEXT].encode("utf-8", "replace").decode("utf-8")


def columns(readings: Sequence[Reading], base_ms: int) -> list[Block]:
    """Readings as columns, the series of equal instants in one block, in the order in which they first came."""
    of_series: dict[int, list[Reading]] = {}
    for reading in readings:
        of_series.setdefault(reading.series, []).append(reading)
    blocks: dict[tuple[int, ...], list[Column]] = {}
    for series, taken in of_series.items():
        taken.sort(key=lambda r: r.taken_ms)
        column = Column(series, [r.value for r in taken], run_lengths([int(r.quality) for r in taken]))
        blocks.setdefault(tuple(r.taken_ms for r in taken), []).append(column)
    return [Block(_steps(instants, base_ms), block) for instants, block in blocks.items()]


def _steps(instants: Sequence[int], base_ms: int) -> list[int]:
    return [now - before for before, now in zip((base_ms, *instants), instants, strict=False)]


def _event(happening: Happening, base_ms: int) -> Event:
    about: dict[str, float | int | bool | str | None] = {
        text(name): sendable(value, Quality.GOOD)[0] for name, value in happening.about
    }
    return Event(
        happening.taken_ms - base_ms,
        text(happening.kind),
        happening.on,
        text(happening.subject),
        text(happening.reason),
        about,
    )


def _dropped(gaps: Sequence[Gap], t: int) -> Event:
    batches, readings = sum(g.z - g.a + 1 for g in gaps), sum(g.readings for g in gaps)
    return Event(t, DROPPED, reason=gaps[0].why, about={"batches": batches, "readings": readings})


def join_gaps(first: Gap, second: Gap) -> Gap | None:
    """One record for both where the second continues the first, else None."""
    if (first.e, first.l, first.why) != (second.e, second.l, second.why) or second.a != first.z + 1:
        return None
    starts = [t for t in (first.t_from, second.t_from) if t is not None]
    ends = [t for t in (first.t_to, second.t_to) if t is not None]
    readings = first.readings + second.readings
    return Gap(first.e, first.l, first.a, second.z, readings, first.why, min(starts, default=None), max(ends, default=None))
