"""Pure. One run: a time of faults, then calm, then the question whether everything is where it belongs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.sim.broker import Broker
from tests.sim.county import SimCollector, SimLog
from tests.sim.gateway import SimGateway
from tests.sim.oracles import Oracles
from tests.sim.plan import Plan, plan
from tests.sim.world import BEGIN_MS, World

HOUR_MS = 3_600_000
REST_MS = 1_200_000
"""So long a line without backlog may take to come to rest after the last fault."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did."""

    seed: int
    gateway_hours: float
    calls: int
    records: int
    drained_s: float


@dataclass(frozen=True, slots=True)
class Parts:
    """What a run is built of; a planted bug replaces one of them."""

    oracles: type[Oracles] = Oracles
    log: type[SimLog] = SimLog


def run(seed: int, parts: Parts = Parts(), change: Callable[[Plan], Plan] = lambda p: p) -> Outcome:
    """Runs a seed. Raises SimFailure where an oracle is violated."""
    return Line(seed, parts, change(plan(seed))).run()


class Line:
    """The whole simulated line."""

    def __init__(self, seed: int, parts: Parts, plan: Plan) -> None:
        self.plan = plan
        self.world = World(seed)
        self.oracles = parts.oracles(self.world, parts.log)
        self.broker = Broker(self.world, plan)
        self.collector = SimCollector(self.world, plan, self.broker, self.oracles)
        self.gateways = [SimGateway(f"gw-{n}", self.world, plan, self.broker, self.oracles) for n in range(plan.gateways)]

    def run(self) -> Outcome:
        """Faults, calm, questions."""
        self.collector.start()
        for gateway in self.gateways:
            gateway.switch_on()
        self._plan_faults()
        self.world.run_until(BEGIN_MS + self.plan.faults_ms)
        drained_ms = self._drain()
        self.oracles.at_rest(self.collector.log)
        hours = (self.world.now_ms - BEGIN_MS) * len(self.gateways) / HOUR_MS
        return Outcome(self.world.seed, hours, self.world.calls, len(self.collector.log.records), drained_ms / 1000)

    def _drain(self) -> int:
        world = self.world
        world.note("calm")
        world.is_calm = True
        world.run_until(world.now_ms + 180_000)  # whatever is down comes back
        for gateway in self.gateways:
            gateway.card.is_refusing = False
            gateway.learn_time()
            gateway.is_taking = False
        begin_ms = world.now_ms
        waits = sum(1 + g.courier.figures(g.mono_ms()).depth for g in self.gateways if g.courier is not None)
        settings = self.plan.settings
        round_ms = 2 * self.plan.delay_ms[1] + settings.receipt_hold_ms + 2 * self.plan.log_ms[1] + 2 * self.plan.disk_ms[1]
        limit_ms = REST_MS + 2 * waits * max(round_ms // settings.in_flight, 50)
        if not world.run_until(begin_ms + limit_ms, self._is_at_rest):
            figures = [g.courier.figures(g.mono_ms()) if g.courier is not None else "dead" for g in self.gateways]
            raise world.fail(f"the backlog is not drained after {limit_ms // 1000} s: {figures}")
        drained_ms = world.now_ms - begin_ms
        world.run_until(world.now_ms + 70_000)
        if not world.run_until(world.now_ms + limit_ms, self._is_at_rest):
            raise world.fail("what the last batches held did not arrive")
        return drained_ms

    def _is_at_rest(self) -> bool:
        return all(g.courier is not None and not g.courier.figures(g.mono_ms()).depth for g in self.gateways)

    # --- faults ---

    def _plan_faults(self) -> None:
        plan = self.plan
        for gateway in self.gateways:
            self._often(plan.link_drops, lambda g=gateway: g.connection.drop() if g.connection.is_up else None)
            self._often(plan.half_open, gateway.connection.deafen)
            self._often(plan.agent_crashes, gateway.crash)
            self._often(plan.power_cuts, lambda g=gateway: g.crash(is_power_cut=True))
            self._often(plan.clean_restarts, gateway.stop)
            self._often(plan.clock_steps, gateway.learn_time)
            self._often(plan.rebirths, gateway.rebirth)
            self._often(plan.disk_outages, lambda g=gateway: self._outage(g))
        collector = self.collector
        self._often(plan.link_drops, lambda: collector.connection.drop() if collector.connection.is_up else None)
        self._often(plan.half_open, collector.connection.deafen)
        self._often(plan.broker_deaths, self._kill_broker)
        self._often(plan.collector_crashes, collector.crash)
        self._often(plan.restores, lambda: collector.crash(then_restore=True))
        self._often(plan.restores * 2, collector.back_up)

    def _often(self, per_hour: float, fault: Callable[[], None]) -> None:
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


def quiet(changed: Plan) -> Plan:
    """The same line without any fault: for the price of a step and for writes on a good link."""
    none = {name: 0.0 for name in Plan.__slots__ if isinstance(getattr(changed, name), float)}
    return replace(changed, **none)  # type: ignore[arg-type]
