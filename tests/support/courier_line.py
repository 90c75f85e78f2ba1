"""Pure. A Courier in a test: steps it, carries out its writes and fetches at once, keeps what it sends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edge_agent.contract.encoding import decode_sequenced
from edge_agent.contract.message import Birth, BirthBody, Data, Lane, LaneReceipt, Receipt, Series
from edge_agent.delivery import machine as ev
from edge_agent.delivery.courier import Courier
from edge_agent.delivery.holding import Memory
from edge_agent.model.points import Delivery
from edge_agent.model.reading import Reading

BIRTH = BirthBody("test 1", [Series(0, "pump-1", "current"), Series(1, "pump-1", "trip", lane="u")])
UTC_MS = 1_790_000_000_000
"""UTC at monotonic time 0, once the clock is told."""


def epoch(counter: int) -> str:
    return f"{counter}-{counter:016x}"


class CourierLine:
    """time_ms moves by `tick`; disk: what a write made durable."""

    def __init__(self, settings: Delivery = Delivery(), memory: Memory = Memory(), disk: CourierLine | None = None) -> None:
        self.courier = Courier(settings, memory)
        self.now_ms = 1000
        self.disk: dict[ev.Key, ev.Stored] = dict(disk.disk) if disk else {}
        self.anchors: dict[str, ev.Anchor] = dict(disk.anchors) if disk else {}
        self.runs: dict[str, ev.Run] = dict(disk.runs) if disk else {}
        self.writes: list[ev.Write] = []
        self.fetches: list[ev.Fetch] = []
        self.sent: list[ev.Publish] = []
        self.reports: list[ev.Report] = []
        self.wake_ms: int | None = None
        self.is_disk_good = True

    def start(
        self, counter: int = 1, boot: str = "boot-1", clock: bool = True, connect: bool = True, birth: BirthBody = BIRTH
    ) -> CourierLine:
        stored, anchors, past = list(self.disk.values()), list(self.anchors.values()), list(self.runs.values())
        self.tell(ev.Start(epoch(counter), boot, birth, stored, "", anchors, past=past))
        if clock:
            self.set_clock()
        if connect:
            self.tell(ev.Connected())
        return self

    def set_clock(self, utc_at_zero_ms: int = UTC_MS, bound_ms: int = 20) -> None:
        self.tell(ev.ClockSet(self.now_ms, utc_at_zero_ms + self.now_ms, "ntp", bound_ms))

    def tell(self, event: ev.Event) -> None:
        events = [event]
        while events:
            for action in self.courier.step(self.now_ms, events.pop(0)):
                match action:
                    case ev.Write():
                        events.append(self._write(action))
                    case ev.Fetch():
                        events.append(self._fetch(action))
                    case ev.Publish():
                        self.sent.append(action)
                    case ev.WakeAt():
                        self.wake_ms = action.mono_ms
                    case ev.Report():
                        self.reports.append(action)

    def _write(self, write: ev.Write) -> ev.Event:
        self.writes.append(write)
        if not self.is_disk_good:
            return ev.WriteFailed(write.token, "I/O error")
        for key in write.forget:
            self.disk.pop(key, None)
        self.disk.update((stored.key, stored) for stored in write.add)
        for anchor in write.anchors:
            self.anchors.setdefault(anchor.epoch, anchor)
        if write.run is not None:
            self.runs[write.run.epoch] = write.run
        return ev.Written(write.token)

    def _fetch(self, fetch: ev.Fetch) -> ev.Event:
        self.fetches.append(fetch)
        keys = fetch.span.each()
        found = [self.disk[key] for key in keys if key in self.disk]
        return ev.Fetched(found, [key for key in keys if key not in self.disk])

    def read(self, *values: float, series: int = 0) -> None:
        """One reading of each value, now."""
        self.tell(ev.Taken([Reading(series, self.now_ms, value) for value in values]))

    def tick(self, ms: int) -> None:
        """Time goes on; the courier is woken whenever it asked for it."""
        end_ms = self.now_ms + ms
        while self.wake_ms is not None and self.wake_ms <= end_ms:
            self.now_ms, self.wake_ms = max(self.wake_ms, self.now_ms), None
            self.tell(ev.Tick())
        self.now_ms = end_ms

    def receipt(self, lane: Lane, upto: int, ranges: Iterable[tuple[int, int]] = (), counter: int = 1, log: str = "log-1") -> None:
        self.tell(ev.ReceiptCame(Receipt(1, log, [LaneReceipt(epoch(counter), lane, upto, list(ranges))])))

    def take_sent(self) -> list[ev.Publish]:
        sent, self.sent = self.sent, []
        return sent

    def take_keys(self) -> list[str]:
        """`n1`, `u2` of what was sent since the last time."""
        return [f"{publish.key.lane}{publish.key.seq}" for publish in self.take_sent()]


def messages(sent: Sequence[ev.Publish]) -> list[Data | Birth]:
    return [decode_sequenced(publish.payload) for publish in sent]
