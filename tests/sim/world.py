"""Pure. The simulated world: one heap of (time, order, call), one seeded source of chance, no thread, no real clock."""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from edge_agent.common import hazard as hazards

BEGIN_MS = 1_790_000_000_000
"""True UTC at which every simulated world begins."""


BUSY_CALLS, BUSY_MS = 20_000, 60_000
"""So many calls within so short a time are unbounded work."""


class SimFailure(AssertionError):
    """An oracle was violated. seed and time are in the text."""


class Struck(Exception):
    """A fault aimed at a hazard point: the program that stands there dies at this very place."""


class World:
    """Time, order and chance. now_ms is true UTC."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.now_ms = BEGIN_MS
        self.calls = 0
        self.is_calm = False
        """True once faults are over."""
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._order = 0
        self._looked_ms = 0
        self.trace: deque[str] = deque(maxlen=12)
        """The newest faults, for the report of a failure."""
        self.faults = 0
        """Faults so far: crashes, cuts, outages, aimed strikes, lies, damage; not each lost or doubled message."""

    def after(self, delay_ms: int, call: Callable[[], None]) -> None:
        """Calls back so many ms from now; equal times in the order of asking."""
        self._order += 1
        heapq.heappush(self._heap, (self.now_ms + max(0, delay_ms), self._order, call))

    def run_until(self, end_ms: int, is_done: Callable[[], bool] | None = None) -> bool:
        """Runs what is due up to end_ms. True as soon as `is_done` is."""
        heap, pop = self._heap, heapq.heappop
        while heap and heap[0][0] <= end_ms:
            self.now_ms, _, call = pop(heap)
            self.calls += 1
            if not self.calls % BUSY_CALLS:
                self._look_at_work()
            call()
            if is_done is not None and is_done():
                return True
        self.now_ms = max(self.now_ms, end_ms)
        return is_done is not None and is_done()

    def _look_at_work(self) -> None:
        if self.now_ms - self._looked_ms < BUSY_MS:
            raise self.fail(f"{BUSY_CALLS} calls in {self.now_ms - self._looked_ms} ms: something spins")
        self._looked_ms = self.now_ms

    def likely(self, probability: float) -> bool:
        """True with this probability, never when the world is calm."""
        return probability > 0 and not self.is_calm and self.chance.random() < probability

    def between(self, low_ms: int, high_ms: int) -> int:
        """A whole number, both ends included."""
        return low_ms + int(self.chance.random() * (high_ms - low_ms + 1))

    def note(self, text: str) -> None:
        """Remembers a fault."""
        self.faults += 1
        self.trace.append(f"{(self.now_ms - BEGIN_MS) / 1000:10.3f} s  {text}")

    def fail(self, text: str) -> SimFailure:
        """The failure to raise: what, when, which seed, and the last faults."""
        last = "\n    ".join(self.trace)
        return SimFailure(f"seed {self.seed} at {(self.now_ms - BEGIN_MS) / 1000:.3f} s: {text}\n  faults before:\n    {last}")

    @contextmanager
    def aimed(self, probability: float) -> Iterator[None]:
        """Lets `hazard(name)` strike with this probability; the fault is raised as Struck where the hazard stands."""
        before = hazards.strike

        def strike(name: str) -> None:
            if self.likely(probability):
                self.note(f"struck at {name}")
                raise Struck(name)

        hazards.strike = strike
        try:
            yield
        finally:
            hazards.strike = before
