"""Pure. One heap of (time, order, call), one Random(seed), no threads: everything that happens in a simulated run happens here."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from random import Random

UTC_MS = 1_790_000_000_000
"""True UTC when a run begins, ms."""


class World:
    """Simulated time. now_ms counts from 0; true UTC is UTC_MS beyond it."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.now_ms = 0
        self._order = 0
        self._heap: list[tuple[int, int, Callable[[], None]]] = []

    @property
    def utc_ms(self) -> int:
        """True time, ms UTC."""
        return UTC_MS + self.now_ms

    def after(self, delay_ms: int, call: Callable[[], None]) -> None:
        """Calls back once, delay_ms from now."""
        self._order += 1
        heapq.heappush(self._heap, (self.now_ms + max(0, delay_ms), self._order, call))

    def run_until(self, end_ms: int) -> None:
        """Lets everything happen that is due by end_ms."""
        while self._heap and self._heap[0][0] <= end_ms:
            self.now_ms, _, call = heapq.heappop(self._heap)
            call()
        self.now_ms = end_ms

    def happens(self, share: float) -> bool:
        """True in this share of the cases."""
        return self.chance.random() < share
