"""Does I/O: reads the certificates of the link once an hour and tells, as event `link.certificate`, of one that ends soon."""

from __future__ import annotations

from collections.abc import Sequence

from edge_agent.io.mqtt_tls import SOON_MS, Ending, first_ending
from edge_agent.model.points import Broker
from edge_agent.model.reading import Happening

LOOK_MS = 3_600_000
DAY_MS = 86_400_000
AGAIN_DAYS = (7, 0)
"""It is told again, ever more pressing, when so few days are left; the last time when it has ended."""


class CertificateWatch:
    """One gateway's. `ending` is what ends first, as of the last look."""

    def __init__(self, brokers: Sequence[Broker]) -> None:
        self._tls = [broker.tls for broker in brokers if broker.tls is not None]
        self._look_at_ms: int | None = None
        self._told: tuple[str, int] | None = None
        self._steps_left = 0
        self.ending: Ending | None = None

    def look(self, now_ms: int, utc_ms: int | None) -> list[Happening]:
        """What to tell now. now_ms: monotonic; utc_ms None: unknown, then nothing can be said."""
        if utc_ms is None or not self._tls or (self._look_at_ms is not None and now_ms < self._look_at_ms):
            return []
        self._look_at_ms = now_ms + LOOK_MS
        self.ending = min(filter(None, map(first_ending, self._tls)), key=lambda each: each.ends_ms, default=None)
        soon = self.ending if self.ending is not None and self.ending.ends_ms - utc_ms <= SOON_MS else None
        found: list[Happening] = []
        told = (soon.file, soon.ends_ms) if soon else None
        if told != self._told and self._told is not None:
            found.append(Happening("link.certificate", now_ms, on=False))
            self._told = None
        if soon is not None and (told != self._told or self._is_due_again(soon.ends_ms - utc_ms)):
            about = (("days", soon.days(utc_ms)), ("ends_ms", soon.ends_ms))
            found.append(Happening("link.certificate", now_ms, on=True, reason=soon.words(utc_ms), about=about))
            self._steps_left = sum(soon.ends_ms - utc_ms > days * DAY_MS for days in AGAIN_DAYS)
        self._told = told
        return found

    def _is_due_again(self, left_ms: int) -> bool:
        return sum(left_ms > days * DAY_MS for days in AGAIN_DAYS) < self._steps_left
