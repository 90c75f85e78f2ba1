"""Pure. The delivery machine: readings and events in, batches out, until the collector's receipt covers each of them.

    courier = Courier(settings)
    for action in courier.step(now_ms, Start(epoch, boot, birth, stored)): ...

One caller, one thread. Every event is answered by the actions to carry out, in their order. What each part decides stands in its
own module: batching, stamping, outbox (what is held), durability (the file), window (order and pace of sending), receipts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edge_agent.contract.encoding import encode_birth_body
from edge_agent.contract.message import NORMAL, URGENT, BirthBody, Gap, Lane
from edge_agent.delivery import machine as ev
from edge_agent.delivery.batching import Closed, new_open_batches
from edge_agent.delivery.durability import Durability
from edge_agent.delivery.outbox import Held, OnDisk, Outbox, held_from
from edge_agent.delivery.receipts import Receipts
from edge_agent.delivery.stamping import Offset, offset_of, offsets_of_earlier_boots, stamp
from edge_agent.delivery.window import SendWindow
from edge_agent.delivery.wire import payload
from edge_agent.model.points import Delivery
from edge_agent.model.reading import Happening

STAMP_PATIENCE_MS = 600_000
"""So long a broken disk may hold back batches whose stamp must be durable first; then they are sent all the same."""
AGE_CHECK_MS = 60_000


@dataclass(frozen=True, slots=True)
class Memory:
    """Bounds of what is kept in memory, bytes of bodies."""

    unsafe_bytes: int = 16 << 20
    """Without a copy on disk: reached only while the disk refuses; then the oldest is dropped."""
    cached_bytes: int = 2 << 20
    """With a copy on disk."""


class Courier:
    """Step machine of delivery. Raises ValueError for settings it does not know."""

    def __init__(self, settings: Delivery, memory: Memory = Memory()) -> None:
        if settings.confirm != "receipt":
            raise ValueError(f"confirm: {settings.confirm!r} is not served; only 'receipt' is")
        self._settings = settings
        self._memory = memory
        self.outbox = Outbox()
        self.window = SendWindow(settings)
        self.durability = Durability(settings.window_ms, self.outbox)
        self._receipts = Receipts()
        self._normal, self._urgent = new_open_batches(settings)
        self._actions: list[ev.Action] = []
        self._now_ms = 0
        self._epoch = self._boot = ""
        self._started_ms = 0
        self._offset: Offset | None = None
        self._urgent_series: frozenset[int] = frozenset()
        self._last_seq: dict[Lane, int] = {NORMAL: 0, URGENT: 0}
        self._sent_seq: dict[Lane, int] = {NORMAL: 0, URGENT: 0}
        self._connected = self._stopping = self._final_write = False
        self._wake_ms: int | None = None
        self._age_check_ms = 0
        self._refused: set[tuple[str, str, str]] = set()
        self._taken = self._delivered = self._dropped = 0
        self._on: dict[type, Callable[[Any], None]] = {
            ev.Start: self._start, ev.Taken: self._take, ev.Happened: self._happen, ev.NewBirth: self._rebirth,
            ev.SendBirth: self._send_birth, ev.Connected: self._connect, ev.Disconnected: self._disconnect,
            ev.ReceiptCame: self._receipt, ev.ClockSet: self._clock, ev.Written: self._written,
            ev.WriteFailed: self._write_failed, ev.Fetched: self._fetched, ev.Tick: self._tick, ev.Stop: self._stop,
        }  # fmt: skip

    def step(self, now_ms: int, event: ev.Event) -> list[ev.Action]:
        """Takes one event at monotonic time now_ms and returns what is to be done, in order."""
        self._actions = []
        self._now_ms = now_ms
        self._on[type(event)](event)
        self._close_due()
        self._keep_bounds()
        self._write_due()
        self._send()
        self._ask_to_wake()
        return self._actions

    def figures(self, now_ms: int) -> ev.Figures:
        """What `status` shows."""
        self._now_ms = now_ms
        held = self.outbox
        return ev.Figures(
            self._taken, self._delivered, held.depth, held.depth_readings, held.depth_bytes, held.on_disk, self._oldest_ms(),
            self._dropped, self._unstamped(), self._epoch, self._connected, self.durability.disk,
        )  # fmt: skip

    # --- what comes in ---

    def _start(self, event: ev.Start) -> None:
        self._epoch, self._boot, self._started_ms = event.epoch, event.boot, self._now_ms
        self._age_check_ms = self._now_ms + AGE_CHECK_MS
        anchors = {a.epoch: Offset(a.offset_ms, a.source, a.bound_ms) for a in event.anchors}
        for stored in event.stored:
            held = held_from(stored)
            if held.t0 is None and held.key.epoch in anchors:
                stamp(held, anchors[held.key.epoch])
            self.outbox.add(held)
            self._offer(held)
        self._be_born(event.birth)
        if event.set_aside:
            self._report("outbox.set-aside", f"The outbox file was damaged; it was set aside as {event.set_aside}.")
            self._urgent.add_event(self._now_ms, Happening("outbox.set-aside", self._now_ms, reason=event.set_aside))

    def _take(self, event: ev.Taken) -> None:
        for reading in event.readings:
            batch = self._urgent if reading.series in self._urgent_series else self._normal
            if batch.is_full:
                self._close(batch.close())
            batch.add_reading(self._now_ms, reading)
        self._taken += len(event.readings)

    def _happen(self, event: ev.Happened) -> None:
        for happening in event.events:
            if self._urgent.is_full:
                self._close(self._urgent.close())
            self._urgent.add_event(self._now_ms, happening)

    def _rebirth(self, event: ev.NewBirth) -> None:
        newest = self.outbox.newest_birth
        if newest is None or encode_birth_body(event.birth)[1] != newest.birth:
            self._close_all()
            self._be_born(event.birth)

    def _send_birth(self, _: ev.SendBirth) -> None:
        newest = self.outbox.newest_birth
        if newest is not None:
            self._revive(newest)
            self.window.withdraw(newest.key)
            self._offer(newest)

    def _connect(self, _: ev.Connected) -> None:
        self._connected = True
        self.window.restart()

    def _disconnect(self, _: ev.Disconnected) -> None:
        self._connected = False
        self.window.restart()

    def _receipt(self, event: ev.ReceiptCame) -> None:
        applied = self._receipts.read(event.receipt, self.outbox, self._epoch, self._sent_seq)
        for claim in applied.refused:
            if (event.receipt.log, claim.e, claim.l) not in self._refused and len(self._refused) < 100:
                self._refused.add((event.receipt.log, claim.e, claim.l))
                beyond = claim.ranges[-1][1] if claim.ranges else claim.upto
                self._report("receipt.refused", f"A receipt speaks of {claim.e} {claim.l} {beyond}, which was never sent.")
        if applied.is_new_log:
            self._report("log.new", f"The collector's log is now {event.receipt.log}: everything held is sent again.")
            self.window.restart()
        for held in applied.released:
            self._delivered += held.readings
            self._release(held)
            if held.kind == "birth" and self.outbox.needed(held):
                self.outbox.keep_birth(held)
            else:
                self.durability.forget(held)
        if applied.is_new_log:
            covered = {held.key for held in applied.released}
            for birth in [b for b in self.outbox.kept_births.values() if b.key not in covered]:
                self._revive(birth)
        self._forget_births()
        self.window.hear(self._now_ms)

    def _clock(self, event: ev.ClockSet) -> None:
        self._offset = offset_of(event)
        waiting = [held for held in self.outbox.oldest_first() if held.t0 is None]
        waiting += [birth for birth in self.outbox.kept_births.values() if birth.t0 is None]
        if not waiting:
            return
        earlier: dict[str, Offset] = {}
        if any(held.boot != self._boot for held in waiting):
            start_utc_ms = self._started_ms + self._offset.offset_ms
            earlier = offsets_of_earlier_boots(self.outbox.oldest_first(), self._boot, start_utc_ms)
        for held in waiting:
            offset = earlier.get(held.boot, self._offset)
            stamp(held, offset)
            if held.on_disk is not OnDisk.NO:
                held.awaits_anchor = True
                self.durability.anchors.setdefault(held.key.epoch, ev.Anchor(held.key.epoch, *offset))
            self._offer(held)

    def _written(self, event: ev.Written) -> None:
        was_failing = self.durability.disk
        write = self.durability.written(event.token)
        if write is None:
            return
        if was_failing:
            self._disk_event("", "The outbox file can be written again.")
        for stored in write.add:
            held = self.outbox.get(stored.key)
            if held and self.outbox.cached_bytes > self._memory.cached_bytes and held.key not in self.window.flying:
                self.outbox.set_body(held, None)
        durable = {anchor.epoch for anchor in write.anchors}
        if durable:
            self._free_stamps(durable)

    def _write_failed(self, event: ev.WriteFailed) -> None:
        was_failing = self.durability.disk
        if self.durability.failed(event.token, self._now_ms, event.reason or "failed") and not was_failing:
            self._disk_event(event.reason, f"The outbox file cannot be written ({event.reason}); readings wait in memory.")

    def _fetched(self, event: ev.Fetched) -> None:
        for stored in event.stored:
            held = self.outbox.get(stored.key)
            self.window.fetching.discard(stored.key)
            if held is not None and held.body is None and stored.body:
                self.outbox.set_body(held, stored.body)
                self._offer(held)
        for key in event.missing:
            held = self.outbox.get(key)
            if held is not None and held.body is None:
                self._drop(held, "damaged")

    def _tick(self, _: ev.Tick) -> None:
        self._wake_ms = None

    def _stop(self, _: ev.Stop) -> None:
        self._stopping = self._final_write = True

    # --- what is held ---

    def _be_born(self, body: BirthBody) -> None:
        raw, name = encode_birth_body(body)
        self._urgent_series = frozenset(series.i for series in body.series if series.lane == URGENT)
        held = Held(self._next_key(URGENT), "birth", name, raw, len(raw), 0, self._boot, self._now_ms, self._now_ms)
        self.outbox.newest_birth = held
        self._hold(held)
        self._forget_births()

    def _close(self, closed: Closed | None) -> None:
        birth = self.outbox.newest_birth
        if closed is None or birth is None:
            return
        key, body = self._next_key(closed.lane), closed.body
        self._hold(
            Held(
                key,
                "data",
                birth.birth,
                body,
                len(body),
                closed.readings,
                self._boot,
                closed.base_ms,
                closed.arrived_ms,
                closed.gaps,
            )
        )

    def _next_key(self, lane: Lane) -> ev.Key:
        self._last_seq[lane] += 1
        return ev.Key(self._epoch, lane, self._last_seq[lane])

    def _hold(self, held: Held) -> None:
        if self._offset is not None:
            stamp(held, self._offset)
        self.outbox.add(held)
        self.durability.protect(held)
        self._offer(held)

    def _offer(self, held: Held) -> None:
        if held.t0 is not None and not held.awaits_anchor and self.outbox.get(held.key) is held:
            self.window.offer(held.key)

    def _release(self, held: Held) -> None:
        self.outbox.remove(held)
        self.window.withdraw(held.key)

    def _revive(self, birth: Held) -> None:
        if birth.key in self.outbox.kept_births:
            self.outbox.add(birth)
            self.durability.remember(birth)
            self._offer(birth)

    def _forget_births(self) -> None:
        for birth in self.outbox.unneeded_births():
            self.durability.forget(birth)

    def _drop(self, held: Held, why: str) -> None:
        if not self._urgent.has_gaps:
            self._report(
                "outbox.dropped",
                f"Readings are dropped ({why}), the oldest first, from {held.key.epoch} {held.key.lane} {held.key.seq}.",
            )
        self._release(held)
        self._dropped += held.readings
        gap = Gap(held.key.epoch, held.key.lane, held.key.seq, held.key.seq, held.readings, why, held.t0, held.t0)
        if self._urgent.is_full:
            self._close(self._urgent.close())
        self._urgent.add_gaps(self._now_ms, [gap])
        self.durability.forget(held)
        self._forget_births()

    def _keep_bounds(self) -> None:
        """Drops the oldest while a bound is passed: births never, batches that tell of gaps only for their age."""
        held, memory = self.outbox, self._memory
        if held.depth_bytes > self._settings.max_bytes or held.memory_only_bytes > memory.unsafe_bytes:
            for each in held.oldest_first():
                over = held.depth_bytes > self._settings.max_bytes
                if not over and held.memory_only_bytes <= memory.unsafe_bytes:
                    break
                if each.kind == "data" and not each.gaps and (over or each.on_disk is not OnDisk.YES):
                    self._drop(each, "overflow")
        if self._now_ms >= self._age_check_ms:
            self._age_check_ms = self._now_ms + AGE_CHECK_MS
            for each in held.oldest_first():
                age_ms = self._age_ms(each)
                if age_ms is not None and age_ms <= self._settings.max_age_ms:
                    break
                if age_ms is not None and each.kind == "data":
                    self._drop(each, "age")

    # --- what goes out ---

    def _close_due(self) -> None:
        for batch in (self._normal, self._urgent):
            if batch.due_ms is not None and (self._stopping or batch.is_full or batch.due_ms <= self._now_ms):
                self._close(batch.close())

    def _close_all(self) -> None:
        for batch in (self._normal, self._urgent):
            self._close(batch.close())

    def _write_due(self) -> None:
        due_ms = self.durability.due_ms(b.arrived_ms for b in (self._normal, self._urgent) if b.due_ms is not None)
        is_due = due_ms is not None and due_ms <= self._now_ms
        if self.durability.writing is not None or not (is_due or self._final_write):
            return
        self._final_write = False
        for batch in (self._normal, self._urgent):
            late = batch.arrived_ms + self._settings.window_ms <= self._now_ms
            if batch.due_ms is not None and (batch.has_gaps or late):
                self._close(batch.close())
        write = self.durability.begin()
        if write is not None:
            self._actions.append(write)

    def _send(self) -> None:
        since = self.durability.failing_since_ms
        if since is not None and self._now_ms - since >= STAMP_PATIENCE_MS:
            self._free_stamps(None)
        if not self._connected or self._stopping:
            return
        keys = self.window.due(self._now_ms)
        fetch: list[ev.Key] = []
        while True:
            for key in keys:
                held = self.outbox.get(key)
                if held is None:
                    self.window.withdraw(key)
                elif held.body is None:
                    self.window.withdraw(key)
                    self.window.fetching.add(key)
                    fetch.append(key)
                else:
                    self._publish(held)
            following = self.window.next()
            if following is None:
                break
            keys = [following]
        if fetch:
            self._actions.append(ev.Fetch(fetch))

    def _publish(self, held: Held) -> None:
        self.window.sent(held.key, self._now_ms)
        if held.key.epoch == self._epoch:
            self._sent_seq[held.key.lane] = max(self._sent_seq[held.key.lane], held.key.seq)
        sent = payload(held.stored(), self.outbox.low(held.key))
        self._actions.append(ev.Publish(held.key, sent, held is self.outbox.newest_birth))

    def _free_stamps(self, epochs: set[str] | None) -> None:
        for held in self.outbox.oldest_first():
            if held.awaits_anchor and (epochs is None or held.key.epoch in epochs):
                held.awaits_anchor = False
                self._offer(held)

    def _ask_to_wake(self) -> None:
        batches = [b for b in (self._normal, self._urgent) if b.due_ms is not None]
        times = [b.due_ms for b in batches] + [self.durability.due_ms(b.arrived_ms for b in batches)]
        if self._connected and not self._stopping:
            times.append(self.window.next_due_ms())
        if self.outbox.depth:
            times.append(self._age_check_ms)
        wake_ms = min((time for time in times if time is not None), default=None)
        if wake_ms is not None and wake_ms != self._wake_ms:
            self._wake_ms = wake_ms
            self._actions.append(ev.WakeAt(max(wake_ms, self._now_ms)))

    # --- figures and words ---

    def _age_ms(self, held: Held) -> int | None:
        if held.boot == self._boot:
            return self._now_ms - held.mono_ms
        if held.t0 is None or self._offset is None:
            return None
        return self._now_ms + self._offset.offset_ms - held.t0

    def _oldest_ms(self) -> int | None:
        oldest = next(self.outbox.oldest_first(), None)
        return self._age_ms(oldest) if oldest else None

    def _unstamped(self) -> int:
        if self._offset is not None:
            return 0
        return sum(1 for held in self.outbox.oldest_first() if held.t0 is None)

    def _disk_event(self, reason: str, words: str) -> None:
        self._report("outbox.disk", words)
        self._urgent.add_event(self._now_ms, Happening("outbox.disk", self._now_ms, on=bool(reason), reason=reason))

    def _report(self, id: str, words: str) -> None:
        self._actions.append(ev.Report(id, words))
