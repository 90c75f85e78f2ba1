"""Pure. What one message of the log adds to the account: readings by day, how many came late, what the gateway says it lost."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import accumulate

import msgspec

from collector.domain.days import Days
from collector.intake.records import Record
from collector.intake.stand_in import UNREADABLE_EVENT
from edge_agent.contract import encoding
from edge_agent.contract import message as m

LATE_MS = 3_600_000
"""A reading is late when it was received so long after it was taken."""


class _Block(msgspec.Struct, frozen=True, array_like=True):
    t: list[int]
    c: list[msgspec.Raw]


class _Event(msgspec.Struct, frozen=True):
    kind: str


class _Body(msgspec.Struct, frozen=True):
    blocks: list[_Block] = []
    events: list[_Event] = []
    gaps: list[m.Gap] = []


class _Data(msgspec.Struct, frozen=True, tag_field="k", tag="d"):
    s: int
    low: int
    t0: int
    d: _Body


class _Birth(msgspec.Struct, frozen=True, tag_field="k", tag="b"):
    s: int
    low: int
    t0: int
    past: list[m.Past] = []


_decoder: msgspec.json.Decoder[_Data | _Birth] = msgspec.json.Decoder(_Data | _Birth)
"""Values stay undecoded: counting costs a fraction of understanding."""


@dataclass(frozen=True, slots=True)
class Tally:
    """One message. late: of `readings`; t0_ms: time of its oldest content."""

    low: int
    t0_ms: int
    readings: Counter[str] = field(default_factory=Counter)
    """By day of measurement."""
    late: Counter[str] = field(default_factory=Counter)
    gaps: tuple[m.Gap, ...] = ()
    unreadable: bool = False
    past: tuple[m.Past, ...] = ()
    """Earlier runs that a birth names."""

    @property
    def is_late(self) -> bool:
        """True if any of its readings came late."""
        return self.late.total() > 0


def tally(record: Record, days: Days) -> Tally:
    """What a message that intake let in adds. Raises Malformed for bytes that are none."""
    head, received_ms = record.head or _decoded(record.payload), record.received_ms
    if isinstance(head, (_Birth, m.Birth)):
        return Tally(head.low, head.t0, past=tuple(head.past))
    found = Tally(
        head.low,
        head.t0,
        gaps=tuple(head.d.gaps),
        unreadable=any(event.kind == UNREADABLE_EVENT for event in head.d.events),
    )
    for block in head.d.blocks:
        times = [head.t0 + offset for offset in accumulate(block.t)]
        _count(found.readings, times, len(block.c), days)
        if times and min(times) < received_ms - LATE_MS:
            _count(found.late, [ms for ms in times if ms < received_ms - LATE_MS], len(block.c), days)
    return found


def _decoded(payload: bytes) -> _Data | _Birth:
    try:
        return _decoder.decode(encoding.unpack(payload))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise encoding.Malformed("not-decodable", str(error)) from None


def _count(into: Counter[str], times: list[int], series: int, days: Days) -> None:
    if not times or not series:
        return
    first, last = days.of(_bounded(min(times))), days.of(_bounded(max(times)))
    if first == last:
        into[first] += len(times) * series
        return
    for ms in times:
        into[days.of(_bounded(ms))] += series


def _bounded(ms: int) -> int:
    """Offsets may carry a stamp out of the calendar."""
    return min(max(ms, encoding.MIN_TIME_MS), encoding.MAX_TIME_MS)
