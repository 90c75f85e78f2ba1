"""Pure. What a bus and its devices are doing, as `edge-agent status` shows it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from edge_agent.model.health import PointHealth, State

_WINDOW_MS = 60_000


@dataclass(frozen=True, slots=True)
class DeviceFigures:
    """One device. since_ms: monotonic; turn-around: from request to the first byte of the reply, last 200 answers."""

    id: str
    state: State
    since_ms: int
    reason: str = ""
    turnaround_p50_ms: int | None = None
    turnaround_p95_ms: int | None = None
    refused: tuple[str, ...] = ()
    """Points that the device refuses to give."""
    holes: tuple[str, ...] = ()
    """Registers that it refused to give in passing, and borders that no request may cross."""
    firmware: str = ""
    """As it identified itself."""
    probe_interval_ms: int = 0
    """A silent device is asked at least so often in the long run; 0 while it answers."""
    timeouts: int = 0
    errors: int = 0
    exceptions: int = 0
    """Since start, as its link series tell."""
    busy_share: float = 0.0
    """Share of the last minutes in which it was talked with."""
    planned_busy_share: float | None = None
    """What the plan expects of it."""
    points: tuple[PointHealth, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanFigures:
    """What a bus does, or should do by its plan. cycle_ms: how far apart readings of the fastest points are."""

    busy_share: float
    requests: int
    wire_ms: float | None
    """Of every request once."""
    cycle_ms: float | None
    late_ms: int
    """How much longer than its period a point waits at most."""
    late_point: str


@dataclass(frozen=True, slots=True)
class BusFigures:
    """One bus. Counts are since start."""

    id: str
    state: Literal["ok", "down", "framing"]
    """Of the port or connection. `framing`: the other side answers, but in another framing than the site file's."""
    reason: str = ""
    since_ms: int = 0
    """Monotonic."""
    port: str = ""
    """Where it was opened last: the device file and its adapter, or host and port."""
    note: str = ""
    """What is peculiar about the other side, e.g. a gateway that closes after each request."""
    requests: int = 0
    timeouts: int = 0
    crc_errors: int = 0
    exceptions: int = 0
    retries: int = 0
    readings: int = 0
    missed: int = 0
    """Turns left out because the bus was too slow."""
    busy_share: float = 0.0
    """Share of the last minute in which an exchange was under way."""
    measured: PlanFigures | None = None
    """Of the last five to ten minutes."""
    planned: PlanFigures | None = None
    devices: tuple[DeviceFigures, ...] = ()
    last_progress_ms: int = 0
    """Monotonic time at which the bus last finished a turn."""

    @property
    def failed(self) -> int:
        """Exchanges that gave nothing."""
        return self.timeouts + self.crc_errors + self.exceptions


def percentile(values: Iterable[int], share: float) -> int | None:
    """The smallest of `values` that at least `share` (0-1) of them do not exceed; None of no values."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)] if ordered else None


class Busy:
    """Share of time spent, over the last one to two minutes."""

    def __init__(self, now_ms: int) -> None:
        self._spent_ms = [0, 0]
        self._begun_ms = [now_ms, now_ms]

    def add(self, spent_ms: int, now_ms: int) -> None:
        """An exchange that took spent_ms ended now."""
        if now_ms - self._begun_ms[1] >= _WINDOW_MS:
            self._spent_ms = [self._spent_ms[1], 0]
            self._begun_ms = [self._begun_ms[1], now_ms]
        self._spent_ms[1] += spent_ms

    def share(self, now_ms: int) -> float:
        """0-1."""
        return min(1.0, sum(self._spent_ms) / max(1, now_ms - self._begun_ms[0]))
