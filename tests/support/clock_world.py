"""Pure. A gateway whose clocks, sources, power and card a test moves, on the real clock machine and the real Courier.

True time only goes on. The monotonic clock drifts and begins anew with each boot; the machine's clock shows what was set last.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from edge_agent.common.release import BUILD_MS, LATEST_MS
from edge_agent.contract.encoding import decode_sequenced, times_ms
from edge_agent.contract.message import Data, LaneReceipt, Receipt, TimeAsk
from edge_agent.delivery import clock
from edge_agent.delivery import machine as ev
from edge_agent.delivery.courier import STAMP_PATIENCE_MS, Courier
from edge_agent.delivery.rtc import RtcSeen
from edge_agent.delivery.stamping import SMALL_STEP_MS
from edge_agent.model.points import Delivery
from edge_agent.model.reading import Happening, Reading
from tests.support.courier_line import BIRTH, epoch

BEGIN_MS = BUILD_MS + 200 * 86_400_000
LOOK_MS = 1000
FAKE_MS = BEGIN_MS - 40 * 86_400_000
"""What a machine without RTC believes after its boot: the date of its image."""


@dataclass(frozen=True)
class Taken:
    """One reading as the world knows it."""

    number: int
    lane: str
    true_ms: int
    run: int
    """Counts up with each start of the agent and each large step back that was believed."""


@dataclass
class ClockWorld:
    """drift_ppm: of the monotonic clock. rtc_error_ms: None where the machine has no RTC."""

    drift_ppm: int = 0
    true_ms: int = BEGIN_MS
    boots: int = 0
    starts: int = 0
    ntp: tuple[int, int] | None = None
    """Error and bound of the machine's clock while NTP keeps it, ms."""
    link_up: bool = False
    answer_error_ms: int = 0
    liar_ms: int | None = None
    """Somebody answers each question wrongly by so much, always before the collector does."""
    trip_ms: tuple[int, int] = (150, 250)
    """How long the collector's answer takes, there and back."""
    modem_error_ms: int | None = None
    rtc_error_ms: int | None = None
    rtc_is_read: bool = True
    disk: dict[ev.Key, ev.Stored] = field(default_factory=dict)
    anchors: dict[str, ev.Anchor] = field(default_factory=dict)
    disk_good: bool = True
    bad_since_ms: int = 0
    unsafe: set[ev.Key] = field(default_factory=set)
    """Sent with a stamp that no disk would keep, because the Courier's patience with the disk was over."""
    memory: clock.Memory = field(default_factory=clock.Memory)
    taken: list[Taken] = field(default_factory=list)
    stamps: dict[ev.Key, tuple[int, object]] = field(default_factory=dict)
    payloads: dict[ev.Key, Data] = field(default_factory=dict)
    events: list[Happening] = field(default_factory=list)
    sent_ids: dict[ev.Key, bytes] = field(default_factory=dict)
    run: int = 0

    def boot(self, mono_ms: int = 7000) -> None:
        """Power comes back."""
        self.boots += 1
        self.booted_at_ms, self.mono_begin_ms = self.true_ms, mono_ms
        self.machine_error_ms = FAKE_MS - self.true_ms if self.rtc_error_ms is None else self.rtc_error_ms
        self.was_set_by_rtc = self.rtc_error_ms is not None
        self.ntp = None
        self.start()

    def start(self) -> None:
        """The agent starts: whatever it had in memory is gone."""
        self.starts += 1
        self.run += 1
        settings = clock.Settings(f"boot-{self.boots}", has_modem=True)
        self.machine = clock.ClockMachine(settings, self.memory)
        self.courier = Courier(Delivery(batch_ms=500, window_ms=2000, resend_ms=3000))
        self.utc_offset: int | None = None
        self.events_before_start = len(self.events)
        stored = sorted(self.disk.values(), key=lambda s: (int(s.key.epoch.split("-")[0]), s.key.lane, s.key.seq))
        self.feed(ev.Start(epoch(self.starts), f"boot-{self.boots}", BIRTH, stored, anchors=list(self.anchors.values())))
        if self.link_up:
            self.feed(ev.Connected())
        self.look()

    # --- clocks ---

    def mono_ms(self) -> int:
        ran_ms = self.true_ms - self.booted_at_ms
        return self.mono_begin_ms + ran_ms + ran_ms * self.drift_ppm // 1_000_000

    def machine_ms(self) -> int:
        if self.ntp is not None:
            self.machine_error_ms = self.ntp[0]
        return self.true_ms + self.machine_error_ms

    def step_machine(self, ms: int) -> None:
        """Somebody sets the machine's clock; the kernel calls it unsynchronised from then on (settimeofday clears NTP)."""
        self.machine_ms()
        self.ntp = None
        self.machine_error_ms += ms

    def break_disk(self, is_good: bool) -> None:
        """From now on writes fail, or succeed again."""
        if self.disk_good and not is_good:
            self.bad_since_ms = self.true_ms
        self.disk_good = is_good

    # --- time goes on ---

    def wait(self, ms: int) -> None:
        """True time goes on; the agent looks and is woken as it would be."""
        end_ms = self.true_ms + ms
        while self.true_ms < end_ms:
            left_ms = end_ms - self.true_ms
            gap_ms = LOOK_MS if left_ms < 90_000 else 60_000 if left_ms < 5_000_000 else 900_000
            self.true_ms = min(end_ms, self.true_ms + gap_ms)
            self.feed(ev.Tick())
            self.look()

    def look(self) -> None:
        """One poll of the shell."""
        rtc = None
        if self.rtc_error_ms is not None and self.rtc_is_read:
            rtc = RtcSeen(self.true_ms + self.rtc_error_ms)
        bound = self.ntp[1] if self.ntp is not None else None
        nonce = f"{self.true_ms:016x}"
        seen = clock.Looked(self.machine_ms(), bound, self.was_set_by_rtc, self.link_up, nonce, rtc)
        self._do(self.machine.step(self.mono_ms(), seen))
        if self.machine.utc_ms(self.mono_ms()) is not None:
            assert self.courier.figures(self.mono_ms()).unstamped == 0

    def _do(self, actions: list[clock.Action]) -> None:
        for action in actions:
            match action:
                case ev.ClockSet():
                    offset = action.utc_ms - action.mono_ms
                    if self.utc_offset is not None and self.utc_offset - offset > SMALL_STEP_MS:
                        self.run += 1
                        self.feed(ev.ClockSet(action.mono_ms, action.utc_ms, action.source, action.bound_ms))
                    else:
                        self.feed(action)
                    self.utc_offset = offset
                case Happening():
                    self.events.append(action)
                    self.feed(ev.Happened([action]))
                case TimeAsk():
                    self._answer(action)
                case clock.AskModem():
                    self._ask_modem()
                case clock.Remember():
                    self.memory = action.memory

    def _answer(self, ask: TimeAsk) -> None:
        """The collector's clock is read somewhere within the round trip."""
        self.true_ms += self.trip_ms[0]
        utc_ms = self.true_ms + self.answer_error_ms
        self.true_ms += self.trip_ms[1]
        if self.liar_ms is not None and self._would_be_seen_through(self.true_ms + self.liar_ms):
            before = self.machine.utc_ms(self.mono_ms())
            self._do(self.machine.step(self.mono_ms(), clock.Answered(ask.id, self.true_ms + self.liar_ms)))
            assert self.machine.utc_ms(self.mono_ms()) == before, "a lie moved the clock"
        self._do(self.machine.step(self.mono_ms(), clock.Answered(ask.id, utc_ms)))

    def _would_be_seen_through(self, lie_ms: int) -> bool:
        """Absurd, or the time is known: the first answer of all, if it is possible, is believed."""
        is_known = self.answer_error_ms == 0 and self.machine.figures(self.mono_ms()).source in ("ntp", "collector")
        return is_known or not BUILD_MS <= lie_ms <= LATEST_MS

    def _ask_modem(self) -> None:
        asked_ms = self.mono_ms()
        self.true_ms += 40
        utc_ms = None if self.modem_error_ms is None else self.true_ms + self.modem_error_ms
        self._do(self.machine.step(self.mono_ms(), clock.ModemTold(asked_ms, utc_ms)))

    # --- the courier ---

    def take(self, urgent: bool) -> None:
        """One reading, now."""
        number = len(self.taken)
        self.taken.append(Taken(number, "u" if urgent else "n", self.true_ms, self.run))
        self.feed(ev.Taken([Reading(1 if urgent else 0, self.mono_ms(), number)]))

    def feed(self, event: ev.Event) -> None:
        events = [event]
        while events:
            for action in self.courier.step(self.mono_ms(), events.pop(0)):
                match action:
                    case ev.Write():
                        events.append(self._write(action))
                    case ev.Fetch():
                        found = [self.disk[key] for key in action.keys if key in self.disk]
                        events.append(ev.Fetched(found, [key for key in action.keys if key not in self.disk]))
                    case ev.Publish():
                        self._published(action)

    def _write(self, write: ev.Write) -> ev.Event:
        if not self.disk_good:
            return ev.WriteFailed(write.token, "I/O error")
        for key in write.forget:
            self.disk.pop(key, None)
        self.disk.update((stored.key, stored) for stored in write.add)
        for anchor in write.anchors:
            self.anchors.setdefault(anchor.epoch, anchor)
        return ev.Written(write.token)

    def _published(self, publish: ev.Publish) -> None:
        message = decode_sequenced(publish.payload)
        stamp = (message.t0, message.c)
        if not self.disk_good and self.true_ms - self.bad_since_ms >= STAMP_PATIENCE_MS - 90_000:
            self.unsafe.add(publish.key)
        if publish.key not in self.unsafe:
            assert self.stamps.setdefault(publish.key, stamp) == stamp, "a stamp was changed"
        self.stamps.setdefault(publish.key, stamp)
        body = bytes(message.body) if not isinstance(message, Data) else repr(message.d).encode()
        assert self.sent_ids.setdefault(publish.key, body) == body, "a sequence was used twice"
        if isinstance(message, Data) and publish.key not in self.payloads:
            self.payloads[publish.key] = message

    def connect(self, up: bool) -> None:
        if up != self.link_up:
            self.link_up = up
            self.feed(ev.Connected() if up else ev.Disconnected())

    def receipt(self) -> None:
        """The collector has everything that was ever sent."""
        tops: dict[tuple[str, str], set[int]] = {}
        for key in self.stamps:
            tops.setdefault((key.epoch, key.lane), set()).add(key.seq)
        lanes = []
        for (name, lane), seqs in tops.items():
            upto = 0
            while upto + 1 in seqs:
                upto += 1
            lanes.append(LaneReceipt(name, lane, upto))  # type: ignore[arg-type]
        self.feed(ev.ReceiptCame(Receipt(1, "log-1", lanes)))

    # --- what came of it ---

    def stamped(self) -> list[tuple[Taken, int, str, int]]:
        """Each reading that was sent: as taken, its stamp, the source said, the bound said; in the order of taking."""
        found = {}
        for message in self.payloads.values():
            source, bound_ms = ("", 1000) if message.c is None else (message.c.source, message.c.bound_ms)
            for block in message.d.blocks:
                for column in block.c:
                    for number, at_ms in zip(column.v, times_ms(message.t0, block), strict=True):
                        assert isinstance(number, int)
                        found[number] = (self.taken[number], at_ms, source, bound_ms)
        return [found[number] for number in sorted(found)]
