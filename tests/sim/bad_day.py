"""Pure. Bad days: faults that come one upon the other, as the first one's doing or by ill luck, where each alone does no harm.

offline    no link for long; the card refuses for a while and is well again; then the power goes
untold     the message that tells of dropped batches is damaged on the card, and the agent dies before it looks
orphaned   a backup; a new birth with its receipt; readings under it wait for a link; the backup comes back, and with it
           either another configuration at the agent's next start or another birth in the middle of its run
"""

from __future__ import annotations

from collections.abc import Callable

from tests.sim.broker import Broker
from tests.sim.county import SimCollector
from tests.sim.gateway import SimGateway
from tests.sim.world import World

BORN_MS = 120_000
"""Until a birth has its receipt, on most lines."""


class BadDays:
    """Begins them and lets each take its course."""

    def __init__(self, world: World, broker: Broker, collector: SimCollector, *, has_files: bool) -> None:
        self._world, self._broker, self._collector = world, broker, collector
        self._kinds = (self._offline, self._untold) if has_files else (self._offline, self._untold, self._orphaned)

    def strike(self, gateway: SimGateway) -> None:
        """One of them."""
        self._world.chance.choice(self._kinds)(gateway)

    def _offline(self, gateway: SimGateway) -> None:
        world = self._world
        self._lose_broker(1_200_000)
        begin_ms = world.between(5000, 60_000)
        lasts_ms = world.between(20_000, 120_000)
        self._later(begin_ms, lambda: self._refuse(gateway, lasts_ms))
        self._later(begin_ms + lasts_ms + world.between(30_000, 200_000), lambda: gateway.crash(is_power_cut=True))

    def _untold(self, gateway: SimGateway) -> None:
        if gateway.rot(is_telling=True):
            gateway.crash()

    def _orphaned(self, gateway: SimGateway) -> None:
        world = self._world
        self._collector.back_up()
        gateway.rebirth()
        cut_ms = world.between(BORN_MS, 2 * BORN_MS)
        self._later(cut_ms, lambda: self._lose_broker(900_000))
        change = gateway.rebirth if world.chance.random() < 0.5 else gateway.change_and_restart
        self._later(cut_ms + world.between(120_000, 240_000), change)
        self._later(cut_ms + world.between(120_000, 480_000), lambda: self._collector.crash(then_restore=True))

    def _later(self, delay_ms: int, fault: Callable[[], object]) -> None:
        """Unless the world has come to rest by then."""
        self._world.after(delay_ms, lambda: None if self._world.is_calm else fault())

    def _lose_broker(self, most_ms: int) -> None:
        if self._broker.is_up and not self._world.is_calm:
            self._world.note("broker dies for long")
            self._broker.die(self._world.between(most_ms // 2, most_ms))

    def _refuse(self, gateway: SimGateway, lasts_ms: int) -> None:
        self._world.note(f"{gateway.name}: card refuses")
        gateway.card.is_refusing = True

        def over() -> None:
            gateway.card.is_refusing = False

        self._world.after(lasts_ms, over)
