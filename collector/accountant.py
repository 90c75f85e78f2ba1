"""Does I/O: the consumer that keeps the account by gateway and day (collector/intake/daybook.py). It delays nobody."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence

from collector.consumer import Appended, Consumer
from collector.domain.days import Days
from collector.domain.identity import GatewayId
from collector.domain.pulse import GatewayPulse
from collector.following import Following
from collector.intake import holes
from collector.intake.daybook import Daybook
from collector.io.account_book import SqliteAccountBook
from collector.seams import Log
from edge_agent.common.clock import Clock

_log = logging.getLogger(__name__)
RECORDS = 2000
"""Records of one turn: one commit."""
WAIT_S = 1.0
"""After a turn, so that batches that come one by one share a commit."""
COUNT_MS = 5_000
"""How often duplicates are counted."""
PRUNE_MS = 3_600_000
MOST_REASONS = 10_000
"""Gateways and reasons that are counted for the metrics."""
TELL_MS = 60_000
"""What a gateway lost is told in the log at most this often."""


class Accountant(Consumer):
    """Keeps the account. `given_up` may be asked from any thread."""

    def __init__(
        self,
        log: Log,
        book: SqliteAccountBook,
        days_of: Callable[[str], Days],
        pulses: Callable[[], Sequence[GatewayPulse]],
        appended: Appended,
        clock: Clock,
        beat: Callable[[str], None],
    ) -> None:
        super().__init__("account", log, appended, clock, beat)
        self._book = book
        self._days_of = days_of
        self._pulses = pulses
        self._daybook = Daybook(book.lane, days_of)
        self._seen: dict[GatewayId, int] = {}
        self._counted_ms = self._pruned_ms = self._told_ms = -PRUNE_MS
        self._untold: dict[GatewayId, tuple[int, int, str]] = {}
        self._given_up: Counter[tuple[GatewayId, str]] = Counter()

    def given_up(self) -> dict[tuple[GatewayId, str], int]:
        """Readings that gateways reported lost since the start, by reason."""
        return dict(self._given_up)

    def _begin(self) -> Following:
        cursor = self._book.follow(self._log.log_id, self._log.last_offset(), self._log.lanes(), self._clock.utc_ms())
        self._seen = self._book.seen()
        return Following(lambda _record: None, cursor)  # its position alone: counting needs no birth

    def _turn(self, following: Following) -> float:
        before = following.position
        records = self._log.read(before, RECORDS)
        for record in records:
            self._daybook.take(record)
        if records:
            following.position = records[-1].offset
        now_ms = self._clock.monotonic_ms()
        self._note_lost()
        if now_ms - self._counted_ms >= COUNT_MS:
            self._counted_ms = now_ms
            self._count_duplicates()
        changes = self._daybook.changes()
        if records or changes.duplicate:
            self._until_done(lambda: self._book.commit(before, following.position, changes))
        if now_ms - self._pruned_ms >= PRUNE_MS:
            self._pruned_ms = now_ms
            self._until_done(lambda: self._book.prune(self._clock.utc_ms(), self._days_of))
        self._tell(now_ms)
        if len(records) < RECORDS:
            self._stopping.wait(WAIT_S)
        return 0.0 if len(records) == RECORDS else WAIT_S

    def _count_duplicates(self) -> None:
        for pulse in self._pulses():
            known = self._seen.get(pulse.gateway, 0)
            if pulse.duplicate != known:
                self._daybook.came_again(pulse.gateway, pulse.duplicate, known, self._clock.utc_ms())
                self._seen[pulse.gateway] = pulse.duplicate

    def _note_lost(self) -> None:
        for told in self._daybook.told:
            gap, (batches, readings, _) = told.gap, self._untold.get(told.gateway, (0, 0, ""))
            self._untold[told.gateway] = (batches + gap.z - gap.a + 1, readings + gap.readings, gap.why)
            key = (told.gateway, holes.reason(gap.why))
            if key in self._given_up or len(self._given_up) < MOST_REASONS:
                self._given_up[key] += gap.readings

    def _tell(self, now_ms: int) -> None:
        if not self._untold or now_ms - self._told_ms < TELL_MS:
            return
        self._told_ms = now_ms
        for gateway, (batches, readings, why) in self._untold.items():
            say = "%s/%s gave up %d batches with %d readings (%s); see `collector account`"
            _log.warning(say, *gateway, batches, readings, "".join(c for c in why[:32] if c.isprintable()))
        self._untold.clear()
