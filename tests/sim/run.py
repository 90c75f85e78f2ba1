"""Pure. One simulated run: a seed decides settings, faults and their times; then the faults end and everything must be at rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edge_agent.delivery.courier import Courier
from edge_agent.model.points import Delivery
from tests.sim.agent import SimAgent
from tests.sim.collector import SimCollector
from tests.sim.network import Broker, Rates
from tests.sim.oracles import Broken, Ledger
from tests.sim.world import World

TROUBLE_MS = 20 * 60_000
CALM_MS = 5 * 60_000
"""Without faults, while readings go on."""
DRAIN_MS = 90 * 60_000
"""A backlog with one message in flight and receipts held back 1 s is drained by then."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to."""

    seed: int
    hours: float
    """Simulated gateway-hours."""
    readings: int
    must_arrive: int
    publishes: int
    batches: int
    kills: int


class Run:
    """The whole line under faults. new_courier, new_collector: where a test plants a bug."""

    def __init__(
        self,
        seed: int,
        new_courier: Callable[[Delivery], Courier] = Courier,
        new_collector: type[SimCollector] = SimCollector,
        new_agent: type[SimAgent] = SimAgent,
    ) -> None:
        self.seed = seed
        self.world = World(seed)
        chance = self.world.chance
        self.ledger = Ledger()
        self.broker = Broker(self.world)
        self.collector = new_collector(self.world, self.broker, self.ledger)
        settings = Delivery(
            batch_ms=chance.choice([1000, 5000, 15_000]),
            batch_readings=chance.choice([5, 100, 1000]),
            window_ms=chance.choice([1000, 10_000]),
            in_flight=chance.choice([1, 4, 32]),
            resend_ms=chance.choice([3000, 10_000]),
            max_bytes=chance.choice([60_000, 1 << 20, 256 << 20]),
            newest_first=self.world.happens(0.2),
        )
        log = self.collector.log
        period_ms = chance.choice([1000, 10_000])
        self.agent = new_agent(self.world, self.broker, self.ledger, lambda: log.keys, settings, new_courier, period_ms)
        self.kills = 0
        self._has_trouble = True

    def go(self) -> Outcome:
        """Runs it. Raises Broken, with the seed in its words."""
        try:
            self._trouble()
            self.world.run_until(TROUBLE_MS)
            self._calm()
            self.world.run_until(TROUBLE_MS + CALM_MS)
            self.agent.is_reading = False
            self.world.run_until(self.world.now_ms + 60_000)
            while self.agent.courier.holding.outbox.depth and self.world.now_ms < TROUBLE_MS + DRAIN_MS:
                self.world.run_until(self.world.now_ms + 10_000)
            self.ledger.at_rest(self.collector.log.records, self.agent.courier.holding.outbox.depth)
        except Broken as broken:
            raise Broken(f"seed {self.seed} at {self.world.now_ms} ms: {broken}") from broken
        facts = self.ledger.facts.values()
        must = sum(fact.must_arrive for fact in facts)
        hours = self.world.now_ms / 3_600_000
        return Outcome(self.seed, hours, len(facts), must, self.ledger.publishes, len(self.collector.log.records), self.kills)

    def _trouble(self) -> None:
        chance = self.world.chance
        self.broker.rates = Rates(
            loss=chance.choice([0, 0.02, 0.2]),
            doubling=chance.choice([0, 0.05]),
            delay_ms=chance.choice([5, 300]),
            jitter_ms=chance.choice([0, 200, 4000]),
        )
        self.agent.disk.fails = chance.choice([0, 0, 0.3])
        self.collector.disk.fails = chance.choice([0, 0, 0.3])
        self.agent.disk.aim = chance.choice([0, 0.1])
        self.collector.disk.aim = chance.choice([0, 0.02])
        faults: list[Callable[[], None]] = [
            self.agent.kill,
            self.agent.power_cut,
            self.collector.kill,
            lambda: self.broker.die(chance.randint(100, 90_000)),
            lambda: self.agent.link.cut(chance.randint(100, 240_000)),
            lambda: self.agent.link.halve(chance.randint(1000, 90_000), chance.randint(100, 5000)),
            lambda: self.collector.link.halve(chance.randint(1000, 90_000), chance.randint(100, 5000)),
        ]
        for fault in faults:
            if self.world.happens(0.6):
                self._again(fault, chance.choice([60_000, 300_000]))

    def _again(self, fault: Callable[[], None], mean_ms: int) -> None:
        def strike() -> None:
            if self._has_trouble:
                self.kills += 1
                fault()
                self._again(fault, mean_ms)

        self.world.after(int(self.world.chance.expovariate(1 / mean_ms)) + 1, strike)

    def _calm(self) -> None:
        self._has_trouble = False
        self.broker.rates = Rates()
        for disk in (self.agent.disk, self.collector.disk):
            disk.fails = disk.aim = 0.0
