"""Pure. `off_normal`: is one signal of a group very far, or are two far, from their own robust normal (rolling quartiles)."""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Sequence
from typing import Any

from collector.rules.function import Function, Memory, Thunk
from collector.rules.signal import Known, View

SAMPLE_MS = 60_000
"""One sample a minute at most: a normal of a day is 1,440 numbers a signal, however often it is read."""
READY_SAMPLES = 120
"""A normal of fewer samples is none."""
QUARTILES_OF_SIGMA = 1.349
"""Distance of the quartiles of a normal distribution, in standard deviations."""
SAME = 1e-9
"""Values closer than this are equal: what is left of a decimal in binary."""


class Normal:
    """Median and spread of one signal over its last samples, kept in order so that each sample costs little."""

    __slots__ = ("_most", "_recent", "_sorted", "_step", "sampled_ms")

    def __init__(self, span_ms: int) -> None:
        self._most = max(READY_SAMPLES, span_ms // SAMPLE_MS)
        self._recent: deque[float] = deque()
        self._sorted: list[float] = []
        self._step = 0.0
        self.sampled_ms = 0

    def add(self, at_ms: int, value: float) -> None:
        """A reading; taken as a sample if it is the first of its minute."""
        if at_ms // SAMPLE_MS == self.sampled_ms // SAMPLE_MS:
            return
        self.sampled_ms = at_ms
        moved = abs(value - self._recent[-1]) if self._recent else 0.0
        if moved > SAME:
            self._step = min(self._step or moved, moved)
        self._recent.append(value)
        insort(self._sorted, value)
        if len(self._recent) > self._most:
            oldest = self._recent.popleft()
            del self._sorted[bisect_left(self._sorted, oldest)]

    def distance(self, value: float) -> float | None:
        """How many normal spreads `value` is from the median; None before enough samples.

        The spread is at least the smallest step the signal was ever seen to make: one that hardly moves has none of its own.
        """
        count = len(self._sorted)
        if count < READY_SAMPLES:
            return None
        spread = (self._sorted[3 * count // 4] - self._sorted[count // 4]) / QUARTILES_OF_SIGMA
        spread = max(spread, self._step)
        return abs(value - self._sorted[count // 2]) / spread if spread else None

    def dump(self) -> list[Any]:
        """Time of the last sample, smallest step, samples packed as doubles."""
        return [self.sampled_ms, self._step, array("d", self._recent).tobytes()]

    def load(self, plain: list[Any]) -> None:
        """As `dump` gave it."""
        self.sampled_ms, self._step = plain[0], plain[1]
        self._recent = deque(array("d", bytes(plain[2])))
        self._sorted = sorted(self._recent)


class OffNormal:
    """Compares each signal of a group with its normal. Unknown until two of the group know theirs."""

    def __init__(self, views: Sequence[View], span_ms: int, alone: Thunk, together: Thunk) -> None:
        self._views = {str(view.slot.key): view for view in views}
        self._normals = {name: Normal(span_ms) for name in self._views}
        self._alone, self._together = alone, together
        self._distances: dict[str, float] = {}

    def learn(self, at_ms: int) -> None:
        """Compares each new reading with the normal before it, then lets it become part of it."""
        for name, view in self._views.items():
            value = view.fresh(at_ms)
            if value is None:
                continue
            normal = self._normals[name]
            distance = normal.distance(value)
            if distance is not None:
                self._distances[name] = distance
            normal.add(at_ms, value)

    def value(self, at_ms: int) -> Known:
        """True if one signal is off by more than `alone` spreads, or two by more than `together`."""
        alone, together = self._alone(at_ms), self._together(at_ms)
        distances = [d for name, d in self._distances.items() if self._views[name].value(at_ms) is not None]
        if len(distances) < 2 or alone is None or together is None:
            return None
        return max(distances) > alone or sum(d > together for d in distances) >= 2

    def dump(self) -> dict[str, Any]:
        """By series, so that a signal more or less leaves the others what they have learnt."""
        return {name: [normal.dump(), self._distances.get(name)] for name, normal in self._normals.items()}

    def load(self, plain: dict[str, Any]) -> None:
        """As `dump` gave it."""
        for name, (normal, distance) in plain.items():
            if name in self._normals:
                self._normals[name].load(normal)
                if distance is not None:
                    self._distances[name] = distance


def _off_normal(views: Sequence[View], span_ms: int, alone: Thunk, together: Thunk) -> Memory:
    return OffNormal(views, span_ms, alone, together)


FUNCTIONS = (
    Function(
        "off_normal", ("signals", "duration", "number", "number"), "truth", _off_normal,
        "true if one signal of the group is further from the median of the window than the first number of normal spreads, "
        "or two are further than the second",
    ),
)  # fmt: skip
