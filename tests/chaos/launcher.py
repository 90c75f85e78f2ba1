"""Does I/O: starts `edge-agent` or `collector` as they are, but for what chaos steers from outside.

    python -m tests.chaos.launcher CONTROLS edge_agent run site.yaml ...

The collector's log has small segments and is trimmed every few seconds.
`hazard.strike` kills the process (SIGKILL) where an aim says so; UTC is shifted; a file says whether NTP keeps the clock.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partialmethod
from importlib import import_module
from pathlib import Path

from edge_agent.common import clock, hazard
from edge_agent.io import kernel_clock
from tests.chaos.controls import Aim, AimFile, ClockFile, Death

SEGMENT_BYTES, SPILL_BYTES = 64 << 10, 8 << 10
TRIM_S = 2


class Marksman:
    """Counts passes of the aim in force and kills."""

    def __init__(self, file: AimFile) -> None:
        self._file = file
        self._aim: Aim | None = None
        self._passes = 0
        self._lock = threading.Lock()

    def strike(self, name: str) -> None:
        """What `hazard` calls."""
        with self._lock:
            aim = self._file.aim()
            if aim != self._aim:
                self._aim, self._passes = aim, 0
            if aim is None or not name.startswith(aim.hazard):
                return
            self._passes += 1
            if self._passes != aim.passes:
                return
        if aim.later_us:
            threading.Thread(target=self._kill_later, args=(name, aim.later_us), daemon=True).start()
        else:
            self._kill(name)

    def _kill_later(self, name: str, later_us: int) -> None:
        time.sleep(later_us / 1_000_000)
        self._kill(name)

    def _kill(self, name: str) -> None:
        self._file.die(Death(name, time.time_ns() // 1_000_000))
        os.kill(os.getpid(), signal.SIGKILL)


class SteeredClock(clock.SystemClock):
    """The machine's clock, so far off as the file says."""

    shift: ClockFile

    def utc_ms(self) -> int:
        return super().utc_ms() + self.shift.offset_ms


class SteeredKernel(kernel_clock.KernelClock):
    """NTP as the file says; no RTC."""

    shift: ClockFile

    def synchronised_within_ms(self) -> int | None:
        return self.shift.ntp_bound_ms

    def set_by_rtc(self) -> bool:
        return False


def hurry() -> None:
    """What a collector does by the hour or by 64 MiB comes many times within a run: trimming, ends of segments."""
    from collector.io.sqlite_log import SqliteLog
    from collector.schedule import Schedule

    def often(self: Schedule, name: str, job: Callable[[], object]) -> None:
        self._scheduler.add_job(job, "interval", seconds=TRIM_S, id=name)

    SqliteLog.__init__ = partialmethod(SqliteLog.__init__, segment_bytes=SEGMENT_BYTES, spill_bytes=SPILL_BYTES)  # type: ignore[method-assign,assignment]
    Schedule.hourly = often  # type: ignore[method-assign]


def main(arguments: list[str]) -> None:
    """Does not return before the program ends."""
    controls, program = Path(arguments[0]), arguments[1]
    SteeredClock.shift = SteeredKernel.shift = ClockFile(controls / "clock")
    clock.SystemClock = SteeredClock  # type: ignore[misc]
    kernel_clock.KernelClock = SteeredKernel  # type: ignore[misc]
    hazard.strike = Marksman(AimFile(controls)).strike
    if program == "collector":
        hurry()
    sys.argv = [program, *arguments[2:]]
    import_module({"edge_agent": "edge_agent.cli.main", "collector": "collector.cli"}[program]).main()


if __name__ == "__main__":
    main(sys.argv[1:])
