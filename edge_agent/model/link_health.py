"""Pure. How well a device can be reached, as series of the device itself: time-outs, errors, exceptions, turn-around.

Counters count since the agent's start. On a healthy line nothing changes beyond the dead-bands, so next to nothing is sent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from edge_agent.contract.message import Text
from edge_agent.contract.quality import Quality
from edge_agent.model.bus_figures import percentile
from edge_agent.model.points import Device, Point
from edge_agent.model.reading import Reading

PERIOD_MS = 60_000
HEARTBEAT_MS = 6 * 3_600_000
_ANSWERS = 200
_SERIES: tuple[tuple[str, str, str, float, Text], ...] = (
    ("link-timeouts", "link.timeouts", "", 0.0, Text("超时次数", "time-outs")),
    ("link-errors", "link.errors", "", 0.0, Text("通信错误次数", "line errors")),
    ("link-exceptions", "link.exceptions", "", 0.0, Text("异常应答次数", "exceptions")),
    ("link-turnaround", "link.turnaround", "ms", 25.0, Text("应答时间（中位数）", "turn-around, median")),
    ("link-turnaround-p95", "link.turnaround-p95", "ms", 50.0, Text("应答时间（95%）", "turn-around, 95th percentile")),
)
"""Point, role, unit, dead-band, name."""
LINK_POINTS = tuple(id for id, *_ in _SERIES)


def link_points(device: Device) -> tuple[Point, ...]:
    """The series of a device's link; none where they are switched off. They are on no wire: table and address mean nothing."""
    if device.link_series is None:
        return ()
    return tuple(
        Point(
            series=device.link_series + number,
            device=device.id,
            id=id,
            table="holding",
            address=0,
            type="u32",
            unit=unit,
            role=role,
            kind="number" if unit else "counter",
            period_ms=PERIOD_MS,
            dead_band=dead_band,
            heartbeat_ms=HEARTBEAT_MS,
            name=name,
        )
        for number, (id, role, unit, dead_band, name) in enumerate(_SERIES)
    )


class LinkHealth:
    """Of one device."""

    def __init__(self, device: Device) -> None:
        self.timeouts = self.errors = self.exceptions = 0
        self.turnarounds_ms: deque[int] = deque(maxlen=_ANSWERS)
        self._first = device.link_series
        self._answers = 0

    def answered(self, turnaround_ms: int) -> None:
        """From request to the first byte of the reply."""
        self.turnarounds_ms.append(turnaround_ms)
        self._answers += 1

    def count(self, timeouts: int, errors: int, exceptions: int) -> None:
        """So many more of each."""
        self.timeouts += timeouts
        self.errors += errors
        self.exceptions += exceptions

    def turnaround_ms(self, share: float) -> int | None:
        """The turn-around that so many (0-1) of the last 200 answers did not exceed."""
        return percentile(self.turnarounds_ms, share)

    def readings(self, now_ms: int) -> Sequence[Reading]:
        """The series at the end of a period. A device that answered nothing in it has no turn-around."""
        if self._first is None:
            return ()
        counts: list[int | None] = [self.timeouts, self.errors, self.exceptions]
        spans = [self.turnaround_ms(share) if self._answers else None for share in (0.5, 0.95)]
        self._answers = 0
        return [
            Reading(self._first + number, now_ms, value, Quality.GOOD if value is not None else Quality.BAD_COMM)
            for number, value in enumerate([*counts, *spans])
        ]
