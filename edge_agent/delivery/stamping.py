"""Pure. Stamps: from monotonic time to UTC, once for each batch and never changed.

While UTC is unknown batches wait with boot id and monotonic time. Those of an earlier boot can only be bounded: they were taken
after the last stamp before them and before the first one after them (or the start of this run); header c then tells source
`none` and the bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from edge_agent.contract.encoding import MAX_TIME_MS, MIN_TIME_MS
from edge_agent.contract.message import Lane
from edge_agent.delivery.machine import ClockSet
from edge_agent.delivery.outbox import Held, age_order
from edge_agent.delivery.shelf import Shelf

UNKNOWN = "none"
SMALL_STEP_MS = 60_000
"""A step back by less leaves the order of a lane's stamps as it was, at the price of the bound; a longer one is believed."""
DRIFT_PPM = 100
"""A monotonic clock that nobody disciplines goes wrong by less: crystals of small computers keep 50 ppm over their temperatures."""


def drift_ms(span_ms: int) -> int:
    """How far a monotonic clock may have run away in span_ms, rounded up."""
    return -(-abs(span_ms) * DRIFT_PPM // 1_000_000)


class Offset(NamedTuple):
    """utc = mono + offset_ms, right within +- bound_ms."""

    offset_ms: int
    source: str
    bound_ms: int

    def aged(self, span_ms: int) -> Offset:
        """The same for a monotonic time that lies span_ms from where the offset was found."""
        return self._replace(bound_ms=self.bound_ms + drift_ms(span_ms))


class _Floor(NamedTuple):
    """Where a lane's stamps have got to: on UTC, and on this boot's monotonic clock (0: before this boot)."""

    utc_ms: int
    mono_ms: int


_NO_FLOOR = _Floor(MIN_TIME_MS, 0)


class Stamper:
    """Knows the clock of this boot and where each lane's stamps have got to."""

    def __init__(self) -> None:
        self.offset: Offset | None = None
        self._set_at_ms = 0
        self._floors: dict[Lane, _Floor] = {}

    def set_clock(self, clock: ClockSet) -> Offset:
        """From now on this is the time."""
        self._set_at_ms = clock.mono_ms
        self.offset = Offset(clock.utc_ms - clock.mono_ms, clock.source, clock.bound_ms)
        return self.offset

    def offset_at(self, mono_ms: Iterable[int]) -> Offset | None:
        """The offset for these monotonic times of this boot, its bound as wide as the farthest of them needs; None without time."""
        if self.offset is None:
            return None
        return self.offset.aged(max((abs(each - self._set_at_ms) for each in mono_ms), default=0))

    def follow(self, lane: Lane, last_utc_ms: int, last_mono_ms: int = -1) -> None:
        """The lane's stamps have got to this time, on UTC and on this boot's clock (-1: before it); the next begins behind it."""
        floor = _Floor(last_utc_ms + 1, last_mono_ms + 1)
        if floor.utc_ms > self._floors.get(lane, _NO_FLOOR).utc_ms:
            self._floors[lane] = floor

    def stamp(self, held: Held, offset: Offset) -> None:
        """Gives `held` its stamp by `offset`; one that has a stamp keeps it. Held within the years that the contract can carry."""
        if held.t0 is None:
            held.t0 = min(max(held.mono_ms + offset.offset_ms, MIN_TIME_MS), MAX_TIME_MS)
            held.clock_source, held.clock_bound_ms = offset.source, offset.bound_ms

    def stamp_new(self, held: Held) -> None:
        """Stamps a batch of now. After a small backward step of the clock it begins behind the lane's last stamp all the same.

        What was taken before the last batch ended and comes only now is no step: its stamps stay where they belong.
        """
        lane = held.key.lane
        late_ms = self.stamp_draft(held)
        if late_ms is None or held.t0 is None:
            return
        if late_ms > SMALL_STEP_MS:
            del self._floors[lane]
        self.follow(lane, held.t0 + held.last_ms - held.mono_ms, held.last_ms)

    def stamp_as_before(self, held: Held, offset_ms: int) -> None:
        """Stamps more of a batch whose beginning was stamped with this offset; what the clock has learnt since widens the bound."""
        now = self.offset_at([held.mono_ms, held.last_ms])
        if now is not None:
            self.stamp(held, Offset(offset_ms, now.source, now.bound_ms + abs(now.offset_ms - offset_ms)))
            self.follow(held.key.lane, held.last_ms + offset_ms, held.last_ms)

    def stamp_draft(self, held: Held) -> int | None:
        """Stamps a batch that is still open, and leaves the lane where it is. How far it lies behind the lane's last stamp, ms."""
        offset = self.offset_at([held.mono_ms, held.last_ms])
        if offset is None:
            return None
        true_ms = held.mono_ms + offset.offset_ms
        floor = self._floors.get(held.key.lane, _NO_FLOOR)
        late_ms = floor.utc_ms - true_ms - max(0, floor.mono_ms - held.mono_ms)
        shift_ms = late_ms if 0 < late_ms <= SMALL_STEP_MS else 0
        self.stamp(held, Offset(offset.offset_ms + shift_ms, offset.source, offset.bound_ms + shift_ms))
        return late_ms


@dataclass(slots=True)
class _Boot:
    """What is held of one earlier boot."""

    boot: str
    first_ms: int
    last_ms: int
    offset: Offset | None = None


def offsets_of_earlier_boots(
    held: Iterable[Held | Shelf], boot: str, start_utc_ms: int, start_bound_ms: int = 0
) -> dict[str, Offset]:
    """An offset for each boot other than `boot` of which anything is held. start_utc_ms: when this run began, within its bound."""
    boots = _boots(held, boot)
    at = 0
    while at < len(boots):
        if boots[at].offset is not None:
            at += 1
            continue
        end = at
        while end < len(boots) and boots[end].offset is None:
            end += 1
        before, after = boots[at - 1] if at else None, boots[end] if end < len(boots) else None
        low = before.last_ms + before.offset.offset_ms - before.offset.bound_ms if before and before.offset else None
        if after and after.offset:
            likely, bound = after.first_ms + after.offset.offset_ms, after.offset.bound_ms
        else:
            likely, bound = start_utc_ms, start_bound_ms
        _place(boots[at:end], low, likely, bound)
        at = end
    return {each.boot: each.offset for each in boots if each.offset is not None}


def _boots(held: Iterable[Held | Shelf], own: str) -> list[_Boot]:
    boots: dict[str, _Boot] = {}
    for each in sorted(held, key=lambda h: age_order(h.key)):
        if each.boot == own:
            continue
        first_ms, last_ms = (each.first_ms, each.last_ms) if isinstance(each, Shelf) else (each.mono_ms, each.mono_ms)
        known = boots.setdefault(each.boot, _Boot(each.boot, first_ms, last_ms))
        known.first_ms, known.last_ms = min(known.first_ms, first_ms), max(known.last_ms, last_ms)
        if isinstance(each, Shelf):
            offset_ms = each.offset_ms
        else:
            offset_ms = None if each.t0 is None else each.t0 - each.mono_ms
        if offset_ms is not None:
            known.offset = Offset(offset_ms, each.clock_source, each.clock_bound_ms)
    return list(boots.values())


def _place(boots: Sequence[_Boot], low: int | None, end_ms: int, end_bound_ms: int) -> None:
    """Spreads boots that nobody stamped evenly over the time they can have run in; just before its end if the begin is unknown."""
    runs_ms = [boot.last_ms - boot.first_ms for boot in boots]
    high = end_ms + end_bound_ms
    begun_ms = end_ms - sum(runs_ms) if low is None else low
    slack = 0 if low is None else high - low - sum(runs_ms)
    for number, (boot, run_ms) in enumerate(zip(boots, runs_ms, strict=True), start=1):
        shift = max(slack, 0) * number // (len(boots) + 1)
        bound = max(shift, slack - shift) if slack >= 0 else -slack
        if low is None:
            bound = max(high - MIN_TIME_MS, 0)
        boot.offset = Offset(begun_ms + shift - boot.first_ms, UNKNOWN, bound)
        begun_ms += run_ms
