"""Pure. A simulated gateway: the real Courier with a simulated outbox file, clock and buses; it can be killed and rebooted."""

from __future__ import annotations

from collections.abc import Callable

from edge_agent.contract.encoding import decode_command, decode_receipt
from edge_agent.contract.message import BirthBody, Series
from edge_agent.contract.topics import Kind
from edge_agent.delivery import machine as ev
from edge_agent.delivery.courier import Courier
from edge_agent.model.points import Delivery
from edge_agent.model.reading import Happening, Reading
from tests.sim.disk import Disk
from tests.sim.network import Broker
from tests.sim.oracles import Fact, Ledger
from tests.sim.world import World

BIRTH = BirthBody(
    "simulator 1", [Series(0, "pump-1", "current"), Series(1, "pump-1", "flow"), Series(2, "pump-1", "trip", lane="u")]
)
WRITE_SLACK_MS = 300
"""A write begins a window after a reading came and takes up to 60 ms; another one may be under way."""


class SimOutbox:
    """What the outbox file holds."""

    def __init__(self) -> None:
        self.stored: dict[ev.Key, ev.Stored] = {}
        self.anchors: dict[str, ev.Anchor] = {}
        self.starts = 0

    def apply(self, write: ev.Write) -> None:
        """One transaction."""
        for key in write.forget:
            self.stored.pop(key, None)
        for stored in write.add:
            self.stored[stored.key] = stored
        for anchor in write.anchors:
            self.anchors.setdefault(anchor.epoch, anchor)

    def new_epoch(self, random_hex: str) -> str:
        """As OutboxFile."""
        self.starts += 1
        return f"{self.starts}-{random_hex}"


class SimAgent:
    """One gateway. period_ms: how often each series is read."""

    def __init__(
        self,
        world: World,
        broker: Broker,
        ledger: Ledger,
        log: Callable[[], set[tuple[str, str, int]]],
        settings: Delivery,
        new_courier: Callable[[Delivery], Courier] = Courier,
        period_ms: int = 1000,
    ) -> None:
        self._world, self._broker, self._ledger, self._log = world, broker, ledger, log
        self._settings, self._new_courier, self._period_ms = settings, new_courier, period_ms
        self.file = SimOutbox()
        self.disk: Disk[ev.Write] = Disk(world, self.file.apply)
        self.disk.kill = self.kill
        self.link = broker.add(self)
        self.courier = new_courier(settings)
        self.is_running = False
        self.is_reading = True
        self._life = 0
        self._boot = 0
        self._zero_ms = 0
        self._clock_error_ms = 0
        self._wake_ms = -1
        self._name = 0
        self.reboot()

    # --- life ---

    @property
    def mono_ms(self) -> int:
        """Monotonic time of this boot."""
        return self._world.now_ms - self._zero_ms

    def kill(self) -> None:
        """kill -9; systemd starts it again."""
        if self.is_running:
            self._die()
            self._later(self._world.chance.randint(500, 20_000), self.start)

    def power_cut(self) -> None:
        """The gateway loses power and boots again, without the time."""
        if self.is_running:
            self._die()
        self._life += 1
        self._later(self._world.chance.randint(5000, 60_000), self.reboot)

    def reboot(self) -> None:
        """A new boot: monotonic time begins anew."""
        self._boot += 1
        self._zero_ms = self._world.now_ms - self._world.chance.randint(0, 100_000)
        self.start()

    def start(self) -> None:
        """A new run of the program."""
        self.is_running = True
        self._life += 1
        self.courier = self._new_courier(self._settings)
        self._ledger.watch(self.courier, self._log)
        self._wake_ms = -1
        epoch = self.file.new_epoch(f"{self._world.chance.getrandbits(64):016x}")
        stored = [held if self._world.happens(0.5) else _without_body(held) for held in self.file.stored.values()]
        self._tell(ev.Start(epoch, f"boot-{self._boot}", BIRTH, stored, "", list(self.file.anchors.values())))
        self._later(self._world.chance.choice([0, 3000, 90_000]), self._learn_time)
        self._later(self._world.chance.randint(1, self._period_ms), self._read)
        self.link.is_wanted = True
        self._world.after(self._world.chance.randint(100, 2000), self.link.connect)

    def _die(self) -> None:
        self.is_running = False
        self._life += 1
        now_ms, window_ms = self._world.now_ms, self._settings.window_ms
        for fact in self._ledger.facts.values():
            past_ms = fact.accepted_ms + window_ms
            is_safe = past_ms + WRITE_SLACK_MS <= now_ms and fact.accepted_ms >= self.disk.good_since_ms
            if not (is_safe or past_ms <= self.disk.begun_good_ms):
                fact.must_arrive = False
        self.disk.crash()
        self.link.is_wanted = False
        self.link.cut(0)

    def _later(self, delay_ms: int, call: Callable[[], None]) -> None:
        life = self._life
        self._world.after(delay_ms, lambda: call() if self._life == life else None)

    def _learn_time(self) -> None:
        error_ms = self._world.chance.randint(-40, 40)
        self._tell(ev.ClockSet(self.mono_ms, self._world.utc_ms + error_ms, "ntp", 50))
        self._later(self._world.chance.randint(20_000, 600_000), self._learn_time)

    def _read(self) -> None:
        if self.is_reading:
            readings = []
            for series in (0, 1, 2) if self._world.happens(0.1) else (0, 1):
                self._name += 1
                self._ledger.facts[self._name] = Fact(self._world.utc_ms, self._world.now_ms)
                readings.append(Reading(series, self.mono_ms, self._name))
            self._tell(ev.Taken(readings))
            if self._world.happens(0.02):
                self._tell(ev.Happened([Happening("device.silent", self.mono_ms, True, "pump-1")]))
        self._later(self._period_ms, self._read)

    # --- the courier ---

    def _tell(self, event: ev.Event) -> None:
        actions = self.courier.step(self.mono_ms, event)
        for action in actions:
            match action:
                case ev.Write():
                    self._write(action)
                case ev.Publish():
                    self._ledger.published(action.payload)
                    kind = Kind.BIRTH if action.retained_birth else Kind.DATA
                    self._broker.publish(self.link, kind, action.payload)
                case ev.Fetch():
                    self._fetch(action)
                case ev.WakeAt():
                    self._wake(action.mono_ms)
                case _:
                    pass

    def _write(self, write: ev.Write) -> None:
        def done(is_durable: bool) -> None:
            self._tell(ev.Written(write.token) if is_durable else ev.WriteFailed(write.token, "I/O error"))

        self.disk.commit(write, done)

    def _fetch(self, fetch: ev.Fetch) -> None:
        def done() -> None:
            found = [self.file.stored[key] for key in fetch.keys if key in self.file.stored]
            self._tell(ev.Fetched(found, [key for key in fetch.keys if key not in self.file.stored]))

        self._later(self._world.chance.randint(1, 30), done)

    def _wake(self, mono_ms: int) -> None:
        self._wake_ms = mono_ms
        self._later(mono_ms - self.mono_ms, lambda: self._tell(ev.Tick()) if self._wake_ms == mono_ms else None)

    # --- the link ---

    def link_up(self) -> None:
        self._tell(ev.Connected())

    def link_down(self) -> None:
        self._tell(ev.Disconnected())

    def message(self, kind: Kind, payload: bytes, retained: bool) -> None:
        if not self.is_running:
            return
        if kind is Kind.RECEIPT:
            self._tell(ev.ReceiptCame(decode_receipt(payload)))
        elif kind is Kind.CMD and decode_command(payload).name == "birth":
            self._tell(ev.SendBirth())


def _without_body(stored: ev.Stored) -> ev.Stored:
    if stored.kind == "birth":
        return stored
    return ev.Stored(
        stored.key, stored.kind, stored.birth, b"", stored.readings, stored.boot, stored.mono_ms, stored.t0, stored.clock_source,
        stored.clock_bound_ms, stored.gaps, stored.size,
    )  # fmt: skip
