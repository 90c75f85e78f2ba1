"""Pure. The delivery machine: from readings to receipts, `step(now_ms, event) -> actions` (machine.py holds the words).

It batches (batching.py), stamps (stamping.py), holds (outbox.py), sends (window.py) and believes receipts. now_ms is monotonic time
of this boot. Nothing is deleted before a receipt covers it; nothing is believed durable before `Written` says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec

from edge_agent.contract import encoding
from edge_agent.contract import message as m
from edge_agent.delivery import machine as w
from edge_agent.delivery.batching import Batcher, OpenBatch
from edge_agent.delivery.outbox import Held, Outbox, gap_records
from edge_agent.delivery.stamping import EARLIEST_MS, Stamper
from edge_agent.delivery.window import SendWindow
from edge_agent.model.points import Delivery
from edge_agent.model.reading import Happening

NOT_STARTED = "the first event must be Start"
SURE_MS = 1000
"""Stamps that may be off by more say so in the message."""
FORGET_AT = 64
"""So many dead rows in the file are worth a write of their own."""


class Courier:
    """One gateway's delivery. Events in, actions out; holds no thread, clock, file or socket."""

    def __init__(self, settings: Delivery) -> None:
        if settings.confirm != "receipt":
            raise ValueError("confirm: puback is not built yet; use receipt")
        self._settings = settings
        self._outbox = Outbox()
        self._window = SendWindow(settings.in_flight, settings.resend_ms, settings.newest_first)
        self._batcher = Batcher(min(settings.batch_ms, settings.window_ms), settings.batch_readings)
        self._stamper = Stamper("")
        self._epoch = self._boot = self._birth = ""
        self._last_seq: dict[m.Lane, int] = {"n": 0, "u": 0}
        self._connected = self._stopping = self._announce = False
        self._log_id = ""
        self._token = 0
        self._writing: tuple[int, list[w.Key], list[w.Key]] | None = None
        self._write_after_ms = 0
        self._disk = ""
        self._taken = self._delivered = 0
        self._earlier_boot_end: dict[str, int] = {}

    def step(self, now_ms: int, event: w.Event) -> list[w.Action]:
        """What to do now that `event` has happened. Raises ValueError if the first event is not Start."""
        if not self._epoch and not isinstance(event, w.Start):
            raise ValueError(NOT_STARTED)
        actions = self._handle(now_ms, event)
        self._close_due(now_ms)
        actions += self._bound(now_ms)
        self._outbox.release(self._birth)
        actions += self._write(now_ms)
        actions += self._send(now_ms)
        return [*actions, w.WakeAt(self._wake_at_ms(now_ms))]

    def figures(self, now_ms: int) -> w.Figures:
        """Where delivery stands."""
        waiting = list(self._outbox.waiting())
        data = [h for h in waiting if h.stored.kind == "data"]
        return w.Figures(
            taken=self._taken,
            delivered=self._delivered,
            depth=len(data),
            depth_readings=sum(h.stored.readings for h in data)
            + len(self._batcher.normal.readings)
            + len(self._batcher.urgent.readings),
            depth_bytes=sum(h.size for h in waiting),
            on_disk=sum(h.on_disk for h in data),
            oldest_ms=max((now_ms - h.since_ms for h in data), default=None),
            dropped=self._outbox.dropped,
            unstamped=sum(h.stored.t0 is None for h in waiting),
            epoch=self._epoch,
            connected=self._connected,
            disk=self._disk,
        )

    def _handle(self, now_ms: int, event: w.Event) -> list[w.Action]:
        match event:
            case w.Start():
                return self._start(now_ms, event)
            case w.Taken():
                return self._take(now_ms, event)
            case w.Happened():
                return self._happened(now_ms, event)
            case w.NewBirth():
                return self._take_birth(now_ms, event.birth)
            case w.Connected():
                return self._link_up()
            case w.Disconnected():
                return self._link_down()
            case w.ReceiptCame():
                return self._receipt(event)
            case w.ClockSet():
                return self._clock(event)
            case w.Written():
                return self._written(event)
            case w.WriteFailed():
                return self._write_failed(now_ms, event)
            case w.Fetched():
                return self._fetched(now_ms, event)
            case w.Stop():
                return self._stop(now_ms)
            case w.Tick():
                return []

    # --- events ----------------------------------------------------------------------------------------------------

    def _start(self, now_ms: int, event: w.Start) -> list[w.Action]:
        self._epoch, self._boot = event.epoch, event.boot
        self._stamper = Stamper(event.boot)
        for stored in event.stored:
            self._outbox.add(stored, now_ms, on_disk=True)
            if stored.t0 is None:
                self._earlier_boot_end[stored.boot] = max(
                    self._earlier_boot_end.get(stored.boot, 0), stored.mono_ms + _span_ms(stored)
                )
        actions = self._take_birth(now_ms, event.birth)
        if event.set_aside:
            self._batcher.tell(now_ms, [Happening("outbox.set-aside", now_ms, reason=event.set_aside)])
        if event.stored:
            actions.append(w.Report("outbox.loaded", f"{len(event.stored)} messages of earlier runs wait for their receipt"))
        return actions

    def _take(self, now_ms: int, event: w.Taken) -> list[w.Action]:
        self._taken += len(event.readings)
        self._batcher.take(now_ms, event.readings)
        return []

    def _happened(self, now_ms: int, event: w.Happened) -> list[w.Action]:
        self._batcher.tell(now_ms, list(event.events))
        return []

    def _link_up(self) -> list[w.Action]:
        self._connected = self._announce = True
        self._window.lost_link()
        return []

    def _link_down(self) -> list[w.Action]:
        self._connected = False
        self._window.lost_link()
        return []

    def _receipt(self, event: w.ReceiptCame) -> list[w.Action]:
        actions: list[w.Action] = []
        if self._log_id and event.receipt.log != self._log_id:
            self._outbox.revive()
            self._window.lost_link()
            actions.append(w.Report("receipt.new-log", "the collector has another log; everything still held is sent again"))
        self._log_id = event.receipt.log
        for lane in event.receipt.lanes:
            if not self._outbox.holds_of(lane.e, lane.l):
                continue
            highest = max([lane.upto, *(last for _, last in lane.ranges)])
            if lane.e == self._epoch and highest > self._last_seq[lane.l]:
                text = f"a receipt for {lane.l}/{highest}, but only {self._last_seq[lane.l]} were sent; it is ignored"
                actions.append(w.Report("receipt.beyond", text))
                continue
            newly = self._outbox.confirm(lane)
            self._window.settle(h.stored.key for h in newly)
            self._delivered += sum(h.stored.readings for h in newly)
        return actions

    def _clock(self, event: w.ClockSet) -> list[w.Action]:
        self._stamper.set_clock(event)
        known = max(
            (h.stored.t0 for h in self._outbox.held.values() if h.stored.t0 and h.stored.boot != self._boot), default=EARLIEST_MS
        )
        for held in self._outbox.held.values():
            if held.stored.t0 is None:
                self._stamp(held, known)
        return []

    def _written(self, event: w.Written) -> list[w.Action]:
        if self._writing is None or self._writing[0] != event.token:
            return []
        _, added, _ = self._writing
        self._writing, self._disk = None, ""
        for key in added:
            held = self._outbox.held[key]
            held.writing, held.on_disk = False, True
        return []

    def _write_failed(self, now_ms: int, event: w.WriteFailed) -> list[w.Action]:
        if self._writing is None or self._writing[0] != event.token:
            return []
        _, added, forgotten = self._writing
        self._writing = None
        for key in added:
            self._outbox.held[key].writing = False
        self._outbox.dead = forgotten + self._outbox.dead
        self._write_after_ms = now_ms + self._settings.window_ms
        if self._disk:
            return []
        self._disk = event.reason
        self._batcher.tell(now_ms, [Happening("outbox.disk", now_ms, on=True, reason=event.reason[:200])])
        return [w.Report("outbox.disk", f"cannot write: {event.reason}; readings are kept in memory")]

    def _fetched(self, now_ms: int, event: w.Fetched) -> list[w.Action]:
        for stored in event.stored:
            held = self._outbox.held.get(stored.key)
            if held is not None:
                held.stored, held.fetching = replace(held.stored, body=stored.body), False
        lost = [self._outbox.held[key] for key in event.missing if key in self._outbox.held]
        for held in lost:
            self._outbox.forget(held.stored.key)
        return self._tell_gaps(now_ms, lost, "damaged")

    def _stop(self, now_ms: int) -> list[w.Action]:
        self._stopping = True
        self._close(now_ms, self._batcher.close_all())
        return []

    # --- what follows from them ------------------------------------------------------------------------------------

    def _take_birth(self, now_ms: int, birth: m.BirthBody) -> list[w.Action]:
        body, name = encoding.encode_birth_body(birth)
        if name == self._birth:
            return []
        self._close(now_ms, self._batcher.close_all())
        self._birth = name
        self._batcher.urgent_series = frozenset(s.i for s in birth.series if s.lane == "u")
        self._hold("u", "birth", body, 0, now_ms, now_ms)
        self._announce = True
        return []

    def _close_due(self, now_ms: int) -> None:
        self._close(now_ms, self._batcher.close_due(now_ms))

    def _close(self, now_ms: int, batches: Sequence[tuple[m.Lane, OpenBatch]]) -> None:
        for lane, batch in batches:
            base_ms = batch.base_ms(now_ms)
            body = encoding.encode_body(batch.body(base_ms))
            self._hold(lane, "data", body, len(batch.readings), base_ms, batch.opened_ms or now_ms)

    def _hold(self, lane: m.Lane, kind: str, body: bytes, readings: int, base_ms: int, since_ms: int) -> None:
        self._last_seq[lane] += 1
        key = w.Key(self._epoch, lane, self._last_seq[lane])
        made: w.Stored = w.Stored(key, "birth" if kind == "birth" else "data", self._birth, body, readings, self._boot, base_ms)
        self._stamp(self._outbox.add(made, since_ms), EARLIEST_MS)

    def _stamp(self, held: Held, known_ms: int) -> None:
        stored = held.stored
        if stored.t0 is not None:
            return
        rest_ms = self._earlier_boot_end.get(stored.boot, stored.mono_ms) - stored.mono_ms
        stamp = self._stamper.stamp(stored.key.lane, stored.boot, stored.mono_ms, _span_ms(stored), rest_ms, known_ms)
        if stamp is not None:
            held.stored = replace(stored, t0=stamp.t0, clock_source=stamp.source, clock_bound_ms=stamp.bound_ms)
            held.on_disk, dead = False, held.on_disk
            if dead:  # the file still has it without its stamp: write it again
                self._outbox.dead.append(stored.key)

    def _bound(self, now_ms: int) -> list[w.Action]:
        dropped = self._outbox.overflow(self._settings.max_bytes, now_ms - self._settings.max_age_ms)
        self._window.settle(h.stored.key for h in dropped)
        return self._tell_gaps(now_ms, dropped, "overflow")

    def _tell_gaps(self, now_ms: int, lost: Sequence[Held], why: str) -> list[w.Action]:
        if not lost:
            return []
        readings = sum(h.stored.readings for h in lost)
        happening = Happening("outbox.dropped", now_ms, reason=why, about=(("readings", readings),))
        self._batcher.tell(now_ms, [happening], gap_records(lost, why))
        return [w.Report("outbox.dropped", f"{readings} readings dropped: {why}")]

    def _write(self, now_ms: int) -> list[w.Action]:
        if self._writing is not None or (now_ms < self._write_after_ms and not self._stopping):
            return []
        pending = [h for h in self._outbox.waiting() if not h.on_disk]
        window_ms = self._settings.window_ms
        due = any(now_ms >= h.since_ms + window_ms for h in pending) or (self._stopping and bool(pending))
        if due and self._connected and not self._stopping:  # what is younger may well get its receipt in time
            pending = [h for h in pending if now_ms - h.since_ms >= window_ms // 2 or h.stored.kind == "birth"]
        rows = sum(h.on_disk for h in self._outbox.held.values())
        tidy = len(self._outbox.dead) >= max(FORGET_AT, rows) or (self._stopping and bool(self._outbox.dead))
        if not due and not tidy:
            return []
        add = pending if due else []
        births = {h.stored.birth for h in add}
        add += [
            h
            for h in self._outbox.held.values()
            if h.stored.kind == "birth" and h.stored.birth in births and not h.on_disk and h not in add
        ]
        for held in add:
            held.writing = True
        forget = self._outbox.dead
        self._outbox.dead = []
        self._token += 1
        self._writing = (self._token, [h.stored.key for h in add], forget)
        return [w.Write(self._token, [h.stored for h in add], forget)]

    def _send(self, now_ms: int) -> list[w.Action]:
        if not self._connected:
            return []
        chosen = self._window.next(now_ms, self._outbox.waiting())
        fetch = [h for h in chosen if not h.in_memory and not h.fetching]
        for held in fetch:
            held.fetching = True
        actions: list[w.Action] = [w.Fetch([h.stored.key for h in fetch])] if fetch else []
        for held in chosen:
            if held.in_memory:
                self._window.mark(now_ms, held.stored.key)
                actions.append(w.Publish(held.stored.key, self._payload(held.stored)))
        actions += self._announcement()
        self._outbox.evict(self._window.sent)
        return actions

    def _announcement(self) -> list[w.Action]:
        """The retained copy of the newest birth, once after each connect and each change."""
        if not self._announce:
            return []
        for held in self._outbox.held.values():
            if held.stored.kind == "birth" and held.stored.birth == self._birth and held.stored.t0 is not None:
                self._announce = False
                return [w.Publish(held.stored.key, self._payload(held.stored), retained_birth=True)]
        return []

    def _payload(self, stored: w.Stored) -> bytes:
        assert stored.t0 is not None  # noqa: S101 - only stamped messages are chosen
        key = stored.key
        low = self._outbox.lowest(key.epoch, key.lane) or key.seq
        unsure = stored.clock_source == "none" or stored.clock_bound_ms > SURE_MS
        clock = m.Clock(stored.clock_source, stored.clock_bound_ms) if unsure else None
        body = msgspec.Raw(stored.body)
        if stored.kind == "birth":
            head = m.Birth(
                m.VERSION, key.epoch, key.lane, key.seq, min(low, key.seq), stored.birth, stored.boot, stored.t0, body, clock
            )
            return encoding.encode(head)
        return encoding.encode(
            m.DataFrame(m.VERSION, key.epoch, key.lane, key.seq, min(low, key.seq), stored.birth, stored.t0, body, clock)
        )

    def _wake_at_ms(self, now_ms: int) -> int:
        times = [now_ms + 60_000]
        times += [t for t in (self._batcher.due_at_ms(),) if t is not None]
        if self._connected:
            times += [t for t in (self._window.due_at_ms(),) if t is not None]
        if self._writing is None:
            pending = [h.since_ms + self._settings.window_ms for h in self._outbox.waiting() if not h.on_disk]
            times += [max(min(pending), self._write_after_ms)] if pending else []
        return max(now_ms + 1, min(times))


def _span_ms(stored: w.Stored) -> int:
    """From the base time of a body to its last instant."""
    if stored.kind == "birth" or not stored.body:
        return 0
    body = encoding.decode_body(stored.body)
    ends = [sum(block.t) for block in body.blocks] + [event.t for event in body.events]
    return max(ends, default=0)
