"""Does I/O through the seams. REST: what was expected of each gateway on each day, and what came of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from collector.domain.days import DAY_MS, Days
from collector.intake.day_account import COUNTS, DayAccount, Wanted, totals
from collector.intake.tally import LATE_MS
from collector.web.answers import tagged
from collector.web.parts import WebParts
from collector.web.schema import AbsentBody, AccountBody, AccountCounts, AccountDayBody
from collector.web.times import rfc3339
from edge_agent.contract.topics import ID_PATTERN

MOST_DAYS = 5000
MOST_ABSENT = 100
"""Holes of one day that are listed."""
DEFAULT_DAYS = 31

Id = Annotated[str, Query(pattern=f"^({ID_PATTERN})?$")]
Day = Annotated[str, Query(pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?$", description="ISO date in the site's time zone, included")]


def router(parts: WebParts) -> APIRouter:
    """/api/v1/account."""
    routes = APIRouter(prefix="/api/v1", tags=["account"])

    @routes.get("/account", response_model=AccountBody, operation_id="get_account")
    def account(
        request: Request, site: Id = "", gateway: Id = "", from_: Annotated[Day, Query(alias="from")] = "", to: Day = ""
    ) -> Response:
        """By site, gateway and day; without `from` the last 31 days. The words are those of docs/account.md."""
        first = from_ or Days("UTC").of(parts.clock.utc_ms() - DEFAULT_DAYS * DAY_MS)
        found = parts.account(Wanted(site, gateway, first, to))
        sums = totals(found)
        body = AccountBody(
            late_after_s=LATE_MS // 1000,
            days=[_day(one) for one in found[:MOST_DAYS]],
            left_out=max(0, len(found) - MOST_DAYS),
            total=AccountCounts(**{str(name): count for name, count in sums.items()}),
        )
        return tagged(request, body)

    return routes


def _day(one: DayAccount) -> AccountDayBody:
    counts: dict[str, int] = {name: getattr(one, name) for name in COUNTS}
    absent = [
        AbsentBody(
            epoch=hole.epoch,
            lane=hole.lane,
            first=hole.first,
            last=hole.last,
            why=hole.why or None,
            readings=hole.readings,
            from_=rfc3339(hole.from_ms),
            to=rfc3339(hole.to_ms),
        )
        for hole in one.absent[-MOST_ABSENT:]
    ]
    return AccountDayBody(site=one.site, gateway=one.gateway, day=one.day, why=one.why, absent=absent, **counts)
