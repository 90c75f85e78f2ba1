"""Pure. What a soak looks at: how resident memory, descriptors and threads of a process go over the hours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MIB = 1 << 20
HOUR_S = 3600.0


@dataclass(frozen=True)
class Sample:
    """One look at one process. at_s: since the start of the soak."""

    at_s: float
    resident_bytes: int
    descriptors: int
    threads: int


@dataclass(frozen=True)
class Verdict:
    """Of one process, after its warm-up."""

    name: str
    samples: int
    first_mib: float
    last_mib: float
    slope_mib_per_hour: float
    descriptors: tuple[int, int]
    """The most in the first and in the last third."""
    threads: tuple[int, int]

    def complaints(self, most_slope: float) -> list[str]:
        """What is wrong with it, one sentence each."""
        found = []
        if self.slope_mib_per_hour >= most_slope:
            found.append(
                f"{self.name}: memory grows by {self.slope_mib_per_hour:.2f} MiB an hour (less than {most_slope:g} is allowed)"
            )
        for what, (first, last) in (("descriptors", self.descriptors), ("threads", self.threads)):
            if last > first:
                found.append(f"{self.name}: {what} grew from {first} to {last}")
        return found


def judge(name: str, samples: Sequence[Sample]) -> Verdict:
    """samples: at least six, in order of time. The slope is the median of the slopes of all pairs (Theil and Sen): a single
    garbage collection more or less does not tilt it.
    """
    third = len(samples) // 3
    first, last = samples[:third], samples[-third:]
    return Verdict(
        name,
        len(samples),
        samples[0].resident_bytes / MIB,
        samples[-1].resident_bytes / MIB,
        _slope([(s.at_s, s.resident_bytes) for s in _thinned(samples)]) * HOUR_S / MIB,
        (max(s.descriptors for s in first), max(s.descriptors for s in last)),
        (max(s.threads for s in first), max(s.threads for s in last)),
    )


def _thinned(samples: Sequence[Sample]) -> Sequence[Sample]:
    step = max(1, len(samples) // 300)
    return samples[::step]


def _slope(points: Sequence[tuple[float, int]]) -> float:
    slopes = sorted((y2 - y1) / (x2 - x1) for at, (x1, y1) in enumerate(points) for x2, y2 in points[at + 1 :] if x2 > x1)
    return slopes[len(slopes) // 2] if slopes else 0.0
