"""Pure. The battery of the machine's RTC: what the kernel's interfaces say of it, judged in plain words.

Sources: RTC_VL_READ of rtc(4) and include/uapi/linux/rtc.h; drivers that found their oscillator stopped refuse to tell the time
(EINVAL, e.g. rtc-ds1307.c, rtc-pcf8563.c); `battery_voltage` of the Raspberry Pi 5's RTC, in microvolts.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.common.release import BUILD_MS

VL_DATA_INVALID, VL_BACKUP_LOW, VL_BACKUP_EMPTY = 1, 2, 4
LOW_UV = 2_500_000
"""Cells of 3 V (CR2032, ML2020) hold an RTC down to about 2 V; below 2.5 V they are at their end."""

LOST = "the RTC lost the time while the power was off: its battery is empty or missing"
EMPTY = "the RTC's battery is empty or missing"
LOW = "the RTC's battery is low"


@dataclass(frozen=True, slots=True)
class RtcSeen:
    """What could be read of the RTC; None where the driver or the rights do not give it."""

    time_ms: int | None = None
    is_stopped: bool = False
    """The driver refuses to tell the time, because the oscillator stood still."""
    flags: int | None = None
    """Of RTC_VL_READ."""
    battery_uv: int | None = None


def is_lost(seen: RtcSeen, last_known_ms: int) -> bool:
    """True if the RTC went without power: asked once a boot, before anybody can have set it anew. last_known_ms: 0 if unknown."""
    flags = seen.flags or 0
    if seen.is_stopped or flags & VL_DATA_INVALID:
        return True
    return seen.time_ms is not None and seen.time_ms < max(BUILD_MS, last_known_ms - 3_600_000)


def trouble(seen: RtcSeen, *, lost: bool) -> str:
    """What is wrong with the battery, in words; empty if nothing is known to be."""
    flags = seen.flags or 0
    if flags & VL_BACKUP_EMPTY:
        return EMPTY
    if lost or seen.is_stopped or flags & VL_DATA_INVALID:
        return LOST
    is_low = seen.battery_uv is not None and seen.battery_uv < LOW_UV
    if flags & VL_BACKUP_LOW or is_low:
        return LOW if seen.battery_uv is None else f"{LOW} ({seen.battery_uv / 1e6:.2f} V)"
    return ""
