"""Pure. The book of one lane: every sequence known to exist is received, lost with a reason, or still missing.

A lane's sequences count from 1 without a break, so `top`, the highest one known, is how many were made. What is not received stands
in `holes`; the rest is received. The account of receipts (accounting.py) forgets why something is missing; this one keeps it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import msgspec

from collector.domain.days import Days
from edge_agent.contract import encoding
from edge_agent.contract.message import Gap

NOT_HERE = "not-here"
"""The gateway holds it no more and has reported no loss: it was settled with another log, or this log's copy is damaged."""
UNREADABLE = "unreadable"
"""It came, and its content could not be read: the quarantine has it."""
MISSING = ""
JOINED_MS = 6 * 3_600_000
"""Neighbouring holes of one reason are one while they span no more."""
MAX_TOLD = 10**12
"""Readings of one gap record; more are not believed."""
MAX_SPAN_MS = 400 * 86_400_000
"""A longer time of a hole is none."""
_WHY = re.compile(r"[a-z][a-z0-9-]{0,31}")


class Hole(msgspec.Struct, frozen=True, array_like=True):
    """Sequences first..last that are not here. why: as the gateway told it, or NOT_HERE, UNREADABLE, MISSING."""

    first: int
    last: int
    why: str
    readings: int | None
    """None: nobody knows."""
    from_ms: int
    to_ms: int
    """Time of what is not here: as told, or between its neighbours."""

    @property
    def size(self) -> int:
        """Batches."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class LaneBook:
    """One epoch and lane of one gateway. Times ms UTC."""

    top: int = 0
    """Highest sequence known to exist."""
    newest_ms: int | None = None
    """Time of the content of `top`."""
    heard_ms: int = 0
    holes: tuple[Hole, ...] = ()
    """In order, apart from each other."""

    @property
    def absent(self) -> int:
        """Sequences that are not received."""
        return sum(hole.size for hole in self.holes)


def heard(book: LaneBook, seq: int, low: int, t0_ms: int, now_ms: int) -> tuple[LaneBook, bool]:
    """The book after a message with this sequence, and whether it is counted for the first time."""
    if seq > book.top:
        book = _grown(book, seq, t0_ms, t0_ms)
    holes = _without(book.holes, seq, t0_ms)
    is_new = holes != book.holes
    return _given_up(replace(book, heard_ms=max(book.heard_ms, now_ms), holes=holes), low), is_new


def unreadable(book: LaneBook, seq: int, t0_ms: int) -> LaneBook:
    """The content of this sequence, heard just now, could not be read."""
    return replace(book, holes=_put(book.holes, [Hole(seq, seq, UNREADABLE, None, t0_ms, t0_ms)]))


def told(book: LaneBook, gap: Gap, now_ms: int) -> LaneBook:
    """The book after a gap record of this lane. What was received all the same stays received; told twice counts once."""
    from_ms = gap.t_from if gap.t_from is not None else now_ms
    to_ms = max(from_ms, gap.t_to if gap.t_to is not None else from_ms)
    if gap.z > book.top:
        book = _grown(book, gap.z, from_ms, to_ms)
    why = reason(gap.why)
    inside = [hole for whole in book.holes if (hole := _cut(whole, gap.a, gap.z)) is not None]
    settled = [hole for hole in inside if hole.why not in {MISSING, NOT_HERE}]
    open_ = [hole for hole in inside if hole.why in {MISSING, NOT_HERE}]
    readings = max(0, gap.readings - sum(hole.readings or 0 for hole in settled))
    among = gap.z - gap.a + 1 - sum(hole.size for hole in settled)
    new, before = [], 0
    for hole in open_:
        upto = before + hole.size
        share = readings * upto // among - readings * before // among
        new.append(Hole(hole.first, hole.last, why, share, from_ms, to_ms))
        before = upto
    return replace(book, holes=_joined(_put(book.holes, new)))


def let_go(book: LaneBook, upto: int, from_ms: int, to_ms: int) -> LaneBook:
    """The book when the gateway says that 1..upto of an earlier run had their receipt and are let go.

    What of it is not here went with a log that was: the one that gave the receipt. It was made before to_ms, and after the lane's
    newest content; after from_ms where the lane is not known at all.
    """
    if upto > book.top:
        known = book if book.newest_ms is not None else replace(book, newest_ms=from_ms)
        book = _grown(known, upto, to_ms, to_ms)
    return _given_up(book, upto + 1)


def reason(why: str) -> str:
    """The reason of a gap record, if it is a word."""
    return why if _WHY.fullmatch(why) else "other"


def believable(gap: Gap) -> bool:
    """False for a gap record that is beyond the bounds of the contract: it is passed over."""
    try:
        encoding.parse_epoch(gap.e)
    except encoding.Malformed:
        return False
    if not (1 <= gap.a <= gap.z <= encoding.MAX_SEQUENCE and 0 <= gap.readings <= MAX_TOLD):
        return False
    times = [ms for ms in (gap.t_from, gap.t_to) if ms is not None]
    return all(encoding.MIN_TIME_MS <= ms <= encoding.MAX_TIME_MS for ms in times)


def seeded(upto: int, ranges: Iterable[tuple[int, int]], now_ms: int) -> LaneBook:
    """The book of a lane whose past was not kept: what lies below `upto` counts as settled, the holes above it as missing."""
    holes, top = [], upto
    for first, last in ranges:
        holes.append(Hole(top + 1, first - 1, MISSING, None, now_ms, now_ms))
        top = last
    return LaneBook(top, now_ms, now_ms, tuple(holes))


def by_day(hole: Hole, days: Days) -> Iterator[tuple[str, int, int]]:
    """Days with batches and readings of a hole: spread evenly over its time, because nobody knows better."""
    from_ms = max(hole.from_ms, hole.to_ms - MAX_SPAN_MS)
    shares = list(days.between(from_ms, hole.to_ms)) if days.of(from_ms) != days.of(hole.to_ms) else [(days.of(hole.to_ms), 1)]
    whole, readings, before = sum(ms for _, ms in shares), hole.readings or 0, 0
    for day, share_ms in shares:
        after = before + share_ms
        batches = hole.size * after // whole - hole.size * before // whole
        lost = readings * after // whole - readings * before // whole
        before = after
        if batches or lost:
            yield day, batches, lost


def _grown(book: LaneBook, top: int, from_ms: int, to_ms: int) -> LaneBook:
    """The book when `top` is known to exist; what is new is missing for now."""
    since_ms = from_ms if book.newest_ms is None else min(book.newest_ms, from_ms)
    hole = Hole(book.top + 1, top, MISSING, None, since_ms, max(from_ms, since_ms))
    return replace(book, top=top, newest_ms=to_ms, holes=(*book.holes, hole))


def _given_up(book: LaneBook, low: int) -> LaneBook:
    """The book when the gateway holds nothing below `low` any more."""
    if not any(hole.why == MISSING and hole.first < low for hole in book.holes):
        return book
    gone = [
        Hole(part.first, part.last, NOT_HERE, None, part.from_ms, part.to_ms)
        for hole in book.holes
        if hole.why == MISSING and (part := _cut(hole, hole.first, low - 1)) is not None
    ]
    return replace(book, holes=_joined(_put(book.holes, gone)))


def _without(holes: tuple[Hole, ...], seq: int, t0_ms: int) -> tuple[Hole, ...]:
    """The holes when one sequence is here; its time bounds the time of what is left around it, where nobody told it."""
    made: list[Hole] = []
    for hole in holes:
        if not hole.first <= seq <= hole.last:
            made.append(hole)
            continue
        below, above = _cut(hole, hole.first, seq - 1), _cut(hole, seq + 1, hole.last)
        if hole.why in {MISSING, NOT_HERE}:
            below = below and msgspec.structs.replace(below, from_ms=min(below.from_ms, t0_ms), to_ms=t0_ms)
            above = above and msgspec.structs.replace(above, from_ms=min(t0_ms, above.to_ms))
        made += [part for part in (below, above) if part is not None]
    return tuple(made)


def _put(holes: tuple[Hole, ...], new: Iterable[Hole]) -> tuple[Hole, ...]:
    """The holes with new ones in place of what lay there."""
    made = list(holes)
    for one in new:
        made = [
            part
            for hole in made
            for part in (
                (hole,)
                if hole.last < one.first or hole.first > one.last
                else (_cut(hole, hole.first, one.first - 1), _cut(hole, one.last + 1, hole.last))
            )
            if part is not None
        ]
        made.append(one)
    return tuple(sorted(made, key=lambda hole: hole.first))


def _cut(hole: Hole, first: int, last: int) -> Hole | None:
    """The part of a hole within first..last, with its share of the readings."""
    first, last = max(first, hole.first), min(last, hole.last)
    if first > last:
        return None
    readings = hole.readings
    if readings is not None:
        a, z = first - hole.first, last + 1 - hole.first
        readings = readings * z // hole.size - readings * a // hole.size
    return Hole(first, last, hole.why, readings, hole.from_ms, hole.to_ms)


def _joined(holes: tuple[Hole, ...]) -> tuple[Hole, ...]:
    """Neighbours of one reason that lie close in time are one hole: an outage drops thousands of batches one by one."""
    made: list[Hole] = []
    for hole in holes:
        before = made[-1] if made else None
        if before is not None and _continues(before, hole):
            readings = None if before.readings is None else before.readings + (hole.readings or 0)
            from_ms, to_ms = min(before.from_ms, hole.from_ms), max(before.to_ms, hole.to_ms)
            made[-1] = Hole(before.first, hole.last, hole.why, readings, from_ms, to_ms)
        else:
            made.append(hole)
    return tuple(made)


def _continues(before: Hole, hole: Hole) -> bool:
    is_one = before.last + 1 == hole.first and before.why == hole.why and (before.readings is None) == (hole.readings is None)
    return is_one and max(before.to_ms, hole.to_ms) - min(before.from_ms, hole.from_ms) <= JOINED_MS
