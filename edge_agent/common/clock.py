"""Does I/O: the only door to the machine's clocks. Pure code is handed times as arguments."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Milliseconds, int."""

    def monotonic_ms(self) -> int:
        """Never goes back; starts anywhere; not comparable across boots."""
        ...

    def utc_ms(self) -> int:
        """What the machine believes the time is, since 1970 UTC."""
        ...


class SystemClock:
    """The machine's clocks. Monotonic time counts through suspend where the kernel offers it (CLOCK_BOOTTIME)."""

    def monotonic_ms(self) -> int:
        """ms since boot."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000

    def utc_ms(self) -> int:
        """ms since 1970 UTC."""
        return time.time_ns() // 1_000_000
