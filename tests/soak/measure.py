"""Pure. What a soak looks at: how resident memory, descriptors and threads of a process go over the hours.

A descriptor counts when two looks in a row find it, ten seconds apart. At any instant a program may just be writing a status file
or have a connection of the page; a look that catches one is no growth, and what leaks stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

MIB = 1 << 20
HOUR_S = 3600.0
MOST_SHOWN = 10
Open = frozenset[tuple[int, str]]
"""Descriptors by number, and what each of them is open on."""


@dataclass(frozen=True)
class Sample:
    """One look at one process. at_s: since the start of the soak."""

    at_s: float
    resident_bytes: int
    descriptors: Open
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
    """The most in the first and in the last third; of those that stay open."""
    threads: tuple[int, int]
    new: tuple[str, ...]
    """What is open on at the end and was not in the first third."""

    def complaints(self, most_slope: float) -> list[str]:
        """What is wrong with it, one sentence each."""
        found = []
        if self.slope_mib_per_hour >= most_slope:
            found.append(
                f"{self.name}: memory grows by {self.slope_mib_per_hour:.2f} MiB an hour (less than {most_slope:g} is allowed)"
            )
        for what, (first, last) in (("descriptors", self.descriptors), ("threads", self.threads)):
            if last > first:
                of = f"; new: {', '.join(self.new[:MOST_SHOWN])}" if what == "descriptors" else ""
                found.append(f"{self.name}: {what} grew from {first} to {last}{of}")
        return found


def judge(name: str, samples: Sequence[Sample]) -> Verdict:
    """samples: at least six, in order of time. The slope is the median of the slopes of all pairs (Theil and Sen): a single
    garbage collection more or less does not tilt it.
    """
    third = len(samples) // 3
    first, last = samples[:third], samples[-third:]
    early, late = _lasting(first), _lasting(last)
    before = Counter[str]()
    for each in early:
        before |= _kinds(each)
    return Verdict(
        name,
        len(samples),
        samples[0].resident_bytes / MIB,
        samples[-1].resident_bytes / MIB,
        _slope([(s.at_s, s.resident_bytes) for s in _thinned(samples)]) * HOUR_S / MIB,
        (max(map(len, early)), max(map(len, late))),
        (max(s.threads for s in first), max(s.threads for s in last)),
        tuple(sorted((_kinds(late[-1]) - before).elements())),
    )


def _lasting(samples: Sequence[Sample]) -> list[Open]:
    """What stayed open between each look and the next."""
    return [before.descriptors & after.descriptors for before, after in pairwise(samples)]


def _kinds(files: Open) -> Counter[str]:
    """How many are open on each file; sockets and pipes are of one kind: a connection that was made anew is not one more."""
    return Counter(where.partition("[")[0].rstrip(":") for _, where in files)


def _thinned(samples: Sequence[Sample]) -> Sequence[Sample]:
    step = max(1, len(samples) // 300)
    return samples[::step]


def _slope(points: Sequence[tuple[float, int]]) -> float:
    slopes = sorted((y2 - y1) / (x2 - x1) for at, (x1, y1) in enumerate(points) for x2, y2 in points[at + 1 :] if x2 > x1)
    return slopes[len(slopes) // 2] if slopes else 0.0
