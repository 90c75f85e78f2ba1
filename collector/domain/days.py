"""Pure. Days of a time zone: which day an instant belongs to, and where a day begins and ends."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAY_MS = 86_400_000


def utc_text(ms: int) -> str:
    """The instant as `2026-11-25T08:00:00Z`."""
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Days:
    """The calendar of one zone. Days are ISO dates (`2026-11-25`), instants ms UTC; a day may have 23 or 25 hours."""

    def __init__(self, zone: str) -> None:
        self._zone = ZoneInfo(zone)
        self._known: tuple[int, int, str] = (0, 0, "")

    def of(self, ms: int) -> str:
        """The day of an instant."""
        begin_ms, end_ms, day = self._known
        if not begin_ms <= ms < end_ms:
            day = datetime.fromtimestamp(ms / 1000, UTC).astimezone(self._zone).date().isoformat()
            self._known = (*self.span(day), day)
        return day

    def span(self, day: str) -> tuple[int, int]:
        """Its first instant and that of the next day."""
        begin = date.fromisoformat(day)
        return self._begin_ms(begin), self._begin_ms(begin + timedelta(days=1))

    def between(self, from_ms: int, to_ms: int) -> Iterator[tuple[str, int]]:
        """Every day that from_ms..to_ms touches, with how many ms of it (at least 1)."""
        day = date.fromisoformat(self.of(from_ms))
        while (begin_ms := self._begin_ms(day)) <= to_ms:
            day += timedelta(days=1)
            share_ms = min(to_ms + 1, self._begin_ms(day)) - max(from_ms, begin_ms)
            yield (day - timedelta(days=1)).isoformat(), share_ms

    def _begin_ms(self, day: date) -> int:
        return round(datetime.combine(day, time.min, self._zone).timestamp() * 1000)
