"""Pure. How fast a backlog goes down, over the last minutes, and when it will be gone.

The rate is net: what is confirmed less what is taken meanwhile. So a link that carries just what comes in does not drain.
"""

from __future__ import annotations

from collections import deque

SAMPLE_MS = 10_000
SPAN_MS = 300_000
LEAST_MS = 30_000
"""Before so much was seen nothing is said of the rate."""


class Drain:
    """Readings without receipt, sampled. Times are monotonic ms."""

    def __init__(self) -> None:
        self._samples: deque[tuple[int, int]] = deque()

    def note(self, now_ms: int, depth_readings: int) -> None:
        """So many readings are without receipt now."""
        if not self._samples or now_ms - self._samples[-1][0] >= SAMPLE_MS:
            self._samples.append((now_ms, depth_readings))
        while now_ms - self._samples[0][0] > SPAN_MS:
            self._samples.popleft()

    def readings_per_s(self, now_ms: int, depth_readings: int) -> float | None:
        """Net rate of draining; negative while the backlog grows, None while too little was seen."""
        if not self._samples or now_ms - self._samples[0][0] < LEAST_MS:
            return None
        since_ms, before = self._samples[0]
        return (before - depth_readings) * 1000 / (now_ms - since_ms)

    def left_s(self, now_ms: int, depth_readings: int) -> int | None:
        """Until nothing is left at this rate; None while it is unknown or does not go down."""
        rate = self.readings_per_s(now_ms, depth_readings)
        return None if rate is None or rate <= 0 else round(depth_readings / rate)
