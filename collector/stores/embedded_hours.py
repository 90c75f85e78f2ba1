"""Does I/O: hours of the embedded store - which are due, how their batches become a chunk for each series, and reads of all forms.

An hour of a gateway is due from the first batch that touches it until it has been rolled up. Rolling puts all its readings, by
series, into rows of `rolled`, and deletes batches that no due hour needs; late data makes it due again. Older days become one chunk
for each series and day (embedded_days.py). Where forms overlap the later written counts: a day gives way to an hour, an hour to a
batch.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from collector.domain.identity import GatewayId, SeriesKey
from collector.domain.series import Sample
from collector.stores.chunk import Columns, pack, unpack
from collector.stores.embedded_rows import unpack_columns
from collector.stores.embedded_schema import COLUMNS
from collector.stores.rollup import HOUR_MS, MINUTE_MS, Minute, extremes_by, minutes
from edge_agent.common.hazard import hazard
from edge_agent.common.row_checks import sound

_BATCH, _ROLLED, _SEALED = sound(COLUMNS, "batch"), sound(COLUMNS, "rolled"), sound(COLUMNS, "sealed")
QUIET_MS = 120_000
"""An hour that nothing was written to for so long is rolled up."""
DAY_HOURS = 24
DAY_MS = DAY_HOURS * HOUR_MS
FAST = 4
"""Readings a minute: of more, what a chart needs of each minute is kept apart."""


def mark(database: sqlite3.Connection, gateway: GatewayId, hours: Iterable[int], now_ms: int) -> None:
    """These hours of a gateway have new readings."""
    database.executemany("INSERT OR REPLACE INTO due VALUES(?,?,?,?)", [(*gateway, hour, now_ms) for hour in hours])


def widen(database: sqlite3.Connection, gateway: GatewayId, span_ms: int) -> None:
    """A batch of this gateway spans so long: readers look that far beyond their window."""
    query = "INSERT INTO span(site, gateway, ms) VALUES(?,?,?) ON CONFLICT(site, gateway) DO UPDATE SET ms = max(ms, excluded.ms)"
    database.execute(query, (*gateway, span_ms))


# --- rolling ---------------------------------------------------------------------------------------------------------


def roll_one(database: sqlite3.Connection, now_ms: int) -> bool:
    """Rolls up the hour that has been quiet the longest, in one transaction. False if none is due."""
    query = "SELECT site, gateway, hour FROM due WHERE marked_ms <= ? ORDER BY marked_ms LIMIT 1"
    found = database.execute(query, (now_ms - QUIET_MS,)).fetchone()
    if found is None:
        return False
    gateway, hour = GatewayId(found[0], found[1]), int(found[2])
    with database:
        database.execute("BEGIN IMMEDIATE")
        batches = _batches(database, gateway, hour * HOUR_MS, (hour + 1) * HOUR_MS)
        _roll(database, batches, hour)
        database.execute("DELETE FROM due WHERE site = ? AND gateway = ? AND hour = ?", (*gateway, hour))
        database.execute("INSERT OR IGNORE INTO unsealed VALUES(?,?,?)", (*gateway, hour // DAY_HOURS))
        _forget(database, gateway, batches)
        hazard("store.roll.before")
    hazard("store.roll.after")
    return True


@dataclass(frozen=True, slots=True)
class _Batch:
    id: int
    first_ms: int
    last_ms: int
    packed: bytes


def _batches(database: sqlite3.Connection, gateway: GatewayId, from_ms: int, to_ms: int) -> list[_Batch]:
    """The batches that may hold readings of a window, in the order in which they were written."""
    span = database.execute("SELECT ms FROM span WHERE site = ? AND gateway = ?", gateway).fetchone()
    query = (
        "SELECT id, first_ms, last_ms, columns FROM batch WHERE site = ? AND gateway = ? AND last_ms >= ? AND last_ms < ?"
        f" AND first_ms < ? AND {_BATCH} ORDER BY id"
    )
    arguments = (*gateway, from_ms, to_ms + (span[0] if span else 0), to_ms)
    return [_Batch(*row) for row in database.execute(query, arguments)]


def _roll(database: sqlite3.Connection, batches: Sequence[_Batch], hour: int) -> None:
    """Puts the readings of these batches that lie in the hour to those rolled up before."""
    start_ms = hour * HOUR_MS
    readings: dict[int, dict[int, Sample]] = {}
    rolled_to: dict[int, int] = {}
    for batch in batches:
        for series, samples in unpack_columns(batch.packed, batch.first_ms):
            within = {sample.time_ms: sample for sample in samples if start_ms <= sample.time_ms < start_ms + HOUR_MS}
            if not within:
                continue
            if series not in readings:
                readings[series], rolled_to[series] = _rolled(database, series, hour)
            if batch.id > rolled_to[series]:
                readings[series] |= within
    rows = [
        (series, hour, batches[-1].id, len(by_time), *pack_samples(_in_order(by_time), start_ms, FAST * 60))
        for series, by_time in readings.items()
    ]
    database.executemany("INSERT OR REPLACE INTO rolled(series, hour, upto, count, chunk, chart) VALUES(?,?,?,?,?,?)", rows)


def _rolled(database: sqlite3.Connection, series: int, hour: int) -> tuple[dict[int, Sample], int]:
    """What is rolled up of an hour, and the batch up to which."""
    query = f"SELECT upto, chunk FROM rolled WHERE series = ? AND hour = ? AND {_ROLLED}"
    row = database.execute(query, (series, hour)).fetchone()
    return ({}, 0) if row is None else ({s.time_ms: s for s in samples_of(row[1], hour * HOUR_MS)}, row[0])


def _forget(database: sqlite3.Connection, gateway: GatewayId, batches: Sequence[_Batch]) -> None:
    """Deletes the batches of which every hour is rolled up."""
    if not batches:
        return
    low, high = min(b.first_ms for b in batches) // HOUR_MS, max(b.last_ms for b in batches) // HOUR_MS
    due = due_hours(database, gateway, low, high)
    gone = [(b.id,) for b in batches if not any(b.first_ms // HOUR_MS <= hour <= b.last_ms // HOUR_MS for hour in due)]
    database.executemany("DELETE FROM batch WHERE id = ?", gone)


def due_hours(database: sqlite3.Connection, gateway: GatewayId, low: int, high: int) -> set[int]:
    """The hours low..high of which batches hold readings that are rolled up nowhere."""
    query = "SELECT hour FROM due WHERE site = ? AND gateway = ? AND hour BETWEEN ? AND ?"
    return {row[0] for row in database.execute(query, (*gateway, low, high))}


# --- reading ---------------------------------------------------------------------------------------------------------


def readings(database: sqlite3.Connection, key: SeriesKey, series: int, from_ms: int, to_ms: int) -> list[Sample]:
    """Every reading with from_ms <= time < to_ms, one per instant, in order of time."""
    by_time: dict[int, Sample] = {}
    query = f"SELECT day, chunk FROM sealed WHERE series = ? AND day BETWEEN ? AND ? AND {_SEALED}"
    for day, chunk in database.execute(query, (series, from_ms // DAY_MS, (to_ms - 1) // DAY_MS)):
        by_time |= {sample.time_ms: sample for sample in samples_of(chunk, day * DAY_MS)}
    rolled_to: dict[int, int] = {}
    query = f"SELECT hour, upto, chunk FROM rolled WHERE series = ? AND hour BETWEEN ? AND ? AND {_ROLLED}"
    for hour, upto, chunk in database.execute(query, (series, from_ms // HOUR_MS, (to_ms - 1) // HOUR_MS)):
        rolled_to[hour] = upto
        by_time |= {sample.time_ms: sample for sample in samples_of(chunk, hour * HOUR_MS)}
    for batch in _batches(database, GatewayId(key.site, key.gateway), from_ms, to_ms):
        for _, samples in unpack_columns(batch.packed, batch.first_ms, series):
            for sample in samples:
                if batch.id > rolled_to.get(sample.time_ms // HOUR_MS, 0):
                    by_time[sample.time_ms] = sample
    return [sample for sample in _in_order(by_time) if from_ms <= sample.time_ms < to_ms]


def charted(
    database: sqlite3.Connection, key: SeriesKey, series: int, from_ms: int, to_ms: int, by_hours: bool = False
) -> list[Sample]:
    """At least the readings that a chart of intervals of whole minutes (by_hours: of whole hours) needs, in order of time."""
    found: list[Sample] = []
    at_ms = from_ms
    for start_ms, end_ms, form in _forms(database, key, series, from_ms, to_ms, by_hours):
        if at_ms < start_ms:
            found += readings(database, key, series, at_ms, start_ms)
        found += samples_of(form, start_ms)
        at_ms = end_ms
    return found + (readings(database, key, series, at_ms, to_ms) if at_ms < to_ms else [])


def by_minutes(database: sqlite3.Connection, key: SeriesKey, series: int, from_ms: int, to_ms: int) -> list[Minute]:
    """The roll-up of whole minutes; both times are multiples of a minute."""
    return [minute for minute, _ in minutes(readings(database, key, series, from_ms, to_ms))]


def counted(database: sqlite3.Connection, key: SeriesKey, series: int, from_ms: int, to_ms: int) -> int:
    """How many instants have a reading."""
    low, high = -(-from_ms // DAY_MS), to_ms // DAY_MS - 1
    mixed = _mixed_days(database, key, series, low, high)
    query = f"SELECT day, count FROM sealed WHERE series = ? AND day BETWEEN ? AND ? AND {_SEALED} ORDER BY day"
    total, at_ms = 0, from_ms
    for day, of_day in database.execute(query, (series, low, high)).fetchall():
        if day in mixed:
            continue
        total += of_day + _count(database, key, series, at_ms, day * DAY_MS)
        at_ms = (day + 1) * DAY_MS
    return total + _count(database, key, series, at_ms, to_ms)


def _count(database: sqlite3.Connection, key: SeriesKey, series: int, from_ms: int, to_ms: int) -> int:
    return len(readings(database, key, series, from_ms, to_ms)) if from_ms < to_ms else 0


def _forms(
    database: sqlite3.Connection, key: SeriesKey, series: int, from_ms: int, to_ms: int, by_hours: bool
) -> Iterator[tuple[int, int, bytes]]:
    """Days and hours inside a window of which one row tells all that a chart needs: begin, end, chunk."""
    low, high = -(-from_ms // DAY_MS), to_ms // DAY_MS - 1
    mixed = _mixed_days(database, key, series, low, high)
    wanted = "hours" if by_hours else "coalesce(chart, chunk)"
    query = f"SELECT day, {wanted} FROM sealed WHERE series = ? AND day BETWEEN ? AND ? AND {_SEALED} ORDER BY day"
    found = [
        (day * DAY_MS, (day + 1) * DAY_MS, form) for day, form in database.execute(query, (series, low, high)) if day not in mixed
    ]
    hours = (-(-from_ms // HOUR_MS), to_ms // HOUR_MS - 1)
    due = due_hours(database, GatewayId(key.site, key.gateway), *hours)
    touched = (hours[0] // DAY_HOURS, hours[1] // DAY_HOURS)
    query = "SELECT day FROM sealed WHERE series = ? AND day BETWEEN ? AND ?"
    sealed = {row[0] for row in database.execute(query, (series, *touched))}
    query = f"SELECT hour, coalesce(chart, chunk) FROM rolled WHERE series = ? AND hour BETWEEN ? AND ? AND {_ROLLED}"
    found += [
        (hour * HOUR_MS, (hour + 1) * HOUR_MS, form)
        for hour, form in database.execute(query, (series, *hours))
        if hour not in due and hour // DAY_HOURS not in sealed
    ]
    return iter(sorted(found))


def _mixed_days(database: sqlite3.Connection, key: SeriesKey, series: int, low: int, high: int) -> set[int]:
    """Days of which something came after they were sealed, or that are not sealed yet."""
    hours = (low * DAY_HOURS, (high + 1) * DAY_HOURS - 1)
    rolled = database.execute("SELECT hour FROM rolled WHERE series = ? AND hour BETWEEN ? AND ?", (series, *hours))
    late = {row[0] for row in rolled} | due_hours(database, GatewayId(key.site, key.gateway), *hours)
    return {hour // DAY_HOURS for hour in late}


# --- samples ---------------------------------------------------------------------------------------------------------


def samples_of(packed: bytes, start_ms: int) -> list[Sample]:
    """The readings of a chunk."""
    return list(map(Sample, *unpack(packed, start_ms)))


def pack_samples(samples: Sequence[Sample], start_ms: int, fast: int) -> tuple[bytes, bytes | None]:
    """A chunk of readings in order of time; and if they are more than `fast`, one of those that a chart of minutes needs."""
    chart = extremes_by(samples, MINUTE_MS) if len(samples) > fast else None
    return columns_of(samples, start_ms), None if chart is None else columns_of(chart, start_ms)


def columns_of(samples: Sequence[Sample], start_ms: int) -> bytes:
    """A chunk of readings in order of time."""
    return pack(Columns([s.time_ms for s in samples], [s.value for s in samples], [s.quality for s in samples]), start_ms)


def _in_order(by_time: dict[int, Sample]) -> list[Sample]:
    return [by_time[time_ms] for time_ms in sorted(by_time)]
