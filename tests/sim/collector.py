"""Pure. A simulated collector: the real Intake with a simulated log; it can be killed."""

from __future__ import annotations

from collector.domain.identity import GatewayId
from collector.intake import machine as ev
from collector.intake.core import Intake
from collector.intake.records import BatchKey, LaneState
from edge_agent.contract.encoding import decode_receipt, decode_sequenced
from edge_agent.contract.message import Birth
from edge_agent.contract.topics import Kind
from tests.sim.disk import Disk
from tests.sim.network import Broker
from tests.sim.oracles import Ledger
from tests.sim.world import World

GATEWAY = GatewayId("station-1", "gw-1")


class SimLog:
    """The durable log and its accounting."""

    def __init__(self) -> None:
        self.records: dict[BatchKey, bytes] = {}
        self.keys: set[tuple[str, str, int]] = set()
        self.lanes: dict[tuple[str, str], LaneState] = {}
        self.births: set[tuple[GatewayId, str]] = set()

    def apply(self, append: ev.Append) -> None:
        """One commit; a key that is there is skipped."""
        for record in append.records:
            if record.key in self.records:
                continue
            self.records[record.key] = record.payload
            self.keys.add((record.key.epoch, record.key.lane, record.key.seq))
            message = decode_sequenced(record.payload)
            if isinstance(message, Birth):
                self.births.add((GATEWAY, message.h))
        for state in append.lanes:
            self.lanes[state.epoch, state.lane] = state


class SimCollector:
    """One collector for one gateway."""

    def __init__(self, world: World, broker: Broker, ledger: Ledger) -> None:
        self._world, self._broker, self._ledger = world, broker, ledger
        self.log = SimLog()
        self.disk: Disk[ev.Append] = Disk(world, self.log.apply)
        self.disk.kill = self.kill
        self.link = broker.add(self)
        self.intake = Intake()
        self.is_running = False
        self._life = 0
        self._wake_ms = -1
        self.start()

    def kill(self) -> None:
        """kill -9; it is started again."""
        if not self.is_running:
            return
        self.is_running = False
        self._life += 1
        self.disk.crash()
        self.link.is_wanted = False
        self.link.cut(0)
        self._world.after(self._world.chance.randint(500, 60_000), self.start)

    def start(self) -> None:
        """A new run on the log as it is."""
        if self.is_running:
            return
        self.is_running = True
        self._life += 1
        self.intake = Intake()
        self._tell(ev.Start("log-1", list(self.log.lanes.values()), frozenset(self.log.births)))
        self.link.is_wanted = True
        self._world.after(self._world.chance.randint(100, 2000), self.link.connect)

    def link_up(self) -> None:
        self._tell(ev.Connected())

    def link_down(self) -> None:
        self._tell(ev.Disconnected())

    def message(self, kind: Kind, payload: bytes, retained: bool) -> None:
        if self.is_running and kind in (Kind.DATA, Kind.BIRTH):
            self._tell(ev.Arrived(f"waterworks/station-1/gw-1/{kind}", GATEWAY, kind, payload, retained))

    def _tell(self, event: ev.Event) -> None:
        for action in self.intake.step(self._world.utc_ms, event):
            match action:
                case ev.Append():
                    self.append(action)
                case ev.Publish():
                    if action.kind is Kind.RECEIPT:
                        self._ledger.receipted(decode_receipt(action.payload), self.log.keys)
                    self._broker.publish(self.link, action.kind, action.payload)
                case ev.WakeAt():
                    self._wake(action.ms)

    def append(self, append: ev.Append) -> None:
        """Makes it durable, then tells the intake."""
        life = self._life

        def done(is_durable: bool) -> None:
            if self._life == life:
                self._tell(ev.Committed(append.token) if is_durable else ev.CommitFailed(append.token, "I/O error"))

        self.disk.commit(append, done)

    def _wake(self, at_ms: int) -> None:
        life, self._wake_ms = self._life, at_ms

        def wake() -> None:
            if self._life == life and self._wake_ms == at_ms:
                self._tell(ev.Tick())

        self._world.after(at_ms - self._world.utc_ms, wake)
