"""Pure. Values like those of the GECCO 2018 water station: seven water qualities and two flows, with decimals and noise."""

from __future__ import annotations

import random
from collections.abc import Iterator

from edge_agent.contract.message import BirthBody, Series
from edge_agent.model.reading import Reading

KINDS = (
    ("temperature", 6.5, 1, 0.02), ("chlorine-dioxide-1", 0.17, 3, 0.002), ("ph", 8.36, 2, 0.004), ("redox", 749.0, 0, 0.6),
    ("conductivity", 211.0, 0, 0.4), ("turbidity", 0.011, 3, 0.001), ("chlorine-dioxide-2", 0.118, 3, 0.002),
    ("flow-1", 1677.0, 0, 25.0), ("flow-2", 695.0, 0, 3.0),
)  # fmt: skip
"""Name, value, decimals, step of the walk between two readings."""


class Station:
    """`points` points, each a seeded walk. Every call of `read` is one reading of each."""

    def __init__(self, points: int, seed: int = 1) -> None:
        self._chance = random.Random(seed)
        self._values = [KINDS[i % len(KINDS)][1] for i in range(points)]
        self.birth = BirthBody(
            "benchmark", [Series(i, f"device-{i // len(KINDS)}", KINDS[i % len(KINDS)][0]) for i in range(points)]
        )

    def read(self, now_ms: int) -> list[Reading]:
        """One reading of each point, a few ms apart as a bus gives them."""
        return list(self._read(now_ms))

    def _read(self, now_ms: int) -> Iterator[Reading]:
        for series in range(len(self._values)):
            _, middle, decimals, step = KINDS[series % len(KINDS)]
            pull = (middle - self._values[series]) * 0.01
            self._values[series] += pull + self._chance.gauss(0, step)
            yield Reading(series, now_ms, round(max(self._values[series], 0.0), decimals))
