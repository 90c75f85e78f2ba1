"""Does I/O: the daily job - makes every summary that is missing, stores it, and has it told. Safe to run at any time, and twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import tzinfo
from typing import Protocol

from collector.domain.county import County
from collector.domain.warning import Warning
from collector.reports.daily import Account, Day, daily_summary, missing_days
from edge_agent.common.clock import Clock
from edge_agent.contract.message import Text

MAX_WARNINGS = 10_000
"""Newest first; a county that has more open ones has other worries than this report."""


class Ledger(Protocol):
    """`collector.io.operations.SqliteOperations`, as far as it is needed here."""

    def warnings(self, *, limit: int, before_ms: int | None) -> Sequence[Warning]:
        """Newest first."""
        ...

    def summary_days(self) -> frozenset[str]:
        """Days that are done."""
        ...

    def store_summary(self, day: str, text: Text, now_ms: int) -> bool:
        """Stores a day's summary and makes its notice; False if it was there."""
        ...


class DailyJob:
    """Called by the scheduler soon after midnight of `zone`, and once after each start."""

    def __init__(
        self,
        operations: Ledger,
        county: County,
        zone: tzinfo,
        account: Callable[[Day], Account],
        clock: Clock,
        told: Callable[[], None],
    ) -> None:
        """account: the counts of a day. told: called when there is a new notice (`Dispatcher.wake`)."""
        self._operations = operations
        self._county = county
        self._zone = zone
        self._account = account
        self._clock = clock
        self._told = told

    def run(self) -> list[str]:
        """Makes up every missing day and names them. Raises StorageFailed."""
        made = []
        now_ms = self._clock.utc_ms()
        for day in missing_days(self._operations.summary_days(), now_ms, self._zone):
            warnings = self._operations.warnings(limit=MAX_WARNINGS, before_ms=day.to_ms)
            text = daily_summary(day, warnings, self._account(day), self._county)
            if self._operations.store_summary(day.name, text, now_ms):
                made.append(day.name)
        if made:
            self._told()
        return made
