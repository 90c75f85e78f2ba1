"""Pure. A window of time over one signal, in bounded memory.

Readings fall into at most BUCKETS steps of time (each keeps count, sum, extremes, first and last), so a window of any length
over any rate costs the same. Where a step holds one reading every result is exact; else the window's edge is sharp to one step.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

BUCKETS = 360
"""Steps of a window: one reading a second fits exactly into six minutes, one a minute into six hours."""
COVERED = 0.8
"""A window of which less than this share has been seen gives unknown."""
HOLE = 0.5
"""One hole longer than this share gives unknown: a few readings at both ends prove nothing."""

Plain = list[list[float]]


class Bucket(NamedTuple):
    """The readings of one step."""

    first_ms: int
    last_ms: int
    readings: int
    total: float
    low: float
    high: float
    first: float
    last: float


class Window:
    """The readings of the last `span_ms`."""

    __slots__ = ("_buckets", "_step_ms", "span_ms")

    def __init__(self, span_ms: int) -> None:
        self.span_ms = span_ms
        self._step_ms = max(1, span_ms // BUCKETS)
        self._buckets: deque[Bucket] = deque()

    def add(self, at_ms: int, value: float) -> None:
        """A reading, not older than those before."""
        newest = self._buckets[-1] if self._buckets else None
        if newest is not None and newest.first_ms // self._step_ms == at_ms // self._step_ms:
            self._buckets[-1] = Bucket(
                newest.first_ms, at_ms, newest.readings + 1, newest.total + value,
                min(newest.low, value), max(newest.high, value), newest.first, value,
            )  # fmt: skip
        else:
            self._buckets.append(Bucket(at_ms, at_ms, 1, value, value, value, value, value))

    def at(self, at_ms: int) -> deque[Bucket] | None:
        """The steps that are younger than the span at `at_ms`; None while too little of it has been seen."""
        buckets = self._buckets
        while buckets and buckets[0].last_ms < at_ms - self.span_ms:
            buckets.popleft()
        if not buckets or at_ms - buckets[0].first_ms < COVERED * self.span_ms:
            return None
        return buckets if self._longest_hole_ms() <= HOLE * self.span_ms else None

    def _longest_hole_ms(self) -> int:
        longest, last_ms = 0, self._buckets[0].last_ms
        for bucket in self._buckets:
            longest = max(longest, bucket.first_ms - last_ms)
            last_ms = bucket.last_ms
        return longest

    def dump(self) -> Plain:
        """What `load` reads."""
        return [list(bucket) for bucket in self._buckets]

    def load(self, plain: Plain) -> None:
        """The window as it was."""
        self._buckets = deque(Bucket(int(a), int(b), int(n), t, lo, hi, f, la) for a, b, n, t, lo, hi, f, la in plain)
