"""Pure. A simulated gateway: its card, its clock, its instruments, and the real Courier."""

from __future__ import annotations

from collections.abc import Callable

from edge_agent.contract import encoding
from edge_agent.contract import message as m
from edge_agent.contract.topics import Kind
from edge_agent.delivery import machine as ev
from edge_agent.delivery.courier import Courier, Memory
from edge_agent.model.reading import Happening, Reading
from tests.sim.broker import Broker
from tests.sim.card import Card
from tests.sim.oracles import FRACTION, Oracles, decode_receipt
from tests.sim.plan import SLOW, Plan
from tests.sim.world import Struck, World

BOOT_MONO_MS = 10_000
"""What a boot's monotonic clock shows when it begins."""
SLACK_MS = 1000
SYNC_MS = 3_000_000
SWING_MS = 1_200_000
"""A tank fills and empties in this time."""
TIGHT_BYTES = 1 << 20
"""Below such a bound the outbox overflows in these runs."""


class SimGateway:
    """One gateway. Everything it says or takes is told to the oracles."""

    def __init__(self, name: str, world: World, plan: Plan, broker: Broker, oracles: Oracles, card: Card) -> None:
        self.name, self._world, self._plan, self._oracles = name, world, plan, oracles
        self.card = card
        self.connection = broker.connection(self, name)
        self.courier: Courier | None = None
        self.generation = 0
        self._wake = 0
        self._epoch = ""
        self._boot, self._boot_at_ms = "", 0
        self._clock_known = False
        self._error_ms = self._bound_ms = self._sync = 0
        self._software = 1
        self._settings = plan.settings_of(name)
        self._has_urgent = plan.event_chance > 0 or not plan.has_engine
        self.is_taking = True
        self._is_stopping = False

    # --- life ---

    def switch_on(self) -> None:
        """A boot: new boot id, the clock perhaps unknown, then the agent starts."""
        self._boot = f"boot-{self._world.chance.getrandbits(64):016x}"
        self._boot_at_ms = self._world.now_ms
        self._clock_known = False
        self.start()
        if self._world.likely(self._plan.never_clock):
            return
        late = self._world.likely(self._plan.late_clock)
        delay_ms = self._world.between(60_000, 2_400_000) if late else self._world.between(0, 3000)
        boot = self._boot
        self._world.after(delay_ms, lambda: self.learn_time() if boot == self._boot else None)

    def start(self) -> None:
        """The agent starts: an epoch that is durable first, then whatever the card holds."""
        self.generation += 1
        self._is_stopping = False
        opened = self.card.open(with_bodies=self._plan.cached_bytes > 0)
        try:
            with self._world.aimed(self._plan.aimed):
                self._epoch = self.card.new_epoch(f"{self._world.chance.getrandbits(64):016x}")
        except Struck:
            self.card.crash()
            generation = self.generation
            self._world.after(self._world.between(500, 20_000), lambda: self.start() if generation == self.generation else None)
            return
        memory = Memory(self._plan.unsafe_bytes, self._plan.cached_bytes)
        self.courier = self._oracles.courier_class(self._settings, memory)
        self._oracles.started(self.name, self._epoch)
        birth, past = self._birth(), opened.runs
        self.feed(
            ev.Start(self._epoch, self._boot, birth, opened.stored, "", opened.anchors, "", opened.shelves, opened.lost, past=past)
        )
        if self._clock_known:
            self._say_time()
        self.connection.open()
        self._take_later()

    def crash(self, is_power_cut: bool = False) -> None:
        """The agent dies at once, with the whole gateway if the power goes; it comes back by itself."""
        if self.courier is None:
            return
        self._world.note(f"{self.name}: {'power cut' if is_power_cut else 'crash'}")
        self._die()
        self._oracles.crashed(self.name, self._safe_before_ms())
        generation = self.generation
        again = self.switch_on if is_power_cut else self.start
        self._world.after(self._world.between(500, 120_000), lambda: again() if generation == self.generation else None)

    def stop(self) -> None:
        """A clean restart: nothing may be lost by it."""
        if self.courier is None or self._is_stopping:
            return
        self._world.note(f"{self.name}: clean stop")
        self._is_stopping = True
        self.feed(ev.Stop())
        self._when_written(self.generation)

    def _when_written(self, generation: int) -> None:
        if generation != self.generation or self.courier is None:
            return
        if self.card.writing is not None:
            self._world.after(50, lambda: self._when_written(generation))
            return
        failing = self.card.failing_since_ms is not None
        self._die()
        if failing:
            self._oracles.crashed(self.name, self._safe_before_ms())
        else:
            self._oracles.stopped(self.name)
        self._world.after(self._world.between(500, 20_000), lambda: self.start() if generation + 1 == self.generation else None)
        self.generation += 1

    def _die(self) -> None:
        self.courier = None
        self.connection.drop(told=False)
        self.card.crash()

    def _safe_before_ms(self) -> int:
        """What came before this true time is on the card, or has its receipt, or a gap record that tells of it is there.

        Where the outbox overflows a batch may be dropped at the end of its window; the gap record then has a window of its own.
        """
        settings = self._settings
        windows = 1 if settings.max_bytes > TIGHT_BYTES and self._plan.unsafe_bytes > TIGHT_BYTES else 2
        since = self.card.failing_since_ms
        begin_ms = self._world.now_ms if since is None else min(since, self._world.now_ms)
        return begin_ms - windows * settings.window_ms - 3 * self._plan.disk_ms[1] - SLACK_MS

    # --- clock ---

    def mono_ms(self) -> int:
        """This boot's monotonic time, which drifts."""
        run_ms = self._world.now_ms - self._boot_at_ms
        return run_ms + run_ms * self._plan.drift_ppm // 1_000_000 + BOOT_MONO_MS

    def learn_time(self) -> None:
        """A source of time is there, or the clock is stepped to another error within another bound."""
        self._bound_ms = self._world.chance.choice((5, 100, 5000))
        most_ms = self._bound_ms * 4 // 5
        self._error_ms = self._world.between(-most_ms, most_ms)
        self._clock_known = True
        if self.courier is not None:
            self._say_time()
        if self._plan.drift_ppm:  # a source that goes on corrects the drift
            self._sync += 1
            sync, boot = self._sync, self._boot
            self._world.after(SYNC_MS, lambda: self.learn_time() if (sync, boot) == (self._sync, self._boot) else None)

    def _say_time(self) -> None:
        self.feed(ev.ClockSet(self.mono_ms(), self._world.now_ms + self._error_ms, "ntp", self._bound_ms))

    # --- readings ---

    def _birth(self) -> m.BirthBody:
        lanes: tuple[m.Lane, ...] = ("n", "n", "u")
        series = [m.Series(i, "device", f"point-{i}", lane=lane) for i, lane in enumerate(lanes)]
        if self._plan.has_engine:
            point, unit, role = ("flow", "m3/h", "inlet.flow") if self.name == SLOW else ("level", "m", "tank.level")
            series.append(m.Series(3, "device", point, unit=unit, role=role, period_ms=self._plan.reading_every_ms))
        settings = self._settings
        return m.BirthBody(
            f"sim {self._software}", series, receipt_hold_ms=settings.receipt_hold_ms, batch_ms=settings.batch_ms
        )  # fmt: skip

    def rebirth(self) -> None:
        """The configuration changes."""
        self._software += 1
        if self.courier is not None:
            self.feed(ev.NewBirth(self._birth()))

    def change_and_restart(self) -> None:
        """The agent dies, and comes back with another configuration."""
        self._software += 1
        self.crash()

    def resume(self) -> None:
        """Takes readings again."""
        self.is_taking = True
        self._take_later()

    def _take_later(self) -> None:
        generation = self.generation
        every_ms = self._plan.reading_every_ms
        self._world.after(self._world.between(every_ms // 2, every_ms * 3 // 2), lambda: self._take(generation))

    def _take(self, generation: int) -> None:
        if generation != self.generation or self.courier is None or not self.is_taking or self._is_stopping:
            return
        now_ms, late_ms = self.mono_ms(), self._world.between(0, 300)
        readings = []
        for series in range(3 if self._has_urgent and self._world.chance.random() < 0.2 else 2):
            number = self._oracles.taken(self.name, self._epoch, self._world.now_ms - late_ms)
            readings.append(Reading(series, now_ms - late_ms, number))
        if self._plan.has_engine:
            number = self._oracles.taken(self.name, self._epoch, self._world.now_ms - late_ms)
            is_low = self._world.now_ms // SWING_MS % 2
            readings.append(Reading(3, now_ms - late_ms, (0.0 if is_low else 5.0) + number / FRACTION))
        self.feed(ev.Taken(readings))
        if self.courier is not None and self._world.chance.random() < self._plan.event_chance:
            number = self._oracles.taken(self.name, self._epoch, self._world.now_ms, is_event=True)
            is_on = self._world.now_ms // SWING_MS % 3 == 0
            self.feed(ev.Happened([Happening("sim.event", now_ms, on=is_on, subject="device", about=(("n", number),))]))
        if generation == self.generation:
            self._take_later()

    # --- the courier ---

    def feed(self, event: ev.Event) -> None:
        """One step of the real machine, and what it asks for. A program that is dead hears nothing."""
        courier = self.courier
        if courier is None:
            return
        actions = courier.step(self.mono_ms(), event)
        self._oracles.bounded(self.name, courier, self._plan)
        for action in actions:
            if courier is not self.courier:
                return
            self._carry_out(action)

    def _carry_out(self, action: ev.Action) -> None:
        match action:
            case ev.Write():
                self.card.writing = action
                self._later(self.card.busy_ms(), lambda: self._write(action))
            case ev.Fetch():
                self._later(self.card.busy_ms(), lambda: self._fetch(action))
            case ev.Publish():
                self._oracles.published(self.name, action)
                self.connection.publish(self.name, Kind.DATA, action.payload)
                if action.retained_birth:
                    self.connection.publish(self.name, Kind.BIRTH, action.payload)
            case ev.WakeAt():
                self._wake += 1
                wake = self._wake
                late_ms = self._world.between(0, 3)
                self._later(action.mono_ms - self.mono_ms() + late_ms, lambda: self.feed(ev.Tick()) if wake == self._wake else None)
            case ev.Report():
                pass

    def _later(self, delay_ms: int, call: Callable[[], None]) -> None:
        generation = self.generation
        self._world.after(delay_ms, lambda: call() if generation == self.generation and self.courier is not None else None)

    def _write(self, write: ev.Write) -> None:
        try:
            with self._world.aimed(self._plan.aimed):
                refused = self.card.commit(write)
        except Struck:
            self.crash(is_power_cut=self._world.chance.random() < 0.5)
            return
        if not refused:
            self._oracles.written(self.name, write)
        self.feed(ev.WriteFailed(write.token, refused) if refused else ev.Written(write.token))

    def _fetch(self, fetch: ev.Fetch) -> None:
        if self.card.is_refusing:
            self._later(5000, lambda: self._fetch(fetch))
            return
        found, missing = self.card.fetch(fetch.span.each())
        self.feed(ev.Fetched(found, missing, self.card.readings_of(missing)))

    def rot(self, is_telling: bool = False) -> bool:
        """A bit flips on the card; False if there is none that could. is_telling: in what tells of gaps."""
        rotten = self.card.rot(is_telling)
        if rotten is not None:
            self._world.note(f"{self.name}: {rotten.key} is damaged on the card")
        return rotten is not None

    # --- the link ---

    def link_is_up(self) -> None:
        """Connected and subscribed."""
        self.feed(ev.Connected())

    def link_is_down(self) -> None:
        """Connection lost."""
        self.feed(ev.Disconnected())

    def message_came(self, gateway: str, kind: Kind, payload: bytes, retained: bool) -> None:
        """A receipt or a command."""
        if kind is Kind.RECEIPT:
            try:
                receipt = decode_receipt(payload)
            except encoding.Malformed:
                return  # as the agent's loop does
            self._oracles.receipt_reached(self.name, receipt)
            self.feed(ev.ReceiptCame(receipt))
        elif kind is Kind.CMD and encoding.decode_command(payload).name == "birth":
            self.feed(ev.SendBirth())
