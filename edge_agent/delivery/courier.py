"""Pure. The delivery machine: readings and events in, batches out, until the collector's receipt covers each of them.

    courier = Courier(settings)
    for action in courier.step(now_ms, Start(epoch, boot, birth, stored)): ...

One caller, one thread. Every event is answered by the actions to carry out, in their order. What each part decides stands in its
own module: batching, stamping, outbox (what is held), holding (how it comes and goes), durability (the file), window (order and
pace of sending), receipts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edge_agent.common.words import counted
from edge_agent.contract.encoding import MAX_PAST, encode_birth_body
from edge_agent.contract.message import NORMAL, URGENT, Lane, LaneReceipt, Past, Receipt
from edge_agent.delivery import machine as ev
from edge_agent.delivery.batching import OpenBatch, new_open_batches
from edge_agent.delivery.drain import Drain
from edge_agent.delivery.holding import Holding, Memory
from edge_agent.delivery.receipts import Receipts
from edge_agent.delivery.window import AHEAD
from edge_agent.delivery.wire import payload
from edge_agent.model.points import Delivery
from edge_agent.model.reading import Happening

STAMP_PATIENCE_MS = 600_000
"""So long a broken disk may hold back batches whose stamp must be durable first; then they are sent all the same."""
CROWDED = 24
"""Ranges in a receipt from which on a lane's oldest messages go ahead; the collector keeps 32."""
MOST_REFUSED = 100
"""Forged receipts that are reported; more are only refused."""


class Courier:
    """Step machine of delivery."""

    def __init__(self, settings: Delivery, memory: Memory = Memory()) -> None:
        self._settings = settings
        self._normal, self._urgent = new_open_batches(settings)
        self.holding = Holding(settings, memory, self._urgent)
        self._receipts = Receipts()
        self._past: list[Past] = []
        self._actions: list[ev.Action] = []
        self._now_ms = 0
        self._sent_seq: dict[Lane, int] = {NORMAL: 0, URGENT: 0}
        self._settled: dict[Lane, int] = {NORMAL: 0, URGENT: 0}
        """Cumulative sequences of this run's lanes that have their receipt."""
        self._connected = self._stopping = self._final_write = False
        self._wake_ms: int | None = None
        self._refused: set[tuple[str, str, str]] = set()
        self._taken = self._delivered = 0
        self._drain = Drain()
        self._on: dict[type, Callable[[Any], None]] = {
            ev.Start: self._start, ev.TakenUp: self._take_up, ev.Renewed: self._renewed,
            ev.Taken: self._take, ev.Happened: self._happen,
            ev.NewBirth: self._rebirth, ev.SendBirth: self._send_birth, ev.Connected: self._connect,
            ev.Disconnected: self._disconnect, ev.ReceiptCame: self._receipt, ev.ClockSet: self._clock,
            ev.BrokerTook: self._took, ev.Repaced: self._repace, ev.Written: self._written,
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
        self._drain.note(now_ms, self.holding.outbox.depth_readings)
        return self._actions

    def figures(self, now_ms: int) -> ev.Figures:
        """What `status` shows. depth_readings counts those in open batches too."""
        held = self.holding
        outbox, open_readings = held.outbox, sum(batch.readings for batch in self._open())
        drain_per_s = self._drain.readings_per_s(now_ms, outbox.depth_readings)
        return ev.Figures(
            self._taken, self._delivered, outbox.depth, outbox.depth_readings + open_readings, outbox.depth_bytes, outbox.on_disk,
            held.oldest_ms(now_ms), held.dropped, held.unstamped(), held.epoch, self._connected, held.durability.disk,
            self._settings.late_ms, drain_per_s, self._drain.left_s(now_ms, outbox.depth_readings),
        )  # fmt: skip

    # --- what comes in ---

    def _start(self, event: ev.Start) -> None:
        self.holding.start(self._now_ms, event)
        self._past = [Past(run.epoch, run.normal, run.urgent, run.utc_ms) for run in event.past[-MAX_PAST:]]
        self._tell_set_aside(event.set_aside)
        self._tell_lost(event.lost, event.unknown)
        if event.disk:
            self._disk_event(event.disk, f"The outbox file cannot be written ({event.disk}); the agent begins from memory.")

    def _take_up(self, event: ev.TakenUp) -> None:
        depth = self.holding.outbox.depth
        self.holding.take_up(event.stored, event.anchors, event.shelves)
        self.holding.copy_births(self._now_ms)
        self._tell_set_aside(event.set_aside)
        self._tell_lost(event.lost, event.unknown)
        found = self.holding.outbox.depth - depth
        self._report("outbox.taken-up", f"The outbox file is there again; it held {counted(found, 'message')} of earlier runs.")

    def _renewed(self, event: ev.Renewed) -> None:
        self.holding.doubt_disk()
        self._tell_set_aside(event.set_aside)

    def _tell_set_aside(self, name: str) -> None:
        if name:
            self._report("outbox.set-aside", f"The outbox file was damaged; it was set aside as {name}.", warns=True)
            self._urgent.add_event(self._now_ms, Happening("outbox.set-aside", self._now_ms, reason=name))

    def _tell_lost(self, lost: Sequence[ev.Lost], unknown: int) -> None:
        for each in lost:
            self.holding.tell_lost(self._now_ms, each)
            words = f"{each.key.epoch} {each.key.lane} {each.key.seq} cannot be read back from the outbox file; it is given up."
            self._report("outbox.damaged", words, warns=True)
        if unknown:
            rows = counted(unknown, "row of the outbox file is", "rows of the outbox file are")
            words = f"{rows} damaged through and through: nobody can say what they held."
            self._report("outbox.damaged", words, warns=True)
            self._urgent.add_event(self._now_ms, Happening("outbox.damaged", self._now_ms, about=(("rows", unknown),)))

    def _take(self, event: ev.Taken) -> None:
        urgent_series = self.holding.urgent_series
        for reading in event.readings:
            batch = self._urgent if reading.series in urgent_series else self._normal
            if batch.is_full:
                self._close(batch)
            batch.add_reading(self._now_ms, reading)
        self._taken += len(event.readings)

    def _happen(self, event: ev.Happened) -> None:
        for happening in event.events:
            if self._urgent.is_full:
                self._close(self._urgent)
            self._urgent.add_event(self._now_ms, happening)

    def _rebirth(self, event: ev.NewBirth) -> None:
        newest = self.holding.outbox.newest_birth
        if newest is None or encode_birth_body(event.birth)[1] != newest.birth:
            for batch in self._open():
                self._close(batch)
            self.holding.be_born(self._now_ms, event.birth)

    def _send_birth(self, _: ev.SendBirth | ev.Connected) -> None:
        newest = self.holding.outbox.newest_birth
        if newest is not None:
            self.holding.revive(newest)

    def _connect(self, event: ev.Connected) -> None:
        self._connected = True
        self.holding.window.restart()
        self._send_birth(event)  # the broker may have lost the retained copy

    def _disconnect(self, _: ev.Disconnected) -> None:
        self._connected = False
        self.holding.window.restart()

    def _receipt(self, event: ev.ReceiptCame) -> None:
        holding = self.holding
        applied = self._receipts.read(event.receipt, holding.outbox, holding.epoch, self._sent_seq)
        for claim in applied.refused:
            self._refuse(event.receipt.log, claim)
        if applied.is_new_log:
            self._report("log.new", f"The collector's log is now {event.receipt.log}: everything held is sent again.")
            holding.window.restart()
            holding.copy_births(self._now_ms)
        for held in applied.released:
            self._delivered += held.readings
            holding.confirm(held)
        self._note_settled(event.receipt, applied.refused)
        self._hasten({(claim.e, claim.l) for claim in event.receipt.lanes if len(claim.ranges) >= CROWDED})
        holding.window.hear(self._now_ms, {(claim.e, claim.l) for claim in event.receipt.lanes})

    def _note_settled(self, receipt: Receipt, refused: Sequence[LaneReceipt]) -> None:
        epoch, settled = self.holding.epoch, self._settled
        before = dict(settled)
        for claim in receipt.lanes:
            if claim.e == epoch and claim not in refused:
                settled[claim.l] = max(settled[claim.l], claim.upto)
        if settled != before:
            run = ev.Run(epoch, settled[NORMAL], settled[URGENT], self.holding.utc_ms(self._now_ms))
            self.holding.durability.settled(self._now_ms, run)

    def _took(self, event: ev.BrokerTook) -> None:
        held = self.holding.outbox.get(event.key)
        if self._settings.confirm == "puback" and held is not None:
            self._delivered += held.readings
            self.holding.confirm(held)

    def _clock(self, event: ev.ClockSet) -> None:
        if self._normal.has_draft and not self.holding.knows_time:
            self._close(self._normal)  # its draft has no stamp: it waits for an anchor, as everything on disk without one
        self.holding.set_clock(event)

    def _repace(self, event: ev.Repaced) -> None:
        self._normal.wait_ms = event.batch_ms

    def _written(self, event: ev.Written) -> None:
        was_failing = self.holding.durability.disk
        write = self.holding.durability.written(event.token)
        if write is None:
            return
        self._normal.draft_is_safe()
        if was_failing:
            self._disk_event("", "The outbox file can be written again.")
        self.holding.shelve([stored.key for stored in write.add])
        if write.anchors:
            self.holding.free_stamps({anchor.epoch for anchor in write.anchors})

    def _write_failed(self, event: ev.WriteFailed) -> None:
        was_failing = self.holding.durability.disk
        reason = event.reason or "failed"
        if not self.holding.durability.failed(event.token, self._now_ms, reason):
            return
        self._normal.draft_failed()
        if not was_failing:
            self._disk_event(reason, f"The outbox file cannot be written ({reason}); readings wait in memory.")

    def _fetched(self, event: ev.Fetched) -> None:
        for held in self.holding.unshelve(event.stored):
            if self._receipts.covers(held.key):
                self._delivered += held.readings
                self.holding.confirm(held)
            else:
                self.holding.offer(held)
        for gap in self.holding.lose(self._now_ms, event.missing, event.missing_readings):
            words = f"{gap.e} {gap.l} {gap.a} to {gap.z} cannot be read back from the outbox file; they are given up."
            self._report("outbox.damaged", words, warns=True)

    def _tick(self, _: ev.Tick) -> None:
        self._wake_ms = None

    def _stop(self, _: ev.Stop) -> None:
        self._stopping = self._final_write = True

    # --- what goes out ---

    def _open(self) -> list[OpenBatch]:
        return [batch for batch in (self._normal, self._urgent) if batch.due_ms is not None]

    def _close(self, batch: OpenBatch) -> None:
        closed = batch.close()
        if closed is not None:
            self.holding.hold(closed)

    def _close_due(self) -> None:
        for batch in self._open():
            if self._stopping or batch.is_full or (batch.due_ms or 0) <= self._now_ms:
                self._close(batch)

    def _stays_open(self, batch: OpenBatch) -> bool:
        """True for a batch that goes on waiting for company on the air while what it holds goes to disk."""
        return batch is self._normal and not batch.has_gaps and not self._stopping and (batch.due_ms or 0) > self._now_ms

    def _keep_bounds(self) -> None:
        dropped, told = self.holding.dropped, self._urgent.has_gaps
        self.holding.keep_bounds(self._now_ms)
        if self.holding.dropped > dropped and not told:
            words = "The outbox is full, or what it holds is too old: the oldest readings are dropped."
            self._report("outbox.dropped", words, warns=True)

    def _write_due(self) -> None:
        durability = self.holding.durability
        if durability.writing is not None:
            return
        due_ms = durability.due_ms(self._open())
        is_due = due_ms is not None and due_ms <= self._now_ms
        if not (is_due or self._final_write):
            return
        drafts = []
        for batch in self._open():
            due_ms = durability.due_of(batch)
            if not batch.has_gaps and (due_ms is None or due_ms > self._now_ms):
                continue
            if self._stays_open(batch):
                drafts.append(self.holding.draft(batch.draft(self._now_ms)))
            else:
                self._close(batch)
        write = durability.begin(None if self._final_write else self._now_ms, drafts)
        self._final_write = False
        if write is not None:
            self._actions.append(write)

    def _send(self) -> None:
        since = self.holding.durability.failing_since_ms
        if since is not None and self._now_ms - since >= STAMP_PATIENCE_MS:
            self.holding.free_stamps(None)
        shelved = self.holding.shelved_from() if self._connected else {}
        if self._connected:
            self._send_due(shelved)
        span = self.holding.fetch(shelved)
        if span is not None:
            self._actions.append(ev.Fetch(span))

    def _send_due(self, shelved: Mapping[Lane, tuple[int, int]]) -> None:
        window = self.holding.window
        overdue = window.due(self._now_ms)
        for key in overdue:
            self._publish(key)
        if overdue and self._settings.newest_first:
            self._hasten(window.stuck())
        while (following := window.next(shelved)) is not None:
            self._publish(following)

    def _hasten(self, lanes: set[tuple[str, Lane]]) -> None:
        held = self.holding.outbox.lanes
        keys = [key for lane in sorted(lanes) if lane in held for key in held[lane].lowest(AHEAD)]
        if keys:
            self.holding.window.hasten(keys)
        low = [shelf for lane in sorted(lanes) if lane in held and (shelf := held[lane].lowest_shelf()) is not None]
        if low:
            self.holding.want(low[0])

    def _publish(self, key: ev.Key) -> None:
        outbox = self.holding.outbox
        held = outbox.get(key)
        if held is None:
            self.holding.window.withdraw(key)
            return
        self.holding.window.sent(key, self._now_ms)
        if key.epoch == self.holding.epoch:
            self._sent_seq[key.lane] = max(self._sent_seq[key.lane], key.seq)
        past = self._past if key.epoch == self.holding.epoch else []
        self._actions.append(ev.Publish(key, payload(held, outbox.low(key), past), held is outbox.newest_birth))

    def _ask_to_wake(self) -> None:
        open_batches = self._open()
        times = [batch.due_ms for batch in open_batches]
        times.append(self.holding.durability.due_ms(open_batches))
        if self._connected:
            times.append(self.holding.window.next_due_ms())
        if self.holding.outbox.depth:
            times.append(self.holding.age_check_ms)
        wake_ms = min([time for time in times if time is not None], default=None)
        if wake_ms is not None and wake_ms != self._wake_ms:
            self._wake_ms = wake_ms
            self._actions.append(ev.WakeAt(max(wake_ms, self._now_ms)))

    def _refuse(self, log: str, claim: LaneReceipt) -> None:
        known = (log, claim.e, claim.l)
        if known not in self._refused and len(self._refused) < MOST_REFUSED:
            self._refused.add(known)
            beyond = claim.ranges[-1][1] if claim.ranges else claim.upto
            self._report("receipt.refused", f"A receipt speaks of {claim.e} {claim.l} {beyond}, which was never sent.")

    def _disk_event(self, reason: str, words: str) -> None:
        self._report("outbox.disk", words, warns=bool(reason))
        self._urgent.add_event(self._now_ms, Happening("outbox.disk", self._now_ms, on=bool(reason), reason=reason[:200]))

    def _report(self, id: str, words: str, *, warns: bool = False) -> None:
        self._actions.append(ev.Report(id, words, warns))
