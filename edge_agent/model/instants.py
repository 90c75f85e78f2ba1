"""Pure. No two readings of one series share an instant: wherever time is kept in whole milliseconds, they would be one.

A bus that answers within a millisecond gives two: the first turn of a request is taken at once, and its grid may be due right
behind it. What would share the instant of the reading before it stands a millisecond later: less than the clock can tell apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edge_agent.model.reading import Reading


class Instants:
    """When the last reading of each series was taken."""

    def __init__(self) -> None:
        self._last_ms: dict[int, int] = {}

    def apart(self, readings: Sequence[Reading]) -> Sequence[Reading]:
        """The readings of one turn, behind those of the turns before it; those that share an instant go on sharing it."""
        last_ms = self._last_ms
        late_ms = max((last_ms.get(reading.series, -1) + 1 - reading.taken_ms for reading in readings), default=0)
        if late_ms > 0:
            readings = [replace(reading, taken_ms=reading.taken_ms + late_ms) for reading in readings]
        for reading in readings:
            last_ms[reading.series] = reading.taken_ms
        return readings
