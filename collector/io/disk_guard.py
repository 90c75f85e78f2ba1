"""Does I/O: watches free space. Below the floor nothing is written to the log and no receipt goes out: gateways keep their data."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from edge_agent.common.clock import Clock
from edge_agent.common.problem import Problem

FLOOR = 0.03
"""Share of the disk that must stay free for receipts."""
WARN = 0.10
_EVERY_MS = 2000


def free_share(folder: Path) -> float:
    """Free space of the file system as a share of all of it, for a plain user."""
    usage = shutil.disk_usage(folder)
    return usage.free / usage.total if usage.total else 0.0


class DiskGuard:
    """Asks the file system every two seconds at most."""

    def __init__(self, folder: Path, clock: Clock, measure: Callable[[Path], float] = free_share) -> None:
        self._folder = folder
        self._clock = clock
        self._measure = measure
        self._asked_ms: int | None = None
        self._share = 1.0

    def is_low(self) -> bool:
        """True while no receipt may go out."""
        now_ms = self._clock.monotonic_ms()
        if self._asked_ms is None or now_ms - self._asked_ms >= _EVERY_MS:
            self._asked_ms = now_ms
            self._share = self._measure(self._folder)
        return self._share < FLOOR

    def problem(self) -> Problem | None:
        """What a person must know of the disk."""
        low = self.is_low()
        if self._share >= WARN:
            return None
        what = f"{self._share:.1%} of the disk is free." + (
            " Nothing is received any more; the gateways keep their data." if low else ""
        )
        return Problem("COL407" if low else "COL408", str(self._folder), what, "free space: `df -h`, `du -xh --max-depth=2 /var`.")
