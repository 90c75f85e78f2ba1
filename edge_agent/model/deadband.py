"""Pure. Dead-bands: which readings are worth sending, and how those left out are confirmed.

A point without a dead-band sends every reading. With one, a reading is sent when it is the first, when its quality or kind of value
changed, when it left the band around the last one sent, when it crossed a limit of the point, and when the heartbeat is over.
Before a reading that left the band goes the one just before it, if that was held back: so a chart shows a step as a step and no
slope is made up over the time of rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edge_agent.contract.message import Limits
from edge_agent.model.link_health import link_points
from edge_agent.model.points import Bus, Point
from edge_agent.model.reading import Reading


@dataclass(slots=True)
class _Series:
    """One point with a dead-band, as it stands."""

    dead_band: float
    heartbeat_ms: int
    edges: tuple[float, ...]
    may_widen: bool
    sent: Reading | None = None
    held: Reading | None = None


class DeadBands:
    """Of one gateway. `filter` may be called by one thread for each bus at a time; `widen` by any."""

    def __init__(self, buses: Iterable[Bus]) -> None:
        self._series = {
            point.series: _Series(point.dead_band, point.heartbeat_ms, _edges(point.limits), _may_widen(point))
            for bus in buses
            for device in bus.devices
            for point in (*device.points, *link_points(device))
            if point.dead_band is not None
        }
        self._factor = 1.0
        self.held_back = 0
        """Readings not sent because nothing had changed, since start."""

    @property
    def factor(self) -> float:
        """By how much the bands of numbers are widened at present."""
        return self._factor

    def widen(self, factor: float) -> None:
        """Bands of normal numbers are this many times as wide from now on; never narrower than the site file's."""
        self._factor = max(1.0, factor)

    def filter(self, readings: Sequence[Reading]) -> Sequence[Reading]:
        """Those to send, in the order of their time."""
        if not self._series:
            return readings
        kept: list[Reading] = []
        for reading in readings:
            series = self._series.get(reading.series)
            if series is None:
                kept.append(reading)
            else:
                self._one(series, reading, kept)
        self.held_back += len(readings) - len(kept)
        return kept

    def _one(self, series: _Series, reading: Reading, kept: list[Reading]) -> None:
        sent = series.sent
        if sent is not None and not self._tells(series, sent, reading):
            if reading.taken_ms - sent.taken_ms < series.heartbeat_ms:
                series.held = reading
                return
        elif series.held is not None:
            kept.append(series.held)
        kept.append(reading)
        series.sent, series.held = reading, None

    def _tells(self, series: _Series, sent: Reading, reading: Reading) -> bool:
        """True if the reading says something that the last one sent does not."""
        new, old = reading.value, sent.value
        if reading.quality != sent.quality or type(new) is not type(old):
            return True
        if not isinstance(new, int | float) or not isinstance(old, int | float) or isinstance(new, bool):
            return new != old
        if any((new < edge) != (old < edge) or (new > edge) != (old > edge) for edge in series.edges):
            return True
        return abs(new - old) > series.dead_band * (self._factor if series.may_widen else 1.0)


def _edges(limits: Limits) -> tuple[float, ...]:
    edges = (limits.low_low, limits.low, limits.high, limits.high_high)
    return tuple(edge for edge in edges if edge is not None)


def _may_widen(point: Point) -> bool:
    """Urgent points, states and counters are never told less often to save data."""
    return point.lane == "n" and point.kind == "number"
