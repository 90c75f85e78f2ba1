"""Pure. How messages come to be held and cease to be: sequence, stamp, protection, release, the bounds, and births.

It keeps outbox, send window and the file's schedule in step with each other; the Courier tells it what happened.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from edge_agent.contract.encoding import decode_body, encode_birth_body
from edge_agent.contract.message import NORMAL, URGENT, BirthBody, Gap, Lane
from edge_agent.delivery.batching import DROPPED, Closed, OpenBatch
from edge_agent.delivery.durability import Durability
from edge_agent.delivery.machine import Anchor, ClockSet, Key, Start, Stored
from edge_agent.delivery.outbox import Held, OnDisk, Outbox, held_from
from edge_agent.delivery.stamping import Offset, Stamper, offsets_of_earlier_boots
from edge_agent.delivery.window import SendWindow
from edge_agent.model.points import Delivery

AGE_CHECK_MS = 60_000
FOLD_ABOVE = 8
"""Messages that tell of gaps; more are folded when room is short."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bounds of what is kept in memory, bytes of bodies."""

    unsafe_bytes: int = 16 << 20
    """Without a copy on disk: reached only while the disk refuses; then the oldest is dropped."""
    cached_bytes: int = 2 << 20
    """With a copy on disk."""


class Holding:
    """Everything without receipt, and what may be done with it. Times are monotonic ms of this boot."""

    def __init__(self, settings: Delivery, memory: Memory, urgent: OpenBatch) -> None:
        self._settings = settings
        self._memory = memory
        self._urgent = urgent
        self.outbox = Outbox()
        self.window = SendWindow(settings)
        self.durability = Durability(settings, self.outbox)
        self.epoch = self._boot = ""
        self.urgent_series: frozenset[int] = frozenset()
        self.age_check_ms = 0
        self.dropped = 0
        """Readings given up since start."""
        self._started_ms = 0
        self._stamper = Stamper()
        self._last_seq: dict[Lane, int] = {NORMAL: 0, URGENT: 0}

    def start(self, now_ms: int, event: Start) -> None:
        """Takes over what an earlier run left, under a new epoch."""
        self.epoch, self._boot, self._started_ms = event.epoch, event.boot, now_ms
        self.age_check_ms = now_ms + AGE_CHECK_MS
        if event.disk:
            self.durability.begin_from_memory(now_ms, event.disk)
        self.take_up(event.stored, event.anchors)
        self.be_born(now_ms, event.birth)

    def take_up(self, found: Iterable[Stored], told: Iterable[Anchor]) -> None:
        """What an outbox file held, of earlier epochs."""
        anchors = {a.epoch: Offset(a.offset_ms, a.source, a.bound_ms) for a in told}
        newest: dict[Lane, Held] = {}
        for stored in found:
            held = held_from(stored)
            if held.t0 is None and held.key.epoch in anchors:
                self._stamper.stamp(held, anchors[held.key.epoch])
            self.outbox.add(held)
            self._offer(held)
            if held.t0 is not None:
                newest[held.key.lane] = held
        for lane, held in newest.items():
            self._stamper.follow(lane, _last_utc_ms(held, self._boot, self._started_ms))
        self._stamp_waiting()

    def be_born(self, now_ms: int, body: BirthBody) -> None:
        """A birth becomes the newest one; batches from now on refer to it."""
        raw, name = encode_birth_body(body)
        self.urgent_series = frozenset(series.i for series in body.series if series.lane == URGENT)
        held = Held(self._next_key(URGENT), "birth", name, raw, len(raw), 0, self._boot, now_ms, now_ms, now_ms)
        self.outbox.newest_birth = held
        self._hold(held)
        self._forget_births()

    def hold(self, closed: Closed) -> None:
        """A batch that was closed."""
        birth = self.outbox.newest_birth
        if birth is None:
            raise ValueError("the first event must be Start")
        held = Held(
            self._next_key(closed.lane), "data", birth.birth, closed.body, len(closed.body), closed.readings, self._boot,
            closed.base_ms, closed.last_ms, closed.arrived_ms, closed.gaps,
        )  # fmt: skip
        self._hold(held)

    def confirm(self, held: Held) -> None:
        """Its receipt is here. A birth stays at hand while it is needed."""
        self._release(held)
        if held.kind == "birth" and self.outbox.needed(held):
            self.outbox.keep_birth(held)
        else:
            self.durability.forget(held)
        self._forget_births()

    def revive(self, birth: Held) -> None:
        """A birth is to be sent again, as the message it was."""
        if birth.key in self.outbox.kept_births:
            self.outbox.add(birth)
            self.durability.remember(birth)
        self.window.withdraw(birth.key)
        self._offer(birth)

    def bring_back(self, key: Key, body: bytes) -> None:
        """A body came from disk."""
        self.window.fetching.discard(key)
        held = self.outbox.get(key)
        if held is not None and held.body is None and body:
            self.outbox.set_body(held, body)
            self._offer(held)

    def let_bodies_go(self, keys: Collection[Key]) -> None:
        """Bodies that are on disk now leave memory where it is tight, except those under way."""
        for key in keys:
            held = self.outbox.get(key)
            is_spare = held is not None and held.on_disk is OnDisk.YES and key not in self.window.flying
            if held is not None and is_spare and self.outbox.cached_bytes > self._memory.cached_bytes:
                self.outbox.set_body(held, None)

    def set_clock(self, clock: ClockSet) -> None:
        """UTC is known (anew): what waited for a stamp gets it."""
        self._stamper.set_clock(clock)
        self._stamp_waiting()

    def _stamp_waiting(self) -> None:
        now = self._stamper.offset_at([self._started_ms])
        if now is None:
            return
        waiting = [held for held in self.outbox.oldest_first() if held.t0 is None]
        waiting += [birth for birth in self.outbox.kept_births.values() if birth.t0 is None]
        earlier: dict[str, Offset] = {}
        if any(held.boot != self._boot for held in waiting):
            began_ms = self._started_ms + now.offset_ms
            earlier = offsets_of_earlier_boots(self.outbox.oldest_first(), self._boot, began_ms, now.bound_ms)
        own: dict[str, Offset] = {}
        for epoch in {held.key.epoch for held in waiting if held.boot not in earlier}:
            times = [t for held in waiting if held.key.epoch == epoch for t in (held.mono_ms, held.last_ms)]
            own[epoch] = self._stamper.offset_at(times) or now
        for held in waiting:
            offset = earlier[held.boot] if held.boot in earlier else own[held.key.epoch]
            self._stamper.stamp(held, offset)
            self._stamper.follow(held.key.lane, held.last_ms + offset.offset_ms)
            if held.on_disk is not OnDisk.NO:
                held.awaits_anchor = True
                self.durability.anchors.setdefault(held.key.epoch, Anchor(held.key.epoch, *offset))
            self._offer(held)

    def free_stamps(self, epochs: Collection[str] | None) -> None:
        """Messages that waited for the anchors of these epochs (None: of all) may be sent."""
        for held in self.outbox.oldest_first():
            if held.awaits_anchor and (epochs is None or held.key.epoch in epochs):
                held.awaits_anchor = False
                self._offer(held)

    def drop(self, now_ms: int, held: Held, why: str) -> None:
        """Gives a message up; a gap record tells of it before the file forgets it."""
        key = held.key
        self.dropped += held.readings
        self._replace_by_gaps(now_ms, held, [Gap(key.epoch, key.lane, key.seq, key.seq, held.readings, why, held.t0, held.t0)])

    def keep_bounds(self, now_ms: int) -> None:
        """Drops the oldest while a bound is passed: births never, what tells of gaps only for its age."""
        outbox, most, unsafe = self.outbox, self._settings.max_bytes, self._memory.unsafe_bytes
        if outbox.depth_bytes > most or outbox.memory_only_bytes > unsafe:
            self._fold_gaps(now_ms)
            for held in outbox.oldest_first():
                is_over = outbox.depth_bytes > most
                if not is_over and outbox.memory_only_bytes <= unsafe:
                    break
                if held.kind == "data" and not held.gaps and (is_over or held.on_disk is not OnDisk.YES):
                    self.drop(now_ms, held, "overflow")
        if now_ms >= self.age_check_ms:
            self.age_check_ms = now_ms + AGE_CHECK_MS
            for held in outbox.oldest_first():
                age_ms = self.age_ms(now_ms, held)
                if age_ms is not None and age_ms <= self._settings.max_age_ms:
                    break
                if age_ms is not None and held.kind == "data":
                    self.drop(now_ms, held, "age")

    def age_ms(self, now_ms: int, held: Held) -> int | None:
        """How long ago the message was made; None while that cannot be known."""
        if held.boot == self._boot:
            return now_ms - held.mono_ms
        offset = self._stamper.offset
        return now_ms + offset.offset_ms - held.t0 if held.t0 is not None and offset is not None else None

    def oldest_ms(self, now_ms: int) -> int | None:
        """Age of the oldest message without receipt."""
        oldest = next(self.outbox.oldest_first(), None)
        return None if oldest is None else self.age_ms(now_ms, oldest)

    def unstamped(self) -> int:
        """Messages that wait for the clock."""
        return 0 if self._stamper.offset is not None else sum(held.t0 is None for held in self.outbox.oldest_first())

    def _replace_by_gaps(self, now_ms: int, held: Held, gaps: Iterable[Gap]) -> None:
        self._release(held)
        for gap in gaps:
            if self._urgent.is_full and (closed := self._urgent.close()) is not None:
                self.hold(closed)
            self._urgent.add_gap(now_ms, gap)
        self.durability.forget(held)
        self._forget_births()

    def _fold_gaps(self, now_ms: int) -> None:
        """Many messages that tell of gaps alone become one, so that they do not take the room of readings."""
        telling = [held for held in self.outbox.oldest_first() if held.gaps and not held.readings]
        if len(telling) > FOLD_ABOVE:
            for held in telling:
                body = decode_body(held.body) if held.body is not None else None
                if body is not None and all(event.kind == DROPPED for event in body.events):
                    self._replace_by_gaps(now_ms, held, body.gaps)

    def last_seq(self, lane: Lane) -> int:
        """The newest sequence given in a lane of this run."""
        return self._last_seq[lane]

    def _next_key(self, lane: Lane) -> Key:
        self._last_seq[lane] += 1
        return Key(self.epoch, lane, self._last_seq[lane])

    def _hold(self, held: Held) -> None:
        if self._stamper.offset is not None:
            self._stamper.stamp_new(held)
        self.outbox.add(held)
        self.durability.protect(held)
        self._offer(held)

    def _offer(self, held: Held) -> None:
        if held.t0 is not None and not held.awaits_anchor and self.outbox.get(held.key) is held:
            self.window.offer(held.key)

    def _release(self, held: Held) -> None:
        self.outbox.remove(held)
        self.window.withdraw(held.key)

    def _forget_births(self) -> None:
        for birth in self.outbox.unneeded_births():
            self.durability.forget(birth)


def _last_utc_ms(held: Held, boot: str, started_ms: int) -> int:
    """By when all of a stored message's readings were taken, in the time of its stamp."""
    t0 = held.t0 or 0
    if held.boot == boot:
        return t0 - held.mono_ms + started_ms
    if held.kind == "birth" or not held.body:
        return t0
    body = decode_body(held.body)
    ends = [sum(block.t) for block in body.blocks] + [event.t for event in body.events]
    return t0 + max(ends, default=0)
