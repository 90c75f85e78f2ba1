"""Does I/O: what the kernel knows of the clock: whether it is kept in step (adjtimex(2)), and whether an RTC set it at the boot."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Protocol

_STA_UNSYNC = 0x40
_TIME_ERROR = 5


class ClockState(Protocol):
    """What is asked of the machine."""

    def synchronised_within_ms(self) -> int | None:
        """The kernel's bound of the error, ms; None if nobody keeps the clock in step."""
        ...

    def set_by_rtc(self) -> bool:
        """True if the clock was set from a battery-backed RTC at the boot."""
        ...


class _Timeval(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("micros", ctypes.c_long)]


class _Timex(ctypes.Structure):
    _fields_ = [
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("time", _Timeval),
        ("rest", ctypes.c_long * 32),
    ]


class KernelClock:
    """Linux. rtc: folder of the kernel's RTCs."""

    def __init__(self, rtc: Path = Path("/sys/class/rtc")) -> None:
        self._rtc = rtc
        self._libc = ctypes.CDLL(None, use_errno=True)

    def synchronised_within_ms(self) -> int | None:
        """As adjtimex answers with modes 0, which needs no right. None also where the call is forbidden."""
        answer = _Timex()
        state = self._libc.adjtimex(ctypes.byref(answer))
        if state in (-1, _TIME_ERROR) or answer.status & _STA_UNSYNC:
            return None
        return max(1, int(answer.maxerror) // 1000)

    def set_by_rtc(self) -> bool:
        """`hctosys` of any RTC."""
        for file in sorted(self._rtc.glob("rtc*/hctosys")):
            try:
                if file.read_text().strip() == "1":
                    return True
            except OSError:
                continue
        return False
