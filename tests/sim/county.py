"""Pure. A simulated collector: its log, its backups, and the real Intake."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from collector.domain.identity import GatewayId
from collector.intake import core as intake
from collector.intake.records import BatchKey, LaneState, Record
from edge_agent.common.hazard import hazard
from edge_agent.contract import encoding
from edge_agent.contract.topics import Kind
from tests.sim.broker import Broker
from tests.sim.oracles import Oracles
from tests.sim.plan import Plan
from tests.sim.world import Struck, World

SITE = "sim"


@dataclass(slots=True)
class SimLog:
    """The durable log: an append is there whole or not at all; a key that is there is skipped."""

    log_id: str
    records: dict[BatchKey, Record] = field(default_factory=dict)
    lanes: dict[tuple[str, str, str], LaneState] = field(default_factory=dict)

    def append(self, append: intake.Append) -> None:
        """One commit."""
        hazard("log.commit.before")
        for record in append.records:
            self.add(record)
        for state in append.lanes:
            self.lanes[state.gateway, state.epoch, state.lane] = state
        hazard("log.commit.after")

    def add(self, record: Record) -> None:
        """One record."""
        self.records.setdefault(record.key, record)

    def copy(self, log_id: str) -> SimLog:
        """A backup, or what is restored from one under another id."""
        return type(self)(log_id, dict(self.records), dict(self.lanes))

    def births(self) -> frozenset[tuple[GatewayId, str]]:
        """Gateway and hash of every birth."""
        births = [r for r in self.records.values() if r.kind == "birth"]
        named = [(r, encoding.decode_sequenced(r.payload)) for r in births]
        return frozenset((GatewayId(r.key.site, r.key.gateway), head.h) for r, head in named if hasattr(head, "h"))


class SimCollector:
    """The collector as one program that may die at any time."""

    def __init__(self, world: World, plan: Plan, broker: Broker, oracles: Oracles) -> None:
        self._world, self._plan, self._oracles = world, plan, oracles
        self.connection = broker.connection(self)
        self.log: SimLog = oracles.log_class("log-0")
        self._backup = self.log.copy("log-0")
        self._restores = 0
        self.intake: intake.Intake | None = None
        self._generation = 0
        self._wake = 0

    def start(self) -> None:
        """Starts on what the log holds."""
        self._generation += 1
        self.intake = self._oracles.intake_class()
        self.feed(intake.Start(self.log.log_id, list(self.log.lanes.values()), self.log.births()))
        self.connection.open()

    def crash(self, then_restore: bool = False) -> None:
        """Dies; what was not committed is gone. then_restore: an older backup comes back under another log id."""
        if self.intake is None:
            return
        self._world.note(f"collector: {'restored from a backup' if then_restore else 'crash'}")
        self.intake = None
        self.connection.drop(told=False)
        if then_restore:
            self._restores += 1
            self._oracles.restored(self.log, self._backup)
            self.log = self._backup.copy(f"log-{self._restores}")
        generation = self._generation
        self._world.after(self._world.between(500, 90_000), lambda: self.start() if generation == self._generation else None)

    def back_up(self) -> None:
        """Makes a backup."""
        self._backup = self.log.copy(self.log.log_id)

    def feed(self, event: intake.Event) -> None:
        """One step of the real machine, and what it asks for."""
        machine = self.intake
        if machine is None:
            return
        for action in machine.step(self._world.now_ms, event):
            if machine is not self.intake:
                return
            self._carry_out(action)

    def _carry_out(self, action: intake.Action) -> None:
        match action:
            case intake.Append():
                self._later(self._world.between(*self._plan.log_ms), lambda: self._commit(action))
            case intake.Publish():
                if action.kind is Kind.RECEIPT:
                    self._oracles.receipted(self.log, action.gateway.gateway, encoding.decode_receipt(action.payload))
                self.connection.publish(action.gateway.gateway, action.kind, action.payload)
                if action.kind is Kind.RECEIPT:
                    self._pass("receipt.sent")
            case intake.WakeAt():
                self._wake += 1
                wake = self._wake
                self._later(action.ms - self._world.now_ms, lambda: self.feed(intake.Tick()) if wake == self._wake else None)

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
        if self._world.likely(self._plan.log_failures):
            self.feed(intake.CommitFailed(append.token, "disk full"))
            return
        try:
            with self._world.aimed(self._plan.aimed):
                self.log.append(append)
        except Struck:
            self.crash()
            return
        self.feed(intake.Committed(append.token))

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
