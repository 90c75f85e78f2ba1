"""Pure. Times at the edge: RFC 3339 in the REST interface, the site's own zone on the page, ages in words."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from collector.web.language import Language, say

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
EARLIEST_MS = 0
LATEST_MS = 4_102_444_800_000
"""2100-01-01: beyond it a time is a slip of the pen."""

_RFC3339 = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?([Zz]|[+-]\d{2}:\d{2})")
_PLUS_LOST = re.compile(r"(:\d{2}(?:\.\d{1,9})?) (\d{2}:\d{2})$")


def parse_rfc3339(text: str) -> int:
    """ms UTC. Raises ValueError for a time without offset, no time at all, or one outside 1970-2100.

    A blank before the offset is read as the plus sign that an unescaped URL turned into it.
    """
    text = _PLUS_LOST.sub(r"\1+\2", text.strip())
    if not _RFC3339.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not a time like 2026-05-01T08:00:00+08:00")
    at = datetime.fromisoformat(text.upper().replace("Z", "+00:00"))
    ms = int(at.timestamp()) * 1000 + at.microsecond // 1000
    if not EARLIEST_MS <= ms <= LATEST_MS:
        raise ValueError(f"{text} is outside 1970-2100")
    return ms


def rfc3339(ms: int) -> str:
    """`2026-05-01T00:00:00.000Z`."""
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{ms % 1000:03d}Z"


@lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    """The IANA zone; UTC for a name this machine does not know (the page prints the zone beside its times)."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def local(ms: int, zone_name: str) -> datetime:
    """The moment in the site's zone."""
    return datetime.fromtimestamp(ms / 1000, zone(zone_name))


def moment(ms: int, zone_name: str, now_ms: int) -> str:
    """As written on the page: `08:14` today, `05-01 08:14` this year, else with the year."""
    at, now = local(ms, zone_name), local(now_ms, zone_name)
    if at.date() == now.date():
        return at.strftime("%H:%M")
    return at.strftime("%m-%d %H:%M" if at.year == now.year else "%Y-%m-%d %H:%M")


def stamp(ms: int, zone_name: str) -> str:
    """Always with its date: `05-01 08:14`."""
    return local(ms, zone_name).strftime("%m-%d %H:%M")


def dated(ms: int, zone_name: str) -> str:
    """Always with its year: `2026-05-01 08:14`."""
    return local(ms, zone_name).strftime("%Y-%m-%d %H:%M")


def age(ms: int, now_ms: int, language: Language) -> str:
    """How long ago, in words, rounded down: `3 min ago`."""
    span = now_ms - ms
    if span < MINUTE_MS:
        return say(language, "age.now")
    if span < 2 * HOUR_MS:
        return say(language, "age.minutes", n=span // MINUTE_MS)
    if span < 2 * DAY_MS:
        return say(language, "age.hours", n=span // HOUR_MS)
    return say(language, "age.days", n=span // DAY_MS)


def duration(span_ms: int, language: Language) -> str:
    """A length of time in words: `20 s`, `25 min`, `3 h 10 min`, `2 d 4 h`."""
    if span_ms < 2 * MINUTE_MS:
        return say(language, "span.seconds", n=max(span_ms, 0) // 1000)
    minutes = span_ms // MINUTE_MS
    if minutes < 60:
        return say(language, "span.minutes", n=minutes)
    if minutes < 48 * 60:
        return say(language, "span.hours", h=minutes // 60, m=minutes % 60)
    return say(language, "span.days", d=minutes // 1440, h=minutes % 1440 // 60)
