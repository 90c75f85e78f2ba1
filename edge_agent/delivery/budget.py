"""Pure. The data budget: how many bytes a month may cost, and what gives way so that it is kept.

The site file states the budget and the limits: how long a batch may wait, and how many times as wide a dead-band may become. Every
STEP_MS the keeper compares what the month will have cost at the present rate with the budget. Too much: batches wait longer first,
which loses nothing; only then dead-bands widen. Too little: first the dead-bands come back, then the batches. Where the limits do
not suffice it says so and goes on sending: nobody's water is left unwatched for the price of a megabyte. Bytes are those of the
connection as a whole, both directions (io/air.py).
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from edge_agent.model.points import Budget

STEP_MS = 600_000
_ENOUGH_MS = 60_000
"""A shorter stretch of time says nothing about the rate."""
_SMOOTHING_MS = 3_600_000
"""The rate is that of about the last hour; sooner after each change."""
_FULL, _SLACK = 0.97, 0.85
"""Shares of the budget between which the pace stays as it is."""
_QUICKEST, _RELAX = 2.0, 1.25
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Pace:
    """What is in force now."""

    batch_ms: int
    dead_band_factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Month:
    """The count of the running month; what must survive a restart. begin_ms: UTC, 0 while it is not known."""

    begin_ms: int = 0
    used_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Outlook:
    """For people. expected_bytes: at the end of the month, as it goes now; None while that cannot be said yet."""

    month: Month
    pace: Pace
    end_ms: int
    expected_bytes: int | None
    is_short: bool
    """The limits do not suffice: more than the budget will be used."""


class BudgetKeeper:
    """Step machine. Told the bytes since start now and then, it gives the pace to keep."""

    def __init__(self, budget: Budget, batch_ms: int, month: Month = Month()) -> None:
        self._budget = budget
        self._plain = Pace(batch_ms)
        self.pace = Pace(batch_ms)
        self.month = month
        self._seen_bytes = 0
        self._rate: float | None = None
        """Bytes a ms."""
        self._rate_from: tuple[int, int] | None = None
        """Monotonic ms and bytes where the present stretch of the rate began."""
        self._judge_at_ms = 0
        self.outlook: Outlook | None = None

    def step(self, mono_ms: int, utc_ms: int | None, air_bytes: int) -> Pace:
        """air_bytes: on the air since this start. utc_ms: None while it is unknown; then the month stays the one it was."""
        self._count(utc_ms, air_bytes)
        self._measure(mono_ms, air_bytes)
        if mono_ms >= self._judge_at_ms and self._rate is not None:
            self._judge_at_ms = mono_ms + STEP_MS
            self._judge(utc_ms)
        return self.pace

    def change(self, budget: Budget, batch_ms: int) -> None:
        """Another budget; what was used stays counted."""
        self._budget, self._plain = budget, Pace(batch_ms)
        self.pace = self._held(self.pace)
        self._judge_at_ms = 0

    def _count(self, utc_ms: int | None, air_bytes: int) -> None:
        fresh = max(0, air_bytes - self._seen_bytes)
        self._seen_bytes = air_bytes
        if utc_ms is not None:
            begin_ms = month_begin_ms(utc_ms, self._budget.from_day)
            if self.month.begin_ms == 0:
                self.month = replace(self.month, begin_ms=begin_ms)
            elif begin_ms > self.month.begin_ms:
                self.month = Month(begin_ms)
                self._judge_at_ms = 0
        self.month = replace(self.month, used_bytes=self.month.used_bytes + fresh)

    def _measure(self, mono_ms: int, air_bytes: int) -> None:
        if self._rate_from is None:
            self._rate_from = (mono_ms, air_bytes)
            return
        since_ms, since_bytes = self._rate_from
        span_ms = mono_ms - since_ms
        # Batches that wait long make the rate jump: a stretch holds several of them.
        if span_ms >= max(_ENOUGH_MS, min(6 * self.pace.batch_ms, _SMOOTHING_MS)):
            now = (air_bytes - since_bytes) / span_ms
            weight = 1.0 if self._rate is None else min(1.0, span_ms / _SMOOTHING_MS)
            self._rate = now if self._rate is None else self._rate + weight * (now - self._rate)
            self._rate_from = (mono_ms, air_bytes)

    def _judge(self, utc_ms: int | None) -> None:
        begin_ms = self.month.begin_ms
        end_ms = month_end_ms(begin_ms) if begin_ms else 0
        left_ms = max(0, end_ms - utc_ms) if utc_ms is not None and end_ms else 15 * DAY_MS
        ahead = (self._rate or 0.0) * left_ms
        expected = self.month.used_bytes + ahead
        room = self._budget.month_bytes - self.month.used_bytes
        before = self.pace
        if ahead > 0 and expected > _FULL * self._budget.month_bytes:
            wanted = ahead / max(room * _FULL, 1.0)
            self.pace = self._slower(min(max(wanted, 1.05), _QUICKEST))
        elif expected < _SLACK * self._budget.month_bytes:
            self.pace = self._faster()
        if self.pace != before:
            self._rate_from, self._rate = None, self._rate and self._guess(before)
        is_short = expected > self._budget.month_bytes and self.pace == self._slowest()
        self.outlook = Outlook(self.month, self.pace, end_ms, int(expected), is_short)

    def _guess(self, before: Pace) -> float:
        """The rate until the new pace has been measured: bytes go down about as the batches get fewer, or the readings."""
        share = (before.batch_ms / self.pace.batch_ms) * (before.dead_band_factor / self.pace.dead_band_factor)
        return (self._rate or 0.0) * (0.3 + 0.7 * share)

    def _slowest(self) -> Pace:
        most = max(self._plain.batch_ms, self._budget.batch_most_ms)
        return Pace(most, max(1.0, self._budget.dead_band_most))

    def _slower(self, by: float) -> Pace:
        slowest = self._slowest()
        if self.pace.batch_ms < slowest.batch_ms:
            return self._held(replace(self.pace, batch_ms=int(self.pace.batch_ms * by) + 1))
        return self._held(replace(self.pace, dead_band_factor=self.pace.dead_band_factor * by))

    def _faster(self) -> Pace:
        if self.pace.dead_band_factor > 1.0:
            return self._held(replace(self.pace, dead_band_factor=self.pace.dead_band_factor / _RELAX))
        return self._held(replace(self.pace, batch_ms=int(self.pace.batch_ms / _RELAX)))

    def _held(self, pace: Pace) -> Pace:
        """Within the limits."""
        slowest = self._slowest()
        batch_ms = min(max(pace.batch_ms, self._plain.batch_ms), slowest.batch_ms)
        return Pace(batch_ms, min(max(pace.dead_band_factor, 1.0), slowest.dead_band_factor))


def month_begin_ms(utc_ms: int, from_day: int) -> int:
    """When the month of the count that holds utc_ms began, ms UTC."""
    now = datetime.fromtimestamp(utc_ms / 1000, UTC)
    begin = datetime(now.year, now.month, from_day, tzinfo=UTC)
    if begin > now:
        begin = (begin.replace(day=1) - timedelta(days=1)).replace(day=from_day)
    return int(begin.timestamp() * 1000)


def month_end_ms(begin_ms: int) -> int:
    """When the month of the count that began then ends."""
    begin = datetime.fromtimestamp(begin_ms / 1000, UTC)
    return begin_ms + calendar.monthrange(begin.year, begin.month)[1] * DAY_MS
