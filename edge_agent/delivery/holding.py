"""Pure. How messages come to be held and cease to be: sequence, stamp, protection, release, the bounds, and births.

It keeps outbox, send window and the file's schedule in step with each other; the Courier tells it what happened.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from edge_agent.contract.encoding import decode_body, encode_birth_body
from edge_agent.contract.message import NORMAL, URGENT, BirthBody, Gap, Lane
from edge_agent.delivery.batching import DROPPED, Closed, OpenBatch
from edge_agent.delivery.durability import Durability
from edge_agent.delivery.machine import Anchor, ClockSet, Key, Lost, Span, Start, Stored
from edge_agent.delivery.outbox import Held, OnDisk, Outbox, age_order, held_from
from edge_agent.delivery.shelf import Shelf, shelf_of
from edge_agent.delivery.stamping import Offset, Stamper, offsets_of_earlier_boots
from edge_agent.delivery.window import SendWindow
from edge_agent.model.points import Delivery

AGE_CHECK_MS = 60_000
FETCH_CHECK_MS = 1000
"""So soon ages are looked at again when messages had to be read back for it."""
FETCH = 256
"""Messages that are read back at a time."""
LANES_IN_ORDER: tuple[Lane, ...] = (URGENT, NORMAL)
FOLD_ABOVE = 8
"""Messages that tell of gaps; more are folded when room is short."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bounds of what is kept in memory, bytes of bodies."""

    unsafe_bytes: int = 16 << 20
    """Without a copy on disk: reached only while the disk refuses; then the oldest is dropped."""
    cached_bytes: int = 2 << 20
    """Messages with a copy on disk, all that they take; beyond it what is written leaves memory for a shelf."""


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
        self._offsets: dict[str, Offset] = {}
        """Of epochs of which anything is on disk without a stamp."""
        self._wanted: Shelf | None = None
        """From here messages are needed next, whatever the order of sending."""
        self.is_fetching = False
        self._is_patient = True
        self._last_seq: dict[Lane, int] = {NORMAL: 0, URGENT: 0}
        self._draft_offset_ms: int | None = None
        """By which the drafts of the open batch were stamped."""

    def start(self, now_ms: int, event: Start) -> None:
        """Takes over what an earlier run left, under a new epoch."""
        self.epoch, self._boot, self._started_ms = event.epoch, event.boot, now_ms
        self.age_check_ms = now_ms + AGE_CHECK_MS
        if event.disk:
            self.durability.begin_from_memory(now_ms, event.disk)
        self.take_up(event.stored, event.anchors, event.shelves)
        self.copy_births(now_ms, encode_birth_body(event.birth)[1])
        self.be_born(now_ms, event.birth)

    def take_up(self, found: Iterable[Stored], told: Iterable[Anchor], shelves: Iterable[Shelf]) -> None:
        """What an outbox file held, of earlier epochs. Messages that come without their body stand on shelves."""
        ends: dict[Lane, tuple[Key, int]] = {}
        self._offsets |= {a.epoch: Offset(a.offset_ms, a.source, a.bound_ms) for a in told}
        for stored in found:
            if not stored.body:
                self.outbox.put_shelf(shelf_of(stored))
                continue
            held = self._stamped(held_from(stored))
            self.outbox.add(held)
            self._offer(held)
            if held.t0 is not None:
                _note_end(ends, held.key, _last_utc_ms(held, self._boot, self._started_ms))
        for shelf in shelves:
            self.outbox.put_shelf(shelf)
            if shelf.offset_ms is not None:
                at_ms = self._started_ms if shelf.boot == self._boot else shelf.last_ms
                _note_end(ends, shelf.key._replace(seq=shelf.span.z), at_ms + shelf.offset_ms)
        for lane, (_, utc_ms) in ends.items():
            self._stamper.follow(lane, utc_ms)
        self._stamp_waiting()

    def _stamped(self, held: Held) -> Held:
        offset = self._offsets.get(held.key.epoch)
        if held.t0 is None:
            held.stamped_late = True
            if offset is not None:
                self._stamper.stamp(held, offset)
                held.awaits_anchor = self._is_patient and held.key.epoch in self.durability.anchors
        return held

    def be_born(self, now_ms: int, body: BirthBody) -> None:
        """A birth becomes the newest one; batches from now on refer to it."""
        raw, name = encode_birth_body(body)
        self.urgent_series = frozenset(series.i for series in body.series if series.lane == URGENT)
        held = Held(self._next_key(URGENT), "birth", name, raw, len(raw), 0, self._boot, now_ms, now_ms, now_ms)
        self.outbox.newest_birth = held
        self._hold(held)
        self._forget_births()

    def hold(self, closed: Closed) -> None:
        """A batch that was closed. Where a draft of it may be on disk, that is replaced or forgotten like a write that failed."""
        held = self._held(self._next_key(closed.lane), closed)
        if closed.has_draft:
            held.on_disk = OnDisk.DOUBTFUL
            if self._draft_offset_ms is not None:
                self._stamper.stamp_as_before(held, self._draft_offset_ms)
            self._draft_offset_ms = None
        self._hold(held)

    def draft(self, closed: Closed) -> Stored:
        """An open batch as it would be if the power went now: under the sequence that it will have, stamped if the time is known.

        Whatever the clock does meanwhile, later drafts and the batch itself keep the stamps of the first one.
        """
        held = self._held(Key(self.epoch, closed.lane, self._last_seq[closed.lane] + 1), closed)
        if self._draft_offset_ms is not None:
            self._stamper.stamp_as_before(held, self._draft_offset_ms)
        elif self._stamper.stamp_draft(held) is not None and held.t0 is not None:
            self._draft_offset_ms = held.t0 - held.mono_ms
        return held.stored()

    def _held(self, key: Key, closed: Closed) -> Held:
        birth = self.outbox.newest_birth
        if birth is None:
            raise ValueError("the first event must be Start")
        return Held(
            key, "data", birth.birth, closed.body, len(closed.body), closed.readings, self._boot,
            closed.base_ms, closed.last_ms, closed.arrived_ms, closed.gaps,
        )  # fmt: skip

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
            self.outbox.revived.add(birth.key)
            self.durability.remember(birth)
        self.window.withdraw(birth.key)
        self._offer(birth)

    def copy_births(self, now_ms: int, coming: str = "") -> None:
        """Births that a log may lack go out as new messages too, the newest one last. coming: its hash, if it is yet to be born.

        A log that heard of a lane late takes what lies below `low` for settled elsewhere: its receipts cover the old message of a
        birth that it never had. They cover the copy only when it is there. A birth is kept while its copy is without receipt.
        """
        kept, newest = self.outbox.kept_births, self.outbox.newest_birth
        births = [*kept.values(), *(held for held in self.outbox.in_memory() if held.kind == "birth")]
        sure = {b.birth for b in births if b.key.epoch == self.epoch and b.key not in kept and b.key not in self.outbox.revived}
        last = newest.birth if newest is not None else coming
        doubtful = {b.birth: b for b in sorted(births, key=lambda b: age_order(b.key)) if b.birth not in sure and b.birth != last}
        if newest is not None and (doubtful or last not in sure):
            doubtful[last] = newest
        copies = [
            Held(self._next_key(URGENT), "birth", name, birth.body, birth.size, 0, self._boot, now_ms, now_ms, now_ms)
            for name, birth in doubtful.items()
        ]
        for copy in copies:
            self._hold(copy)
        self.window.hasten(copy.key for copy in copies)

    def shelve(self, keys: Collection[Key]) -> None:
        """Messages that are on disk now leave memory where it is tight, except those under way and what is not plain readings."""
        for key in keys:
            held = self.outbox.get(key)
            if held is None or self.outbox.cached_bytes <= self._memory.cached_bytes:
                continue
            is_plain = held.kind == "data" and not held.gaps and not held.stamped_late
            if is_plain and held.on_disk is OnDisk.YES and key not in self.window.flying:
                self.window.withdraw(key)
                self.outbox.shelve(held)

    def shelved_from(self) -> dict[Lane, tuple[int, int]]:
        """Where in the order of sending what stands on shelves begins, by lane."""
        return {lane: self.window.order(self._next_of(shelf)) for lane, shelf in self._sendable().items()}

    def _next_of(self, shelf: Shelf) -> Key:
        return shelf.key._replace(seq=shelf.span.z) if self._settings.newest_first else shelf.key

    def _sendable(self) -> dict[Lane, Shelf]:
        """The shelf that is the next one to be sent from, by lane."""
        found: dict[Lane, Shelf] = {}
        for shelf in self.outbox.shelves():
            lane, epoch = shelf.span.lane, shelf.span.epoch
            has_anchor = epoch in self._offsets and not (self._is_patient and epoch in self.durability.anchors)
            if shelf.offset_ms is None and not has_anchor:
                continue
            best = found.get(lane)
            if best is None or self.window.order(self._next_of(shelf)) < self.window.order(self._next_of(best)):
                found[lane] = shelf
        return found

    def want(self, shelf: Shelf) -> None:
        """The first messages of this shelf are needed."""
        self._wanted = shelf

    def fetch(self, shelved: Mapping[Lane, tuple[int, int]]) -> Span | None:
        """What is to be read back now: what is needed first, else for a lane that has nothing else to send."""
        if self.is_fetching:
            return None
        span = None
        if self._wanted is not None and self.outbox.is_shelved(self._wanted.key):
            at = self._wanted.span
            span = at._replace(z=min(at.z, at.a + FETCH - 1))
        elif (
            lane := next((lane for lane in LANES_IN_ORDER if lane in shelved and self.window.is_dry(lane, shelved)), None)
        ) is not None:
            at = self._sendable()[lane].span
            newest = self._settings.newest_first
            span = at._replace(a=max(at.a, at.z - FETCH + 1)) if newest else at._replace(z=min(at.z, at.a + FETCH - 1))
        self._wanted = None
        self.is_fetching = span is not None
        return span

    def unshelve(self, found: Iterable[Stored]) -> list[Held]:
        """Messages came from disk: held in memory again, not yet offered."""
        self.is_fetching = False
        back = []
        for stored in found:
            if stored.body and self.outbox.is_shelved(stored.key):
                held = self._stamped(held_from(stored))
                self.outbox.unshelve(held)
                back.append(held)
        return back

    def offer(self, held: Held) -> None:
        """It may be sent, once it has a stamp that is durable."""
        self._offer(held)

    def lose(self, now_ms: int, keys: Sequence[Key], readings: int) -> list[Gap]:
        """Messages on shelves that cannot be read back are given up. readings: in all of them."""
        runs: list[list[Key]] = []
        for key in sorted(key for key in keys if self.outbox.is_shelved(key)):
            if runs and runs[-1][-1] == key._replace(seq=key.seq - 1):
                runs[-1].append(key)
            else:
                runs.append([key])
        gaps = []
        for run in runs:
            lost, share = 0, -(-readings // len(run))
            for key in run:
                given, cost = self.outbox.lose(key, min(share, readings))
                lost, readings = lost + given, max(0, readings - given)
                self.durability.forget_key(key, cost)
            gaps.append(Gap(run[0].epoch, run[0].lane, run[0].seq, run[-1].seq, lost, "damaged"))
            self.dropped += lost
        self._tell(now_ms, gaps)
        self._forget_births()
        return gaps

    def tell_lost(self, now_ms: int, lost: Lost) -> None:
        """A damaged birth, or a message that told of gaps: that it is gone, and again what it told."""
        key = lost.key
        self.dropped += lost.readings
        self._tell(now_ms, [Gap(key.epoch, key.lane, key.seq, key.seq, lost.readings, "damaged"), *lost.gaps])
        self.durability.forget_key(key, 0)

    def doubt_disk(self) -> None:
        """The outbox file lacks nobody knows what: messages that are in memory too are written once more, and all anchors."""
        for held in [*self.outbox.in_memory(), *self.outbox.kept_births.values()]:
            if held.on_disk is OnDisk.YES:
                self.outbox.set_on_disk(held, OnDisk.DOUBTFUL)
                self.durability.protect(held)
        for epoch, offset in self._offsets.items():
            self.durability.anchors.setdefault(epoch, Anchor(epoch, *offset))

    def set_clock(self, clock: ClockSet) -> None:
        """UTC is known (anew): what waited for a stamp gets it."""
        self._stamper.set_clock(clock)
        self._stamp_waiting()

    def _stamp_waiting(self) -> None:
        now = self._stamper.offset_at([self._started_ms])
        if now is None:
            return
        waiting = [held for held in self.outbox.in_memory() if held.t0 is None]
        waiting += [birth for birth in self.outbox.kept_births.values() if birth.t0 is None]
        shelves = [shelf for shelf in self.outbox.shelves() if shelf.offset_ms is None and shelf.span.epoch not in self._offsets]
        earlier: dict[str, Offset] = {}
        if ({each.boot for each in waiting} | {shelf.boot for shelf in shelves}) - {self._boot}:
            began_ms = self._started_ms + now.offset_ms
            earlier = offsets_of_earlier_boots(self.outbox.oldest_first(), self._boot, began_ms, now.bound_ms)
        own: dict[str, Offset] = {}
        alone: list[Held | Shelf] = [*waiting, *shelves]
        for epoch in {each.key.epoch for each in alone if each.boot not in earlier}:
            times = [t for held in waiting if held.key.epoch == epoch for t in (held.mono_ms, held.last_ms)]
            times += [t for shelf in shelves if shelf.span.epoch == epoch for t in (shelf.first_ms, shelf.last_ms)]
            own[epoch] = self._stamper.offset_at(times) or now
        for held in waiting:
            offset = self._offsets.get(held.key.epoch) or earlier.get(held.boot) or own[held.key.epoch]
            self._stamper.stamp(held, offset)
            self._stamper.follow(held.key.lane, held.last_ms + offset.offset_ms, held.last_ms if held.boot == self._boot else -1)
            if held.on_disk is not OnDisk.NO:
                held.awaits_anchor = held.stamped_late = True
                self._anchor(held.key.epoch, offset)
            self._offer(held)
        for shelf in shelves:
            self._anchor(shelf.span.epoch, earlier.get(shelf.boot) or own[shelf.span.epoch])

    def _anchor(self, epoch: str, offset: Offset) -> None:
        """The stamp of what is on disk without one; the first one stands."""
        offset = self._offsets.setdefault(epoch, offset)
        self.durability.anchors.setdefault(epoch, Anchor(epoch, *offset))

    def free_stamps(self, epochs: Collection[str] | None) -> None:
        """Messages that waited for the anchors of these epochs (None: of all) may be sent."""
        self._is_patient = self._is_patient and epochs is not None
        for held in self.outbox.in_memory():
            if held.awaits_anchor and (epochs is None or held.key.epoch in epochs):
                held.awaits_anchor = False
                self._offer(held)

    def drop(self, now_ms: int, held: Held, why: str) -> None:
        """Gives a message up; a gap record tells of it before the file forgets it, and what it told is told again."""
        key = held.key
        self.dropped += held.readings
        gap = Gap(key.epoch, key.lane, key.seq, key.seq, held.readings, why, held.t0, held.t0)
        self._replace_by_gaps(now_ms, held, [gap, *(decode_body(held.body).gaps if held.gaps else ())])

    def keep_bounds(self, now_ms: int) -> None:
        """Drops the oldest while a bound is passed: births never, what tells of gaps only for its age."""
        outbox, most, unsafe = self.outbox, self._settings.max_bytes, self._memory.unsafe_bytes
        if outbox.depth_bytes > most or outbox.memory_only_bytes > unsafe:
            self._fold_gaps(now_ms)
            for held in outbox.oldest_first():
                is_over = outbox.depth_bytes > most and self._wanted is None
                if not is_over and outbox.memory_only_bytes <= unsafe:
                    break
                if isinstance(held, Shelf):
                    self._wanted = held if is_over else self._wanted
                elif held.kind == "data" and not held.gaps and (is_over or held.on_disk is not OnDisk.YES):
                    self.drop(now_ms, held, "overflow")
        if now_ms >= self.age_check_ms:
            self.age_check_ms = now_ms + AGE_CHECK_MS
            for held in outbox.oldest_first():
                age_ms = self.age_ms(now_ms, held)
                if age_ms is not None and age_ms <= self._settings.max_age_ms:
                    break
                if isinstance(held, Shelf):
                    self._wanted = held if age_ms is not None else self._wanted
                    self.age_check_ms = now_ms + FETCH_CHECK_MS if age_ms is not None else self.age_check_ms
                    break
                if age_ms is not None and held.kind == "data":
                    self.drop(now_ms, held, "age")

    def age_ms(self, now_ms: int, held: Held | Shelf) -> int | None:
        """How long ago the message (of a shelf: the oldest) was made; None while that cannot be known."""
        made_ms = held.first_ms if isinstance(held, Shelf) else held.mono_ms
        if held.boot == self._boot:
            return now_ms - made_ms
        now = self._stamper.offset
        if isinstance(held, Shelf):
            told = self._offsets.get(held.span.epoch)
            offset_ms = held.offset_ms if held.offset_ms is not None else told.offset_ms if told is not None else None
            t0 = None if offset_ms is None else made_ms + offset_ms
        else:
            t0 = held.t0
        return now_ms + now.offset_ms - t0 if t0 is not None and now is not None else None

    def oldest_ms(self, now_ms: int) -> int | None:
        """Age of the oldest message without receipt."""
        oldest = next(self.outbox.oldest_first(), None)
        return None if oldest is None else self.age_ms(now_ms, oldest)

    def unstamped(self) -> int:
        """Messages that wait for the clock."""
        if self._stamper.offset is not None:
            return 0
        shelved = sum(shelf.count for shelf in self.outbox.shelves() if shelf.offset_ms is None)
        return shelved + sum(held.t0 is None for held in self.outbox.in_memory())

    def _replace_by_gaps(self, now_ms: int, held: Held, gaps: Iterable[Gap]) -> None:
        self._release(held)
        self._tell(now_ms, gaps)
        self.durability.forget(held)
        self._forget_births()

    def _tell(self, now_ms: int, gaps: Iterable[Gap]) -> None:
        for gap in gaps:
            if self._urgent.is_full and (closed := self._urgent.close()) is not None:
                self.hold(closed)
            self._urgent.add_gap(now_ms, gap)

    def _fold_gaps(self, now_ms: int) -> None:
        """Many messages that tell of gaps alone become one, so that they do not take the room of readings."""
        telling = [held for held in self.outbox.in_memory() if held.gaps and not held.readings]
        if len(telling) > FOLD_ABOVE:
            for held in telling:
                body = decode_body(held.body)
                if all(event.kind == DROPPED for event in body.events):
                    self._replace_by_gaps(now_ms, held, body.gaps)

    @property
    def knows_time(self) -> bool:
        """True once a source of time has been there."""
        return self._stamper.offset is not None

    def utc_ms(self, now_ms: int) -> int:
        """The time as far as it is known; 0 while it is not."""
        offset = self._stamper.offset
        return 0 if offset is None else now_ms + offset.offset_ms

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
        self.outbox.revived.discard(held.key)
        self.window.withdraw(held.key)

    def _forget_births(self) -> None:
        for birth in self.outbox.unneeded_births():
            self.durability.forget(birth)


def _note_end(ends: dict[Lane, tuple[Key, int]], key: Key, utc_ms: int) -> None:
    """Keeps the newest message of each lane, and by when all of it was taken."""
    known = ends.get(key.lane)
    if known is None or age_order(known[0]) < age_order(key):
        ends[key.lane] = (key, utc_ms)


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
