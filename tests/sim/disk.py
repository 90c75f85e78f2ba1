"""Pure. Simulated disks: a commit takes time, may fail (and then may be there or not), and a crash decides the one under way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from tests.sim.world import World

C = TypeVar("C")


class Disk(Generic[C]):
    """Commits of type C, applied whole or not at all (the databases' transactions are atomic). One at a time."""

    def __init__(self, world: World, apply: Callable[[C], None]) -> None:
        self._world = world
        self._apply = apply
        self._turn = 0
        self._under_way: C | None = None
        self.fails = 0.0
        """Share of commits that fail."""
        self.aim = 0.0
        """Share of commits at which the owner is killed: half of them just before, half just after."""
        self.kill: Callable[[], None] = lambda: None
        self.good_since_ms = 0
        self.begun_good_ms = -1
        """When the newest commit that became durable was begun."""

    def commit(self, what: C, done: Callable[[bool], None]) -> None:
        """Calls back with True when `what` is durable, with False when nothing may be believed."""
        self._under_way = what
        turn, begun_ms = self._turn, self._world.now_ms
        self._world.after(self._world.chance.randint(1, 60), lambda: self._end(turn, begun_ms, what, done))

    def crash(self) -> None:
        """The owner dies: the commit under way is there or not."""
        if self._under_way is not None and self._world.happens(0.5):
            self._apply(self._under_way)
        self._turn += 1
        self._under_way = None

    def _end(self, turn: int, begun_ms: int, what: C, done: Callable[[bool], None]) -> None:
        if turn != self._turn:
            return
        if self._world.happens(self.fails):
            self._under_way = None
            if self._world.happens(0.5):
                self._apply(what)
            self.good_since_ms = self._world.now_ms
            done(False)
            return
        aimed = self._world.happens(self.aim)
        if aimed and self._world.happens(0.5):
            self.kill()
            return
        self._under_way = None
        self._apply(what)
        self.begun_good_ms = begun_ms
        if aimed:
            self.kill()
            return
        done(True)
