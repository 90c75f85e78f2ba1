"""Pure. What is held: every sequenced message without receipt, in memory or on disk, bounded by bytes and by age."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from edge_agent.contract.message import LANES, Gap, Lane, LaneReceipt
from edge_agent.delivery.machine import Key, Stored

CACHE_BYTES = 8 << 20
"""Bodies that are on disk as well are kept in memory up to this."""


@dataclass(slots=True)
class Held:
    """One message and where it stands."""

    stored: Stored
    size: int
    since_ms: int
    """Monotonic ms of this process when the oldest thing in it was taken; when loaded for what an earlier process left."""
    on_disk: bool = False
    writing: bool = False
    fetching: bool = False
    confirmed: bool = False
    """A receipt covers it; kept only as a birth that others refer to, or until the file forgets it."""

    @property
    def in_memory(self) -> bool:
        """True if its body is here."""
        return bool(self.stored.body)


@dataclass(slots=True)
class Outbox:
    """Held messages in order of making. `dead`: on disk and not needed any more, to be forgotten with the next write."""

    held: dict[Key, Held] = field(default_factory=dict)
    dead: list[Key] = field(default_factory=list)
    bytes: int = 0
    dropped: int = 0
    """Readings dropped since start."""

    def add(self, stored: Stored, since_ms: int, on_disk: bool = False, size: int | None = None) -> Held:
        """Holds one more."""
        held = Held(stored, len(stored.body) if size is None else size, since_ms, on_disk)
        self.held[stored.key] = held
        self.bytes += held.size
        return held

    def waiting(self) -> Iterator[Held]:
        """What no receipt covers, oldest first."""
        return (held for held in self.held.values() if not held.confirmed)

    def lowest(self, epoch: str, lane: Lane) -> int | None:
        """Lowest sequence of a lane that still waits for its receipt."""
        return min((k.seq for k, h in self.held.items() if k.epoch == epoch and k.lane == lane and not h.confirmed), default=None)

    def holds_of(self, epoch: str, lane: Lane) -> bool:
        """True if anything of that epoch and lane is held."""
        return any(key.epoch == epoch and key.lane == lane for key in self.held)

    def confirm(self, receipt: LaneReceipt) -> list[Held]:
        """Applies one line of a receipt; gives what was newly confirmed."""
        newly = [
            h
            for k, h in self.held.items()
            if not h.confirmed and k.epoch == receipt.e and k.lane == receipt.l and covers(receipt, k.seq)
        ]
        for held in newly:
            held.confirmed = True
        return newly

    def release(self, current_birth: str) -> None:
        """Lets go of what is confirmed, except births that a waiting message (or the present one) refers to."""
        needed = {h.stored.birth for h in self.waiting() if h.stored.kind == "data"} | {current_birth}
        for key, held in list(self.held.items()):
            if held.confirmed and not held.writing and not (held.stored.kind == "birth" and held.stored.birth in needed):
                self.forget(key)

    def forget(self, key: Key) -> None:
        """It is held no more."""
        held = self.held.pop(key)
        self.bytes -= held.size
        if held.on_disk:
            self.dead.append(key)

    def revive(self) -> None:
        """Another log: nothing that is still held is confirmed."""
        for held in self.held.values():
            held.confirmed = False

    def overflow(self, max_bytes: int, oldest_ms: int) -> list[Held]:
        """Drops the oldest beyond the bounds, normal lane first, never a birth; gives what was dropped."""
        gone: list[Held] = []
        for lane in LANES:
            for key in [k for k, h in self.held.items() if k.lane == lane and h.stored.kind == "data" and not h.writing]:
                held = self.held[key]
                if self.bytes <= max_bytes and held.since_ms >= oldest_ms:
                    break
                self.forget(key)
                if not held.confirmed:
                    self.dropped += held.stored.readings
                    gone.append(held)
        return gone

    def evict(self, keep: Iterable[Key]) -> None:
        """Frees memory: bodies that are on disk too, the youngest first, until the cache fits. keep: those about to be sent."""
        kept = set(keep)
        cached = sum(h.size for h in self.held.values() if h.on_disk and h.in_memory)
        for key in reversed(self.held):
            if cached <= CACHE_BYTES:
                return
            held = self.held[key]
            if held.on_disk and held.in_memory and key not in kept and held.stored.kind == "data":
                held.stored = replace(held.stored, body=b"")
                cached -= held.size


def covers(receipt: LaneReceipt, seq: int) -> bool:
    """True if the receipt's line says that `seq` is durable."""
    return seq <= receipt.upto or any(first <= seq <= last for first, last in receipt.ranges)


def gap_records(dropped: Sequence[Held], why: str) -> list[Gap]:
    """Gap records for what was dropped, one for each run of sequences."""
    gaps: list[Gap] = []
    for held in dropped:
        key, t0 = held.stored.key, held.stored.t0
        last = gaps[-1] if gaps else None
        if last is not None and (last.e, last.l, last.z + 1) == (key.epoch, key.lane, key.seq):
            begin = last.t_from if last.t_from is not None else t0
            gaps[-1] = Gap(last.e, last.l, last.a, key.seq, last.readings + held.stored.readings, why, begin, t0)
        else:
            gaps.append(Gap(key.epoch, key.lane, key.seq, key.seq, held.stored.readings, why, t0, t0))
    return gaps
