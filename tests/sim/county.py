"""Pure. A simulated collector: the real Intake, its log, its consumers, its backups."""

from __future__ import annotations

from collections.abc import Callable

from collector.domain.identity import GatewayId
from collector.intake import core as intake
from collector.seams import StorageFailed
from edge_agent.common.hazard import hazard
from edge_agent.contract.topics import Kind
from tests.sim.broker import Broker
from tests.sim.consumers import Consumers, Readers, SimClock
from tests.sim.logs import SimLedger, SimLog, SimStore, hashes
from tests.sim.oracles import Oracles, decode_receipt
from tests.sim.plan import Plan
from tests.sim.world import Struck, World

SITE = "sim"
PULSE_MS = 20_000
RETENTION_MS = 3_600_000


class SimCollector:
    """The collector as one program that may die at any time."""

    def __init__(
        self, world: World, plan: Plan, broker: Broker, oracles: Oracles, log: SimLog, store: SimStore, ledger: SimLedger,
        consumers: Consumers,
    ) -> None:  # fmt: skip
        self._world, self._plan, self._consumers = world, plan, consumers
        self.oracles = self._oracles = oracles
        self.connection = broker.connection(self)
        self.clock = SimClock(world)
        self.log, self.store, self.ledger = log, store, ledger
        log.failing, store.failing, ledger.failing = plan.log_failures, plan.store_failures, plan.store_failures
        self._backup = (log, store, ledger)
        if not plan.has_files:
            self.back_up()
        self._restores = 0
        self.intake: intake.Intake | None = None
        self.readers: Readers | None = None
        self.is_store_away = False
        self._is_due = False
        self._generation = 0
        self._wake = 0

    def start(self) -> None:
        """Starts on what the log holds."""
        self._generation += 1
        self._is_due = False
        self.log.reopen()
        machine = self.intake = self._oracles.intake_class()
        births = hashes(self.log.births())
        try:
            with self._world.aimed(self._plan.aimed):
                ledger = self.ledger if self._plan.has_engine else None
                self.readers = Readers(self._consumers, self.log, self.store, ledger, self.clock, machine.pulses)
        except Struck:
            self.crash()
            return
        self.feed(intake.Start(self.log.log_id, self.log.lanes(), births))
        self.connection.open()
        self._follow()
        if self._plan.has_engine:
            self._later(PULSE_MS, self._pulse)

    def crash(self, then_restore: bool = False) -> None:
        """Dies; what was not committed is gone. then_restore: an older backup comes back under another log id."""
        if self.intake is None:
            return
        self._world.note(f"collector: {'restored from a backup' if then_restore else 'crash'}")
        self.intake = self.readers = None
        self.connection.drop(told=False)
        if then_restore:
            self._restores += 1
            log, store, ledger = self._backup
            self._oracles.restored(self.log, log)
            self.log, self.store, self.ledger = log.restored(f"log-{self._restores}"), store.copy(), ledger.copy()
        generation = self._generation
        self._world.after(self._world.between(500, 90_000), lambda: self.start() if generation == self._generation else None)

    def back_up(self) -> None:
        """Makes a backup of everything at one instant."""
        self._backup = (self.log.restored(self.log.log_id), self.store.copy(), self.ledger.copy())

    def step_clock(self) -> None:
        """The collector's clock is set wrong, or right again."""
        self.clock.error_ms = self._world.chance.choice((0, 0, -3_600_000, -30_000, 30_000, 7_200_000))
        self._world.note(f"collector: its clock is {self.clock.error_ms / 1000:+.0f} s off")

    def rot(self) -> None:
        """A bit flips in the log."""
        record = self.log.rot()
        if record is not None:
            self._world.note(f"collector: {record.key} is damaged in the log")

    def feed(self, event: intake.Event) -> None:
        """One step of the real machine, and what it asks for."""
        machine = self.intake
        if machine is None:
            return
        for action in machine.step(self.clock.utc_ms(), event):
            if machine is not self.intake:
                return
            self._carry_out(action)

    def _carry_out(self, action: intake.Action) -> None:
        match action:
            case intake.Append():
                self._later(self._world.between(*self._plan.log_ms), lambda: self._commit(action))
            case intake.Publish():
                if action.kind is Kind.RECEIPT:
                    self._oracles.receipted(self.log, action.gateway.gateway, decode_receipt(action.payload))
                self.connection.publish(action.gateway.gateway, action.kind, action.payload)
                if action.kind is Kind.RECEIPT and self._plan.aimed:
                    self._pass("receipt.sent")
            case intake.WakeAt():
                self._wake += 1
                wake = self._wake
                delay_ms = action.ms - self.clock.utc_ms()
                self._later(delay_ms, lambda: self.feed(intake.Tick()) if wake == self._wake else None)

    def _later(self, delay_ms: int, call: Callable[[], None]) -> None:
        generation = self._generation
        self._world.after(delay_ms, lambda: call() if generation == self._generation and self.intake is not None else None)

    def _pass(self, name: str) -> None:
        try:
            with self._world.aimed(self._plan.aimed / 10):  # receipts are many, and a line that only crashes shows little
                hazard(name)
        except Struck:
            self.crash()

    def _commit(self, append: intake.Append) -> None:
        try:
            with self._world.aimed(self._plan.aimed):
                self.log.append(append.records, append.lanes, append.poison)
        except Struck:
            self.crash()
            return
        except StorageFailed as failed:
            self.feed(intake.CommitFailed(append.token, str(failed)))
            return
        self.feed(intake.Committed(append.token))
        self._follow()

    # --- what follows the log ---

    def _follow(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._later(self._world.between(1, 1000 if self._plan.has_engine else 30_000), self._turns)

    def _turns(self) -> None:
        self._is_due = False
        self._read(is_pulse=False)

    def _pulse(self) -> None:
        self._read(is_pulse=True)
        self._later(PULSE_MS, self._pulse)

    def _read(self, is_pulse: bool) -> None:
        readers = self.readers
        if readers is None:
            return
        try:
            with self._world.aimed(self._plan.aimed / 3):
                if not self.is_store_away and not is_pulse:
                    readers.write()
                readers.judge_all()
        except Struck:
            self.crash()
            return
        if readers.waits() and self._world.likely(self._plan.waiting_deaths):
            self.crash()
            return
        if not is_pulse and self._world.chance.random() < 0.05:
            aged = self.log.offset_before(self.clock.utc_ms() - RETENTION_MS)
            self.log.trim(min(aged, readers.safe() + 1))

    def catch_up(self) -> None:
        """Whoever follows the log reads what is there (at rest, when nothing fails)."""
        self.is_store_away = False
        self._read(is_pulse=False)

    # --- the link ---

    def link_is_up(self) -> None:
        """Connected and subscribed."""
        self.feed(intake.Connected())

    def link_is_down(self) -> None:
        """Connection lost."""
        self.feed(intake.Disconnected())

    def message_came(self, gateway: str, kind: Kind, payload: bytes, retained: bool) -> None:
        """A message of a gateway."""
        self.feed(intake.Arrived(f"r/{SITE}/{gateway}/{kind}", GatewayId(SITE, gateway), kind, payload, retained))
