"""Pure. Network time (NITZ) as modems and ModemManager write it. A time without its zone says nothing, and is refused.

AT+QLTS=1 (Quectel) gives UTC with the zone beside it: `+QLTS: "2017/01/13,03:41:22+32,0"`. AT+CCLK? (3GPP TS 27.007) gives local
time with the zone in quarters of an hour: `+CCLK: "24/08/15,13:53:54-24"`. `mmcli --time` gives ISO 8601 with its offset.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_QLTS = re.compile(r'\+QLTS:\s*"(\d{4})/(\d\d)/(\d\d),(\d\d):(\d\d):(\d\d)([+-]\d\d)(?:,[012])?"')
_CCLK = re.compile(r'\+CCLK:\s*"(\d\d)/(\d\d)/(\d\d),(\d\d):(\d\d):(\d\d)([+-]\d\d)"')
_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d{1,9})?(Z|[+-]\d\d(?::?\d\d)?)(?![\d:])")
MAX_QUARTERS = 56
"""UTC+14 is the farthest zone; west it is UTC-12."""
MIN_QUARTERS = -48
MAX_TEXT = 4096
HALF_SECOND_MS = 500
"""All of them tell whole seconds."""


def time_of_qlts(answer: str) -> int | None:
    """UTC, ms, of the answer to AT+QLTS=1; None if it has none. The zone is told beside a time that is UTC already."""
    found = _QLTS.search(answer[:MAX_TEXT])
    if found is None or not _is_zone(int(found[7])):
        return None
    return _utc_ms(found, int(found[1]), 0)


def time_of_cclk(answer: str) -> int | None:
    """UTC, ms, of the answer to AT+CCLK?; None if it has none, or no zone. Years count from 2000."""
    found = _CCLK.search(answer[:MAX_TEXT])
    if found is None or not _is_zone(int(found[7])):
        return None
    return _utc_ms(found, 2000 + int(found[1]), 15 * int(found[7]))


def time_of_mmcli(answer: str) -> int | None:
    """UTC, ms, of the first ISO 8601 time with an offset in what `mmcli --time` printed; None if there is none."""
    found = _ISO.search(answer[:MAX_TEXT])
    if found is None:
        return None
    zone = found[7]
    minutes = 0
    if zone != "Z":
        digits = zone[1:].replace(":", "")
        minutes = (int(digits[:2]) * 60 + int(digits[2:] or 0)) * (-1 if zone[0] == "-" else 1)
        if int(digits[2:] or 0) > 59 or not 15 * MIN_QUARTERS <= minutes <= 15 * MAX_QUARTERS:
            return None
    return _utc_ms(found, int(found[1]), minutes)


def _is_zone(quarters: int) -> bool:
    return MIN_QUARTERS <= quarters <= MAX_QUARTERS


def _utc_ms(found: re.Match[str], year: int, zone_minutes: int) -> int | None:
    month, day, hour, minute, second = (int(found[part]) for part in range(2, 7))
    try:
        local = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
        utc = local - timedelta(minutes=zone_minutes)
    except (ValueError, OverflowError):
        return None
    return int(utc.timestamp()) * 1000 + HALF_SECOND_MS if second <= 60 else None
