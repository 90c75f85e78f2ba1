"""Pure. Shelves: what is known of a run of messages that are on disk alone - a line for as many as follow on each other.

A backlog of a million readings is a few shelves; its messages come back to memory by the hundred, when their turn has come to be
sent or to be dropped. Only plain batches of readings and events stand on a shelf: births and what tells of gaps stay in memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from edge_agent.delivery.machine import HELD_BYTES, Key, Span, Stored


@dataclass(frozen=True, slots=True)
class Shelf:
    """Messages a..z of one epoch and lane, all of them held, of one boot and one birth, all with a stamp or all without."""

    span: Span
    birth: str
    boot: str
    readings: int
    cost: int
    first_ms: int
    """Monotonic time of the earliest, at latest."""
    last_ms: int
    offset_ms: int | None = None
    """UTC less monotonic time of the last one; None: they wait for a stamp."""
    clock_source: str = ""
    clock_bound_ms: int = 0

    @property
    def key(self) -> Key:
        """Of the first one."""
        return Key(self.span.epoch, self.span.lane, self.span.a)

    @property
    def count(self) -> int:
        """Messages."""
        return self.span.z - self.span.a + 1

    def without_first(self, readings: int, cost: int) -> Shelf:
        """Less its first message."""
        span = self.span._replace(a=self.span.a + 1)
        return replace(self, span=span, readings=max(0, self.readings - readings), cost=max(0, self.cost - cost))

    def without_last(self, readings: int, cost: int) -> Shelf:
        """Less its last message."""
        span = self.span._replace(z=self.span.z - 1)
        return replace(self, span=span, readings=max(0, self.readings - readings), cost=max(0, self.cost - cost))


def shelf_of(stored: Stored) -> Shelf:
    """A shelf of one message."""
    offset_ms = None if stored.t0 is None else stored.t0 - stored.mono_ms
    cost = (stored.size or len(stored.body)) + HELD_BYTES
    return Shelf(
        Span(*stored.key, stored.key.seq), stored.birth, stored.boot, stored.readings, cost, stored.mono_ms, stored.mono_ms,
        offset_ms, stored.clock_source, stored.clock_bound_ms,
    )  # fmt: skip


def joined(first: Shelf, second: Shelf) -> Shelf | None:
    """One shelf for both where the second goes on where the first ends, else None."""
    a, b = first.span, second.span
    if (a.epoch, a.lane, a.z + 1) != (b.epoch, b.lane, b.a) or (first.birth, first.boot) != (second.birth, second.boot):
        return None
    if (first.offset_ms is None) != (second.offset_ms is None):
        return None
    return Shelf(
        a._replace(z=b.z), first.birth, first.boot, first.readings + second.readings, first.cost + second.cost,
        min(first.first_ms, second.first_ms), max(first.last_ms, second.last_ms),
        second.offset_ms, second.clock_source, second.clock_bound_ms,
    )  # fmt: skip


class Shelves:
    """The shelves of one epoch and lane, by sequence."""

    def __init__(self) -> None:
        self.each: list[Shelf] = []

    def put(self, new: Shelf) -> None:
        """Stands at its place, joined to its neighbours where they fit."""
        at = next((i for i in range(len(self.each), 0, -1) if self.each[i - 1].span.a < new.span.a), 0)
        if at < len(self.each) and (one := joined(new, self.each[at])) is not None:
            self.each[at] = new = one
        else:
            self.each.insert(at, new)
        if at and (one := joined(self.each[at - 1], new)) is not None:
            self.each[at - 1 : at + 1] = [one]

    def holds(self, seq: int) -> bool:
        """True if the message stands on a shelf."""
        return any(shelf.span.a <= seq <= shelf.span.z for shelf in self.each)

    def take(self, seq: int, readings: int, cost: int) -> Shelf:
        """Takes one message away. What is left over of a shelf's sums when its last one goes comes back on it: (readings, cost).

        Raises KeyError if it stands on none.
        """
        for at, shelf in enumerate(self.each):
            if not shelf.span.a <= seq <= shelf.span.z:
                continue
            if shelf.count == 1:
                del self.each[at]
            elif seq == shelf.span.a:
                self.each[at] = shelf.without_first(readings, cost)
            elif seq == shelf.span.z:
                self.each[at] = shelf.without_last(readings, cost)
            else:
                self.each[at : at + 1] = _split(shelf, seq, readings, cost)
            return shelf
        raise KeyError(seq)


def _split(shelf: Shelf, seq: int, readings: int, cost: int) -> list[Shelf]:
    """Two shelves around one message; their sums in proportion."""
    span = shelf.span
    rest = (max(0, shelf.readings - readings), max(0, shelf.cost - cost))
    low_count, count = seq - span.a, shelf.count - 1
    low = tuple(each * low_count // count for each in rest)
    return [
        replace(shelf, span=span._replace(z=seq - 1), readings=low[0], cost=low[1]),
        replace(shelf, span=span._replace(a=seq + 1), readings=rest[0] - low[0], cost=rest[1] - low[1]),
    ]


def shelves_of(messages: Iterable[Stored]) -> list[Shelf]:
    """Messages as shelves, by epoch, lane and sequence."""
    found: list[Shelf] = []
    for stored in sorted(messages, key=lambda each: each.key):
        new = shelf_of(stored)
        one = joined(found[-1], new) if found else None
        if one is None:
            found.append(new)
        else:
            found[-1] = one
    return found
