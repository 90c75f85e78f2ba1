"""Does I/O: what happens at set times: the hourly trim and scrub of the log, the daily summary (apscheduler)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo

from apscheduler.schedulers.background import BackgroundScheduler

from collector.seams import StorageFailed

_log = logging.getLogger(__name__)
_GRACE_S = 3600
"""A job that could not begin in time is still begun so much later."""


class Schedule:
    """The collector's own times."""

    def __init__(self, zone: tzinfo, now_ms: int) -> None:
        """now_ms: UTC."""
        self._zone = zone
        self._now = datetime.fromtimestamp(now_ms / 1000, UTC)
        self._scheduler = BackgroundScheduler(timezone=zone)

    def hourly(self, name: str, job: Callable[[], object]) -> None:
        """Every hour from the start on."""
        self._scheduler.add_job(_held(name, job), "interval", hours=1, id=name, misfire_grace_time=_GRACE_S, coalesce=True)

    def daily(self, name: str, at: str, job: Callable[[], object]) -> None:
        """At `HH:MM` of the zone; and at the start, if that time of the day has passed: what was missed is made up."""
        hour, minute = (int(part) for part in at.split(":"))
        held = _held(name, job)
        self._scheduler.add_job(held, "cron", hour=hour, minute=minute, id=name, misfire_grace_time=_GRACE_S, coalesce=True)
        local = self._now.astimezone(self._zone)
        if (local.hour, local.minute) >= (hour, minute):
            self._scheduler.add_job(held, id=f"{name} made up")

    def start(self) -> None:
        """Begins."""
        self._scheduler.start()

    def stop(self) -> None:
        """Ends; a job at hand is waited for."""
        self._scheduler.shutdown(wait=True)


def _held(name: str, job: Callable[[], object]) -> Callable[[], None]:
    """The job; what the disk refuses now is tried again at its next time."""

    def run() -> None:
        try:
            job()
        except StorageFailed as failed:
            _log.error("%s: %s; tried again at the next time", name, failed)

    return run
