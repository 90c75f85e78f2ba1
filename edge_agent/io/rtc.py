"""Does I/O: reads the machine's RTC: its time and its battery, from /sys/class/rtc and, where rights allow, /dev/rtc0.

The flags of RTC_VL_READ need /dev/rtc0, which belongs to root; docs/firmware.md has the udev rule. Everything else needs no right.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from pathlib import Path

from edge_agent.delivery.rtc import RtcSeen

_VL_READ = 0x80047013
"""_IOR('p', 0x13, unsigned int) of include/uapi/linux/rtc.h."""
_HALF_SECOND_MS = 500
"""An RTC tells whole seconds."""


class KernelRtc:
    """Linux. The RTC that the kernel sets its clock from, else the first one."""

    def __init__(self, classes: Path = Path("/sys/class/rtc"), devices: Path = Path("/dev")) -> None:
        self._classes, self._devices = classes, devices

    def look(self) -> RtcSeen | None:
        """None where the machine has no RTC."""
        rtcs = sorted(self._classes.glob("rtc*"), key=lambda rtc: (_text(rtc / "hctosys") != "1", rtc.name))
        if not rtcs:
            return None
        rtc = rtcs[0]
        time_ms, is_stopped = _time(rtc / "since_epoch")
        uv = _text(rtc / "battery_voltage")
        return RtcSeen(time_ms, is_stopped, _flags(self._devices / rtc.name), int(uv) if uv.isdigit() else None)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _time(file: Path) -> tuple[int | None, bool]:
    """The RTC's time, ms, and whether the driver refuses it as not to be trusted (EINVAL)."""
    try:
        text = file.read_text(encoding="ascii").strip()
    except OSError as error:
        return None, error.errno == errno.EINVAL
    return (int(text) * 1000 + _HALF_SECOND_MS, False) if text.isdigit() else (None, False)


def _flags(device: Path) -> int | None:
    try:
        door = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        answer = fcntl.ioctl(door, _VL_READ, bytes(4))
    except OSError:
        return None
    finally:
        os.close(door)
    return int(struct.unpack("=I", answer)[0])
