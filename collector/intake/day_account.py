"""Pure. The account as people read it: for each gateway and day expected, received, lost, missing, late, duplicate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from collector.domain.days import Days
from collector.domain.identity import GatewayId
from collector.intake import holes
from collector.intake.daybook import DayCount, DayId, LaneId, Settled
from collector.intake.holes import LaneBook
from edge_agent.contract.message import Lane


@dataclass(frozen=True, slots=True)
class Absent:
    """Sequences first..last of a lane that are not here. why: empty while they may still come. Times ms UTC."""

    epoch: str
    lane: Lane
    first: int
    last: int
    why: str
    readings: int | None
    """None: nobody knows."""
    from_ms: int
    to_ms: int


@dataclass(slots=True)
class DayAccount:
    """One gateway on one day, in batches and, where they are known, readings. expected = received + lost + missing."""

    site: str
    gateway: str
    day: str
    received: int = 0
    lost: int = 0
    missing: int = 0
    late: int = 0
    duplicate: int = 0
    received_readings: int = 0
    lost_readings: int = 0
    """As far as the gateway told how many."""
    late_readings: int = 0
    why: dict[str, int] = field(default_factory=dict)
    """Batches lost, by reason."""
    absent: list[Absent] = field(default_factory=list)

    @property
    def expected(self) -> int:
        """Batches known to have been made."""
        return self.received + self.lost + self.missing


@dataclass(frozen=True, slots=True)
class Kept:
    """What the book holds: counts of days, lanes with holes, losses whose sequences are forgotten."""

    days: Mapping[DayId, DayCount]
    lanes: Mapping[LaneId, LaneBook]
    settled: Mapping[tuple[DayId, str], Settled]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which part of the account. Days are ISO dates, both included; empty: no limit."""

    site: str = ""
    gateway: str = ""
    first: str = ""
    last: str = ""

    def fits(self, id: DayId | LaneId | GatewayId) -> bool:
        """Site and gateway alone."""
        return self.site in {"", id.site} and self.gateway in {"", id.gateway}

    def holds(self, day: str) -> bool:
        """True for a day of it."""
        return self.first <= day and (not self.last or day <= self.last)


def day_accounts(kept: Kept, wanted: Wanted, days_of: Mapping[str, Days]) -> list[DayAccount]:
    """One account for each gateway and day that something is known of, by site, gateway, day. days_of: by site."""
    made: dict[DayId, DayAccount] = {}

    def of(id: DayId) -> DayAccount:
        return made.setdefault(id, DayAccount(*id))

    for id, count in kept.days.items():
        one = of(id)
        one.received, one.late, one.duplicate = count.batches, count.late_batches, count.duplicate
        one.received_readings, one.late_readings = count.readings, count.late_readings
    for (id, why), settled in kept.settled.items():
        _lose(of(id), why, settled.batches, settled.readings)
    for lane, book in kept.lanes.items():
        for hole in book.holes:
            for day, batches, readings in holes.by_day(hole, days_of[lane.site]):
                one = of(DayId(lane.site, lane.gateway, day))
                one.absent.append(
                    Absent(lane.epoch, lane.lane, hole.first, hole.last, hole.why, hole.readings, hole.from_ms, hole.to_ms)
                )
                if hole.why == holes.MISSING:
                    one.missing += batches
                else:
                    _lose(one, hole.why, batches, readings)
    return [made[id] for id in sorted(made) if wanted.fits(id) and wanted.holds(id.day)]


def _lose(one: DayAccount, why: str, batches: int, readings: int) -> None:
    one.lost += batches
    one.lost_readings += readings
    one.why[why] = one.why.get(why, 0) + batches


Count = Literal[
    "expected", "received", "lost", "missing", "late", "duplicate", "received_readings", "lost_readings", "late_readings"
]
COUNTS: tuple[Count, ...] = (
    "expected", "received", "lost", "missing", "late", "duplicate", "received_readings", "lost_readings", "late_readings",
)  # fmt: skip


def totals(accounts: Iterable[DayAccount]) -> dict[Count, int]:
    """The sum of each count."""
    rows = list(accounts)
    return {name: sum(getattr(row, name) for row in rows) for name in COUNTS}
