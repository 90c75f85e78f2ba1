"""The data budget, against a line whose bytes follow batches and readings as real ones do."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.delivery.budget import DAY_MS, BudgetKeeper, Month, month_begin_ms, month_end_ms
from edge_agent.model.points import Budget

BEGIN_MS = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp() * 1000)
BEAT_MS = 60_000
BATCH_BYTES, READING_BYTES = 300.0, 2.0


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


class Line:
    """A gateway that takes so many readings a second; a wider band lets fewer of them through, by `depth`."""

    def __init__(self, keeper: BudgetKeeper, per_s: float, depth: float = 0.5, at_ms: int = BEGIN_MS) -> None:
        self.keeper, self.per_s, self.depth, self.at_ms = keeper, per_s, depth, at_ms
        self.mono_ms = 0
        self.air = 0.0

    def run(self, span_ms: int, *, link: bool = True) -> None:
        """As time goes by, in beats."""
        for _ in range(span_ms // BEAT_MS):
            pace = self.keeper.pace
            if link:
                readings = self.per_s / pace.dead_band_factor**self.depth
                self.air += BEAT_MS * (BATCH_BYTES / pace.batch_ms + readings * READING_BYTES / 1000)
            self.mono_ms += BEAT_MS
            self.at_ms += BEAT_MS
            self.keeper.step(self.mono_ms, self.at_ms, int(self.air))


def month_of(batch_ms: float, readings_per_s: float) -> float:
    """Bytes of 30 days."""
    return 30 * DAY_MS * (BATCH_BYTES / batch_ms + readings_per_s * READING_BYTES / 1000)


def test_a_budget_that_suffices_changes_nothing() -> None:
    keeper = BudgetKeeper(Budget(int(month_of(5000, 1) * 1.5)), 5000)
    Line(keeper, 1).run(30 * DAY_MS - BEAT_MS)
    assert keeper.pace.batch_ms == 5000
    assert keeper.outlook is not None
    assert not keeper.outlook.is_short


@settings(max_examples=12, deadline=None)
@given(
    per_s=st.floats(0.05, 30),
    share=st.floats(1.06, 3),
    begun_day=st.integers(0, 20),
    batch_most_ms=st.sampled_from([60_000, 600_000, 1_800_000]),
    most=st.sampled_from([1.0, 4.0]),
)
def test_a_budget_that_the_limits_allow_is_kept(
    per_s: float, share: float, begun_day: int, batch_most_ms: int, most: float
) -> None:
    """share: the budget over what the slowest pace needs for the rest of the month."""
    left_ms = (30 - begun_day) * DAY_MS
    budget = int(month_of(batch_most_ms, per_s / most**0.5) * share * left_ms / (30 * DAY_MS)) + 50_000
    keeper = BudgetKeeper(Budget(budget, batch_most_ms=batch_most_ms, dead_band_most=most), 5000)
    line = Line(keeper, per_s, at_ms=BEGIN_MS + begun_day * DAY_MS)
    line.run(left_ms - BEAT_MS)
    assert keeper.month.used_bytes <= budget


def test_batches_give_way_before_dead_bands_and_come_back_after_them() -> None:
    keeper = BudgetKeeper(Budget(int(month_of(20_000, 1)), batch_most_ms=600_000, dead_band_most=8.0), 5000)
    Line(keeper, 1).run(5 * DAY_MS)
    assert 5000 < keeper.pace.batch_ms < 600_000
    assert keeper.pace.dead_band_factor == 1.0


def test_what_cannot_be_kept_is_said_and_sending_goes_on_at_the_limits() -> None:
    budget = Budget(int(month_of(600_000, 1) * 0.5), batch_most_ms=600_000, dead_band_most=2.0)
    keeper = BudgetKeeper(budget, 5000)
    line = Line(keeper, 1)
    line.run(5 * DAY_MS)
    assert keeper.outlook is not None
    assert keeper.outlook.is_short
    assert (keeper.pace.batch_ms, keeper.pace.dead_band_factor) == (600_000, 2.0)
    line.run(26 * DAY_MS)  # a new month has begun
    assert keeper.month.used_bytes < budget.month_bytes / 10


def test_a_restart_and_an_outage_keep_the_count() -> None:
    budget = Budget(int(month_of(60_000, 1) * 1.1), batch_most_ms=600_000)
    keeper = BudgetKeeper(budget, 5000)
    line = Line(keeper, 1)
    line.run(10 * DAY_MS)
    again = BudgetKeeper(budget, 5000, keeper.month)
    second = Line(again, 1, at_ms=line.at_ms)
    second.run(DAY_MS, link=False)
    second.run(19 * DAY_MS - BEAT_MS)
    assert again.month.used_bytes <= budget.month_bytes
    assert again.month.used_bytes > keeper.month.used_bytes


def test_an_unknown_clock_counts_on_and_a_count_of_an_old_month_is_let_go() -> None:
    keeper = BudgetKeeper(Budget(1_000_000), 5000, Month(month_begin_ms(utc("2026-10-15"), 1), 900_000))
    keeper.step(0, None, 1000)
    assert keeper.month.used_bytes == 901_000
    keeper.step(1000, BEGIN_MS + 1, 2000)
    assert (keeper.month.begin_ms, keeper.month.used_bytes) == (BEGIN_MS, 1000)


@pytest.mark.parametrize(
    ("now", "from_day", "begin", "end"),
    [
        ("2026-11-25", 1, "2026-11-01", "2026-12-01"),
        ("2026-11-25", 26, "2026-10-26", "2026-11-26"),
        ("2026-01-03", 28, "2025-12-28", "2026-01-28"),
        ("2028-02-29", 15, "2028-02-15", "2028-03-15"),
    ],
)
def test_months(now: str, from_day: int, begin: str, end: str) -> None:
    begin_ms = month_begin_ms(utc(now), from_day)
    assert begin_ms == utc(begin)
    assert month_end_ms(begin_ms) == utc(end)
