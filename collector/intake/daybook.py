"""Pure. The account by gateway and day: steps through the log's records, keeps a book of each lane, counts what each day got.

Its counts are additions; whoever keeps them writes them down together with the log's offset, once. A record that is counted already
(by its sequence) adds nothing, so the log may be read again from anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from collector.domain.days import Days
from collector.domain.identity import GatewayId
from collector.intake import holes
from collector.intake.holes import LaneBook
from collector.intake.records import Record
from collector.intake.tally import Tally, tally
from edge_agent.contract import encoding
from edge_agent.contract.message import NORMAL, URGENT, Gap, Lane

MAX_HOLES = 1000
"""Holes of a lane; beyond it the oldest lost ones are settled: their days keep the counts, their sequences are forgotten."""
MAX_COUNT = 1 << 60
"""A gateway that lies about its sequences must not break a database."""
MAX_GAPS = 1000
"""Gap records of one message that are taken."""


class LaneId(NamedTuple):
    """One lane of one gateway."""

    site: str
    gateway: str
    epoch: str
    lane: Lane


class DayId(NamedTuple):
    """One day (ISO date, the site's time zone) of one gateway."""

    site: str
    gateway: str
    day: str


@dataclass(slots=True)
class DayCount:
    """What was received of one day. Batches count under the day of their oldest content, readings under their own."""

    batches: int = 0
    readings: int = 0
    late_batches: int = 0
    late_readings: int = 0
    duplicate: int = 0
    """Batches that came again, by the day on which they came."""


@dataclass(slots=True)
class Settled:
    """Losses of a day whose sequences are forgotten."""

    batches: int = 0
    readings: int = 0


@dataclass(slots=True)
class Changes:
    """What the records since the last commit add: whole books, and additions to days."""

    lanes: dict[LaneId, LaneBook] = field(default_factory=dict)
    days: dict[DayId, DayCount] = field(default_factory=dict)
    settled: dict[tuple[DayId, str], Settled] = field(default_factory=dict)
    """By day and reason."""
    duplicate: dict[GatewayId, int] = field(default_factory=dict)
    """The intake's count of duplicates up to which they are in `days`."""

    def day(self, site: str, gateway: str, day: str) -> DayCount:
        """The additions to one day."""
        return self.days.setdefault(DayId(site, gateway, day), DayCount())

    def settle(self, lane: LaneId, hole: holes.Hole, days: Days) -> None:
        """Puts a hole into the counts of its days."""
        for day, batches, readings in holes.by_day(hole, days):
            settled = self.settled.setdefault((DayId(lane.site, lane.gateway, day), hole.why or holes.NOT_HERE), Settled())
            settled.batches = min(settled.batches + batches, MAX_COUNT)
            settled.readings = min(settled.readings + readings, MAX_COUNT)


@dataclass(frozen=True, slots=True)
class Told:
    """A gap record, as it came."""

    gateway: GatewayId
    gap: Gap


class Daybook:
    """Steps through the log. load: the book of a lane as last written down; days_of: the calendar of a site."""

    def __init__(self, load: Callable[[LaneId], LaneBook | None], days_of: Callable[[str], Days]) -> None:
        self._load = load
        self._days_of = days_of
        self._changes = Changes()
        self.told: list[Told] = []
        """Gap records since the last `changes`."""

    def changes(self) -> Changes:
        """What came since the last call."""
        done, self._changes, self.told = self._changes, Changes(), []
        return done

    def take(self, record: Record) -> None:
        """One record of the log, in its order."""
        key = record.key
        lane, days = LaneId(key.site, key.gateway, key.epoch, key.lane), self._days_of(key.site)
        try:
            found = tally(record, days)
        except encoding.Malformed:
            return  # never for what intake let in; its sequence stays a hole
        book, is_new = holes.heard(self._book(lane), key.seq, found.low, found.t0_ms, record.received_ms)
        if is_new and found.unreadable:
            book = holes.unreadable(book, key.seq, found.t0_ms)
        elif is_new:
            day = self._changes.day(key.site, key.gateway, days.of(found.t0_ms))
            day.batches += 1
            day.late_batches += found.is_late
            for name, count in found.readings.items():
                self._changes.day(key.site, key.gateway, name).readings += count
            for name, count in found.late.items():
                self._changes.day(key.site, key.gateway, name).late_readings += count
        self._changes.lanes[lane] = self._bounded(lane, book)
        if is_new:
            for gap in found.gaps[:MAX_GAPS]:
                self._told(lane, gap, record.received_ms)
        self._past(lane, found, record.received_ms)

    def came_again(self, gateway: GatewayId, count: int, known: int, now_ms: int) -> None:
        """The intake has counted so many duplicates of a gateway, of which `known` are in the account."""
        if count > known:
            day = self._days_of(gateway.site).of(now_ms)
            self._changes.day(gateway.site, gateway.gateway, day).duplicate += count - known
        if count != known:
            self._changes.duplicate[gateway] = count

    def _told(self, by: LaneId, gap: Gap, now_ms: int) -> None:
        if not holes.believable(gap):
            return
        lane = LaneId(by.site, by.gateway, gap.e, gap.l)
        before = self._book(lane)
        book = holes.told(before, gap, now_ms)
        if book != before:
            self._changes.lanes[lane] = self._bounded(lane, replace(book, heard_ms=max(book.heard_ms, now_ms)))
            self.told.append(Told(GatewayId(by.site, by.gateway), gap))

    def _past(self, by: LaneId, found: Tally, now_ms: int) -> None:
        """Earlier runs, the oldest first: one may lie wholly between a backup and its restore, and nothing else tells of it."""
        since_ms = 0
        for run in found.past[: encoding.MAX_PAST]:
            until_ms = run.t or found.t0_ms
            for upto, of in ((run.n, NORMAL), (run.u, URGENT)):
                lane = LaneId(by.site, by.gateway, run.e, of)
                before = self._book(lane)
                book = holes.let_go(before, upto, since_ms or until_ms, until_ms) if upto else before
                if book != before:
                    self._changes.lanes[lane] = self._bounded(lane, replace(book, heard_ms=max(book.heard_ms, now_ms)))
            since_ms = until_ms

    def _book(self, lane: LaneId) -> LaneBook:
        return self._changes.lanes.get(lane) or self._load(lane) or LaneBook()

    def _bounded(self, lane: LaneId, book: LaneBook) -> LaneBook:
        if len(book.holes) <= MAX_HOLES:
            return book
        lost = [hole for hole in book.holes if hole.why != holes.MISSING][: MAX_HOLES // 2]
        for hole in lost:
            self._changes.settle(lane, hole, self._days_of(lane.site))
        return replace(book, holes=tuple(hole for hole in book.holes if hole not in lost))


def calendars(zones: Callable[[str], str]) -> Callable[[str], Days]:
    """The calendar of each site; zones: the time zone of a site."""
    known: dict[str, Days] = {}

    def of(site: str) -> Days:
        zone = zones(site)
        if zone not in known:
            known[zone] = Days(zone)
        return known[zone]

    return of
