"""Pure. What the agent holds: every sequenced message without receipt, in memory or on disk, by epoch and lane.

Messages that are on disk may leave memory: then they stand on a shelf (shelf.py). Births stay held after their receipt while they
are the newest one or a batch without receipt refers to them, because a new collector needs them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Literal

from edge_agent.contract.encoding import parse_epoch
from edge_agent.contract.message import URGENT, Lane
from edge_agent.delivery.machine import HELD_BYTES, Key, Stored
from edge_agent.delivery.shelf import Shelf, Shelves, shelf_of

MEMORY_BYTES = 800
"""What a message takes in memory beside its body, in this and in the send window."""


class OnDisk(Enum):
    """What may be believed of a message's copy in the outbox file."""

    NO = "no"
    WRITING = "writing"
    YES = "yes"
    DOUBTFUL = "doubtful"
    """A write of it failed: it may be there or not."""


@dataclass(slots=True, eq=False)
class Held:
    """One sequenced message that is held in memory."""

    key: Key
    kind: Literal["data", "birth"]
    birth: str
    body: bytes
    size: int
    readings: int
    boot: str
    mono_ms: int
    last_ms: int
    """Monotonic time of its last reading or event."""
    arrived_ms: int
    gaps: int = 0
    t0: int | None = None
    clock_source: str = ""
    clock_bound_ms: int = 0
    on_disk: OnDisk = OnDisk.NO
    awaits_anchor: bool = False
    """Stamped, but the copy on disk is not: it may not be sent before the epoch's anchor is durable."""
    stamped_late: bool = False
    """The copy on disk has no stamp of its own."""

    @property
    def cost(self) -> int:
        """Bytes it counts."""
        return self.size + HELD_BYTES

    def stored(self) -> Stored:
        """As it goes to disk or to the wire."""
        return Stored(
            self.key, self.kind, self.birth, self.body, self.readings, self.boot, self.mono_ms,
            self.t0, self.clock_source, self.clock_bound_ms, self.gaps, self.size,
        )  # fmt: skip


def held_from(stored: Stored) -> Held:
    """What was found in the outbox file."""
    return Held(
        stored.key, stored.kind, stored.birth, stored.body, len(stored.body), stored.readings, stored.boot,
        stored.mono_ms, stored.mono_ms, 0, stored.gaps, stored.t0, stored.clock_source, stored.clock_bound_ms, OnDisk.YES,
    )  # fmt: skip


def age_order(key: Key) -> tuple[int, int]:
    """Orders the messages of a lane by age: start counter of the epoch, then sequence."""
    return start_counter(key.epoch), key.seq


@lru_cache(maxsize=256)
def start_counter(epoch: str) -> int:
    """The start counter of an epoch; asked for with every message, so the last answers are kept."""
    return parse_epoch(epoch)[0]


class LaneHeld:
    """What is held of one epoch and lane, in the order of sequence."""

    def __init__(self) -> None:
        self.of_seq: dict[int, Held] = {}
        """In memory."""
        self.shelves = Shelves()
        self.top = 0
        """Highest sequence ever held."""
        self._low = 1

    def add(self, held: Held) -> None:
        """Holds one more; sequences grow, except for a birth that is held again."""
        seq = held.key.seq
        self._low = seq if not self.of_seq and not self.shelves.each else min(self._low, seq)
        self.of_seq[seq] = held
        self.top = max(self.top, seq)

    def low(self) -> int:
        """Lowest sequence held; one beyond the top if none is."""
        shelved = self.shelves.each[0].span.a if self.shelves.each else self.top + 1
        self._low = min(self._low, shelved)
        while self._low < shelved and self._low not in self.of_seq:
            self._low += 1
        return self._low

    def each(self) -> Iterator[Held | Shelf]:
        """In order of sequence, looked up one by one: what goes meanwhile is passed over, and who stops early pays for no more."""
        seq = self.low()
        for shelf in [*self.shelves.each, None]:
            for at in range(seq, shelf.span.a if shelf is not None else self.top + 1):
                held = self.of_seq.get(at)
                if held is not None:
                    yield held
            if shelf is not None:
                yield shelf
                seq = shelf.span.z + 1

    def between(self, first: int, last: int) -> Iterator[Held]:
        """Those in memory of these sequences, in order; costs what there is, not how far it reaches."""
        if last - first > len(self.of_seq):
            yield from [self.of_seq[seq] for seq in sorted(self.of_seq) if first <= seq <= last]
            return
        for seq in range(first, last + 1):
            held = self.of_seq.get(seq)
            if held is not None:
                yield held

    def lowest_shelf(self) -> Shelf | None:
        """The first shelf, if nothing in memory goes before it."""
        first = self.shelves.each[0] if self.shelves.each else None
        return first if first is not None and first.span.a <= min(self.of_seq, default=self.top + 1) else None

    def lowest(self, count: int) -> list[Key]:
        """The first messages held, of those in memory."""
        low = min(self.of_seq, default=1)
        return [self.of_seq[seq].key for seq in range(low, min(self.top, low + 10 * count) + 1) if seq in self.of_seq][:count]


class Outbox:
    """Everything held, with its sums. Which message goes where is decided by the Courier."""

    def __init__(self) -> None:
        self.lanes: dict[tuple[str, Lane], LaneHeld] = {}
        self.depth = 0
        self.depth_readings = 0
        self.depth_bytes = 0
        self.newest_birth: Held | None = None
        self.revived: set[Key] = set()
        """Births that had their receipt and are held again, to be sent again."""
        self.kept_births: dict[Key, Held] = {}
        """Births with a receipt that are still needed."""
        self.memory_only_bytes = 0
        """Bodies without a copy on disk that can be believed."""
        self.cached_bytes = 0
        """Messages in memory that are on disk too, with all that they take."""
        self.on_disk = 0
        """Messages without receipt that are surely on disk."""
        self.disk_bytes = 0
        self._refers: Counter[str] = Counter()

    def add(self, held: Held) -> None:
        """Holds a message (again)."""
        self.lanes.setdefault(held.key[:2], LaneHeld()).add(held)
        self.kept_births.pop(held.key, None)
        self.depth += 1
        self.depth_readings += held.readings
        self.depth_bytes += held.cost
        self._count(held, 1)
        self._refers[held.birth] += 1

    def get(self, key: Key) -> Held | None:
        """The message without receipt of this key."""
        lane = self.lanes.get((key.epoch, key.lane))
        return lane.of_seq.get(key.seq) if lane else None

    def remove(self, held: Held) -> None:
        """It has its receipt, or was given up."""
        where = (held.key.epoch, held.key.lane)
        lane = self.lanes[where]
        del lane.of_seq[held.key.seq]
        if not lane.of_seq and not lane.shelves.each:
            del self.lanes[where]
        self.depth -= 1
        self.depth_readings -= held.readings
        self.depth_bytes -= held.cost
        self._count(held, -1)
        self._refers[held.birth] -= 1
        if not self._refers[held.birth]:
            del self._refers[held.birth]

    def keep_birth(self, held: Held) -> None:
        """A birth with a receipt stays at hand while it is needed."""
        self.kept_births[held.key] = held

    def needed(self, birth: Held) -> bool:
        """True while the birth is the newest, or anything without receipt refers to it or is a copy of it."""
        return birth is self.newest_birth or self._refers[birth.birth] > 0

    def unneeded_births(self) -> list[Held]:
        """Births with a receipt that nothing needs any more; they are kept no longer."""
        gone = [birth for birth in self.kept_births.values() if not self.needed(birth)]
        for birth in gone:
            del self.kept_births[birth.key]
        return gone

    def low(self, key: Key) -> int:
        """Lowest sequence without receipt in the key's lane, at most the key's own.

        A birth that had its receipt and is sent again does not count: what lies between it and the others is held no more.
        """
        lane = self.lanes.get((key.epoch, key.lane))
        if lane is None:
            return key.seq
        low = lane.low()
        if key._replace(seq=low) in self.revived:
            others = (each.key.seq for each in lane.each() if each.key not in self.revived)
            low = next(others, key.seq)
        return min(key.seq, low)

    def put_shelf(self, shelf: Shelf) -> None:
        """Holds what stands on a shelf."""
        lane = self.lanes.setdefault(shelf.key[:2], LaneHeld())
        lane.shelves.put(shelf)
        lane.top = max(lane.top, shelf.span.z)
        self._sum(shelf.count, shelf.readings, shelf.cost)
        self._refers[shelf.birth] += shelf.count

    def shelve(self, held: Held) -> None:
        """A message that is surely on disk leaves memory."""
        lane = self.lanes[held.key[:2]]
        lane.low()
        del lane.of_seq[held.key.seq]
        lane.shelves.put(shelf_of(held.stored()))
        self.cached_bytes -= held.size + MEMORY_BYTES

    def is_shelved(self, key: Key) -> bool:
        """True if the message is held and stands on a shelf."""
        lane = self.lanes.get((key.epoch, key.lane))
        return lane is not None and lane.shelves.holds(key.seq)

    def unshelve(self, held: Held) -> None:
        """A message that stood on a shelf is in memory again."""
        lane = self.lanes[held.key[:2]]
        lane.low()
        shelf = lane.shelves.take(held.key.seq, held.readings, held.cost)
        lane.of_seq[held.key.seq] = held
        self.cached_bytes += held.size + MEMORY_BYTES
        if shelf.count == 1:  # what the sums missed of messages that could not be read
            self._sum(0, held.readings - shelf.readings, held.cost - shelf.cost)

    def lose(self, key: Key, readings: int) -> tuple[int, int]:
        """A message on a shelf cannot be read any more. Gives what it counted: readings, bytes."""
        lane = self.lanes[key[:2]]
        lane.low()
        shelf = next(each for each in lane.shelves.each if each.span.a <= key.seq <= each.span.z)
        cost = shelf.cost if shelf.count == 1 else shelf.cost // shelf.count
        readings = shelf.readings if shelf.count == 1 else min(readings, shelf.readings)
        lane.shelves.take(key.seq, readings, cost)
        self._sum(-1, -readings, -cost)
        self._refers[shelf.birth] -= 1
        if not self._refers[shelf.birth]:
            del self._refers[shelf.birth]
        if not lane.of_seq and not lane.shelves.each:
            del self.lanes[key[:2]]
        return readings, cost

    def _sum(self, count: int, readings: int, cost: int) -> None:
        self.depth += count
        self.on_disk += count
        self.depth_readings += readings
        self.depth_bytes += cost
        self.disk_bytes += cost

    def set_on_disk(self, held: Held, on_disk: OnDisk) -> None:
        """What is now believed of its copy on disk."""
        counted = self.get(held.key) is held
        if counted:
            self._count(held, -1)
        held.on_disk = on_disk
        if counted:
            self._count(held, 1)

    def in_memory(self) -> Iterator[Held]:
        """Every message without receipt that stands on no shelf, oldest first."""
        return (held for held in self.oldest_first() if isinstance(held, Held))

    def shelves(self) -> Iterator[Shelf]:
        """All of them."""
        return (shelf for lane in self.lanes.values() for shelf in lane.shelves.each)

    def oldest_first(self) -> Iterator[Held | Shelf]:
        """Everything without receipt, oldest epoch first, within an epoch by the time it was made."""
        epochs = sorted({epoch for epoch, _ in self.lanes}, key=start_counter)
        for epoch in epochs:
            heads = [lane.each() for (e, _), lane in self.lanes.items() if e == epoch]
            yield from _merged(heads)

    def _count(self, held: Held, sign: int) -> None:
        if held.on_disk is OnDisk.YES:
            self.on_disk += sign
            self.disk_bytes += sign * held.cost
            self.cached_bytes += sign * (held.size + MEMORY_BYTES)
        else:
            self.memory_only_bytes += sign * held.size


def _began_ms(entry: Held | Shelf) -> int:
    return entry.first_ms if isinstance(entry, Shelf) else entry.mono_ms


def _merged(heads: list[Iterator[Held | Shelf]]) -> Iterator[Held | Shelf]:
    firsts = [(first, rest) for rest in heads if (first := next(rest, None)) is not None]
    while firsts:
        at = min(range(len(firsts)), key=lambda i: (_began_ms(firsts[i][0]), firsts[i][0].key.lane == URGENT))
        first, rest = firsts[at]
        yield first
        following = next(rest, None)
        if following is None:
            del firsts[at]
        else:
            firsts[at] = (following, rest)
