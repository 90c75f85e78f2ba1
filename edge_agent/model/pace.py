"""Pure. What a bus really does, in the words of its forecast: how busy, how far apart, how late, how quick to answer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from edge_agent.model.bus_figures import Busy

WINDOW_MS = 300_000
_ANSWERS = 100
_ENOUGH = 30


@dataclass(frozen=True, slots=True)
class PaceFigures:
    """Of the last five to ten minutes."""

    cycle_ms: float | None = None
    """How far apart readings of the fastest points came; None: none came twice."""
    late_ms: int = 0
    """How much longer than its period a point waited at most, while its device answered."""
    late_point: str = ""


@dataclass(slots=True)
class _Window:
    begun_ms: int
    gaps: int = 0
    gaps_ms: int = 0
    late_ms: int = 0
    late_point: str = ""


class Pace:
    """How readings keep to their periods."""

    def __init__(self, now_ms: int) -> None:
        self._windows = (_Window(now_ms), _Window(now_ms))
        self._fastest_ms = 0
        self._last: dict[int, int] = {}

    def begin(self, fastest_ms: int) -> None:
        """Another plan is in force. fastest_ms: its shortest period."""
        self._fastest_ms = fastest_ms

    def came(self, request: int, period_ms: int, taken_ms: int, name: Callable[[], str]) -> None:
        """The request gave its readings. name: of the point that stands for it."""
        before_ms = self._last.get(request)
        self._last[request] = taken_ms
        if taken_ms - self._windows[1].begun_ms >= WINDOW_MS:
            self._windows = (self._windows[1], _Window(taken_ms))
        if before_ms is None:
            return
        window, gap_ms = self._windows[1], taken_ms - before_ms
        if period_ms == self._fastest_ms:
            window.gaps, window.gaps_ms = window.gaps + 1, window.gaps_ms + gap_ms
        if gap_ms - period_ms > window.late_ms:
            window.late_ms, window.late_point = gap_ms - period_ms, name()

    def forget(self, request: int) -> None:
        """Its next reading tells nothing of the bus: the device was silent, or the request is another one."""
        self._last.pop(request, None)

    def figures(self) -> PaceFigures:
        """Now."""
        older, newer = self._windows
        gaps, worst = older.gaps + newer.gaps, max(older, newer, key=lambda window: window.late_ms)
        return PaceFigures((older.gaps_ms + newer.gaps_ms) / gaps if gaps else None, worst.late_ms, worst.late_point)


class Answers:
    """How quick a device is, with all lag of adapter and network, and how much of the bus it takes."""

    def __init__(self, now_ms: int) -> None:
        self.busy = Busy(now_ms)
        self._answers_ms: deque[float] = deque(maxlen=_ANSWERS)

    def came(self, answer_ms: float) -> None:
        """From the end of a request to the end of the reply, less the reply's own time on the wire."""
        self._answers_ms.append(max(0.0, answer_ms))

    @property
    def measured_ms(self) -> float | None:
        """The median of the last hundred; None before there are thirty."""
        if len(self._answers_ms) < _ENOUGH:
            return None
        return sorted(self._answers_ms)[len(self._answers_ms) // 2]

    def forget(self) -> None:
        """The device may be another one: it was away."""
        self._answers_ms.clear()
