"""Pure, but for the folder of a run with real files. One run: a time of faults, then calm, then the questions."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.sim import rest
from tests.sim.bad_day import BadDays
from tests.sim.broker import Broker, Connection
from tests.sim.card import Card, FileCard
from tests.sim.consumers import Consumers
from tests.sim.county import SimCollector
from tests.sim.gateway import SimGateway
from tests.sim.liar import Liar
from tests.sim.logs import FileLog, SimLedger, SimLog, SimStore
from tests.sim.oracles import Oracles
from tests.sim.plan import LONG_BATCH_MS, Plan, plan
from tests.sim.world import BEGIN_MS, World

HOUR_MS = 3_600_000
REST_MS = 1_200_000
"""So long a line without backlog may take to come to rest after the last fault."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did. compared: its warnings were compared with those of a line without faults."""

    seed: int
    pace: str
    gateway_hours: float
    calls: int
    faults: int
    records: int
    readings: int
    drained_s: float
    warnings: int
    compared: bool


@dataclass(frozen=True, slots=True)
class Parts:
    """What a run is built of; a planted bug replaces one of them."""

    oracles: type[Oracles] = Oracles
    log: type[SimLog] = SimLog
    store: type[SimStore] = SimStore
    ledger: type[SimLedger] = SimLedger
    consumers: Consumers = field(default_factory=Consumers)


def run(seed: int, parts: Parts = Parts(), change: Callable[[Plan], Plan] = lambda p: p) -> Outcome:
    """Runs a seed. Raises SimFailure where an oracle is violated."""
    chosen = change(plan(seed))
    if not chosen.has_files:
        return Line(seed, parts, chosen).run()
    with tempfile.TemporaryDirectory(prefix="sim-") as folder:
        line = Line(seed, parts, chosen, Path(folder))
        try:
            return line.run()
        finally:
            line.close()


class Line:
    """The whole simulated line. folder: where the files of a run with real ones lie."""

    def __init__(self, seed: int, parts: Parts, plan: Plan, folder: Path = Path()) -> None:
        self.plan = plan
        world = self.world = World(seed)
        self.oracles = parts.oracles(world)
        self.broker = Broker(world, plan)
        log: SimLog = FileLog(world, folder / "log.db") if plan.has_files else parts.log(world, "log-0")
        self.collector = SimCollector(
            world, plan, self.broker, self.oracles, log, parts.store(world), parts.ledger(world), parts.consumers
        )
        names = [f"gw-{number}" for number in range(plan.gateways)]
        cards = {name: FileCard(world, plan, folder / f"{name}.db") if plan.has_files else Card(world, plan) for name in names}
        self.gateways = [SimGateway(name, world, plan, self.broker, self.oracles, card) for name, card in cards.items()]
        self.liar = Liar(world, self.broker, self.collector, self.gateways)
        self.bad_days = BadDays(world, self.broker, self.collector, has_files=plan.has_files)

    def run(self) -> Outcome:
        """Faults, calm, questions."""
        self.collector.start()
        for gateway in self.gateways:
            gateway.switch_on()
        self._plan_faults()
        self.world.run_until(BEGIN_MS + self.plan.faults_ms)
        drained_ms = self._drain()
        log = self.collector.log
        self.oracles.at_rest(log)
        judged = rest.ask(self.world, self.collector, self.gateways)
        hours = (self.world.now_ms - BEGIN_MS) * len(self.gateways) / HOUR_MS
        return Outcome(
            self.world.seed, self.plan.pace, hours, self.world.calls, self.world.faults, len(log.records), self.oracles.count(),
            drained_ms / 1000, judged.warnings, judged.compared,
        )  # fmt: skip

    def close(self) -> None:
        """Closes the files."""
        for gateway in self.gateways:
            gateway.card.crash()
        if isinstance(self.collector.log, FileLog):
            self.collector.log.close()

    def _drain(self) -> int:
        world = self.world
        world.note("calm")
        world.is_calm = True
        world.run_until(world.now_ms + 180_000)  # whatever is down comes back
        while not self.broker.is_up:
            world.run_until(world.now_ms + 180_000)
        self.collector.clock.error_ms = 0
        for gateway in self.gateways:
            gateway.card.is_refusing = False
            gateway.learn_time()
            gateway.is_taking = False
        begin_ms = world.now_ms
        limit_ms = self._limit_ms()
        if not self._settles(limit_ms):
            figures = [g.courier.figures(g.mono_ms()) if g.courier is not None else "dead" for g in self.gateways]
            raise world.fail(f"the backlog is not drained after {limit_ms // 1000} s: {figures}")
        drained_ms = world.now_ms - begin_ms
        if self.plan.has_engine:  # what stands is told once news comes again
            for gateway in self.gateways:
                gateway.resume()
            world.run_until(world.now_ms + 300_000 + (2 * LONG_BATCH_MS if self.plan.has_slow else 0))
            for gateway in self.gateways:
                gateway.is_taking = False
        world.run_until(world.now_ms + 40_000 + self.plan.longest_batch_ms)
        if not self._settles(limit_ms):
            raise world.fail("what the last batches held did not arrive")
        world.run_until(world.now_ms + 60_000 + (2 * LONG_BATCH_MS if self.plan.has_slow else 0))
        self.collector.catch_up()
        return drained_ms

    def _limit_ms(self) -> int:
        """In this time the backlog at hand must be drained."""
        waits = sum(1 + g.courier.figures(g.mono_ms()).depth for g in self.gateways if g.courier is not None)
        settings = self.plan.settings
        round_ms = 2 * self.plan.delay_ms[1] + settings.receipt_hold_ms + 2 * self.plan.log_ms[1] + 2 * self.plan.disk_ms[1]
        return REST_MS + 2 * waits * max(round_ms // settings.in_flight, 50)

    def _settles(self, limit_ms: int) -> bool:
        return self.world.run_until(self.world.now_ms + limit_ms, self._is_at_rest)

    def _is_at_rest(self) -> bool:
        return all(g.courier is not None and not g.courier.holding.outbox.depth for g in self.gateways)

    # --- faults ---

    def _plan_faults(self) -> None:
        plan = self.plan
        for gateway in self.gateways:
            self._often(plan.link_drops, lambda g=gateway: self._drop(g.connection, g.name))
            self._often(plan.half_open, lambda g=gateway: self._deafen(g.connection, g.name))
            self._often(plan.agent_crashes, gateway.crash)
            self._often(plan.power_cuts, lambda g=gateway: g.crash(is_power_cut=True))
            self._often(plan.clean_restarts, gateway.stop)
            self._often(plan.clock_steps, gateway.learn_time)
            self._often(plan.rebirths, gateway.rebirth)
            self._often(plan.disk_outages, lambda g=gateway: self._outage(g))
            self._often(plan.rot, gateway.rot)
            self._often(plan.bad_days, lambda g=gateway: self.bad_days.strike(g))
        collector = self.collector
        self._often(plan.link_drops, lambda: self._drop(collector.connection, "collector"))
        self._often(plan.half_open, lambda: self._deafen(collector.connection, "collector"))
        self._often(plan.broker_deaths, self._kill_broker)
        self._often(plan.collector_crashes, collector.crash)
        self._often(plan.restores, lambda: collector.crash(then_restore=True))
        self._often(plan.restores * 2, collector.back_up)
        self._often(plan.county_steps, collector.step_clock)
        self._often(plan.rot, collector.rot)
        self._often(plan.lies, self.liar.lie)
        self._often(plan.store_outages, self._store_away)

    def _often(self, per_hour: float, fault: Callable[[], object]) -> None:
        """At random times, this often on average, while the world is not calm."""
        if per_hour <= 0:
            return

        def strike() -> None:
            if not self.world.is_calm:
                fault()
                self.world.after(delay_ms(), strike)

        def delay_ms() -> int:
            return int(self.world.chance.expovariate(per_hour / HOUR_MS))

        self.world.after(delay_ms(), strike)

    def _drop(self, connection: Connection, name: str) -> None:
        if connection.is_up:
            self.world.note(f"{name}: link lost")
            connection.drop()

    def _deafen(self, connection: Connection, name: str) -> None:
        if connection.is_up:
            self.world.note(f"{name}: link half open")
            connection.deafen()

    def _kill_broker(self) -> None:
        if self.broker.is_up:
            self.world.note("broker dies")
            self.broker.die()

    def _outage(self, gateway: SimGateway) -> None:
        self.world.note(f"{gateway.name}: card refuses")
        gateway.card.is_refusing = True

        def over() -> None:
            gateway.card.is_refusing = False

        self.world.after(self.world.between(1000, 500_000), over)

    def _store_away(self) -> None:
        self.world.note("store is away")
        self.collector.is_store_away = True

        def over() -> None:
            self.collector.is_store_away = False

        self.world.after(self.world.between(10_000, 3_000_000), over)


def quiet(changed: Plan) -> Plan:
    """The same line without any fault: for the price of a step and for writes on a good link."""
    none = {name: 0.0 for name in Plan.__slots__ if isinstance(getattr(changed, name), float)}
    return replace(changed, **none)  # type: ignore[arg-type]
