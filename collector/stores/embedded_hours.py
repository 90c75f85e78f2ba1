"""Does I/O: hours of the embedded store - which are due to be rolled up, the rolling, and reads that take whole hours rolled up.

An hour of a gateway is due from the first batch that touches it until it has been rolled up; late data makes it due again. Readers
take due hours from the batches, so a roll-up is never stale.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence

from collector.domain.identity import GatewayId, SeriesKey
from collector.domain.series import Sample
from collector.stores.embedded_rows import pack_hour, unpack_columns, unpack_hour
from collector.stores.embedded_schema import COLUMNS
from collector.stores.rollup import HOUR_MS, Minute, minutes
from edge_agent.common.hazard import hazard
from edge_agent.common.row_checks import sound

_BATCH, _ROLLED = sound(COLUMNS, "batch"), sound(COLUMNS, "rolled")
QUIET_MS = 120_000
"""An hour that nothing was written to for so long is rolled up."""


def mark(database: sqlite3.Connection, gateway: GatewayId, hours: Iterable[int], now_ms: int) -> None:
    """These hours of a gateway have new readings."""
    database.executemany("INSERT OR REPLACE INTO due VALUES(?,?,?,?)", [(*gateway, hour, now_ms) for hour in hours])


def widen(database: sqlite3.Connection, gateway: GatewayId, span_ms: int) -> None:
    """A batch of this gateway spans so long: readers look that far beyond their window."""
    query = "INSERT INTO span(site, gateway, ms) VALUES(?,?,?) ON CONFLICT(site, gateway) DO UPDATE SET ms = max(ms, excluded.ms)"
    database.execute(query, (*gateway, span_ms))


def roll_one(database: sqlite3.Connection, now_ms: int) -> bool:
    """Rolls up the hour that has been quiet the longest, in one transaction. False if none is due."""
    query = "SELECT site, gateway, hour FROM due WHERE marked_ms <= ? ORDER BY marked_ms LIMIT 1"
    found = database.execute(query, (now_ms - QUIET_MS,)).fetchone()
    if found is None:
        return False
    gateway, hour = GatewayId(found[0], found[1]), int(found[2])
    start_ms = hour * HOUR_MS
    with database:
        database.execute("BEGIN IMMEDIATE")
        rows = []
        for series, samples in _by_series(database, gateway, start_ms, start_ms + HOUR_MS).items():
            rows.append((series, hour, *pack_hour(start_ms, minutes(samples))))
        database.executemany("INSERT OR REPLACE INTO rolled(series, hour, count, minutes) VALUES(?,?,?,?)", rows)
        database.execute("DELETE FROM due WHERE site = ? AND gateway = ? AND hour = ?", (*gateway, hour))
        hazard("store.roll.before")
    hazard("store.roll.after")
    return True


def readings(database: sqlite3.Connection, key: SeriesKey, series: int, from_ms: int, to_ms: int) -> list[Sample]:
    """Every reading with from_ms <= time < to_ms, one per instant, in order of time."""
    return _by_series(database, GatewayId(key.site, key.gateway), from_ms, to_ms, series).get(series, [])


def charted(database: sqlite3.Connection, key: SeriesKey, series: int, from_ms: int, to_ms: int) -> list[Sample]:
    """At least the readings that a chart of intervals of a minute or more needs, in order of time."""
    samples: list[Sample] = []
    for start_ms, end_ms, packed in _parts(database, key, series, from_ms, to_ms):
        samples += unpack_hour(packed, start_ms)[0] if packed else readings(database, key, series, start_ms, end_ms)
    return samples


def by_minutes(database: sqlite3.Connection, key: SeriesKey, series: int, from_ms: int, to_ms: int) -> list[Minute]:
    """The roll-up of whole minutes; both times are multiples of a minute."""
    found: list[Minute] = []
    for start_ms, end_ms, packed in _parts(database, key, series, from_ms, to_ms):
        if packed:
            found += unpack_hour(packed, start_ms)[1]
        else:
            found += [minute for minute, _ in minutes(readings(database, key, series, start_ms, end_ms))]
    return found


def counted(database: sqlite3.Connection, key: SeriesKey, series: int, from_ms: int, to_ms: int) -> int:
    """How many instants have a reading."""
    parts = _parts(database, key, series, from_ms, to_ms)
    return sum(
        sum(minute.count for minute in unpack_hour(packed, start_ms)[1])
        if packed
        else len(readings(database, key, series, start_ms, end_ms))
        for start_ms, end_ms, packed in parts
    )


def _parts(database: sqlite3.Connection, key: SeriesKey, series: int, from_ms: int, to_ms: int) -> Iterator[tuple[int, int, bytes]]:
    """Consecutive parts of a window: rolled-up hours with their roll-up, and what lies between them with none."""
    first, last = -(-from_ms // HOUR_MS), to_ms // HOUR_MS - 1
    window = (first, last)
    query = "SELECT hour FROM due WHERE site = ? AND gateway = ? AND hour BETWEEN ? AND ?"
    due = {row[0] for row in database.execute(query, (key.site, key.gateway, *window))}
    query = f"SELECT hour, minutes FROM rolled WHERE series = ? AND hour BETWEEN ? AND ? AND {_ROLLED} ORDER BY hour"
    at_ms = from_ms
    for hour, packed in database.execute(query, (series, *window)).fetchall():
        if hour in due:
            continue
        if at_ms < hour * HOUR_MS:
            yield at_ms, hour * HOUR_MS, b""
        at_ms = (hour + 1) * HOUR_MS
        yield hour * HOUR_MS, at_ms, packed
    if at_ms < to_ms:
        yield at_ms, to_ms, b""


def _by_series(
    database: sqlite3.Connection, gateway: GatewayId, from_ms: int, to_ms: int, wanted: int | None = None
) -> dict[int, list[Sample]]:
    """Readings of a gateway in a window, by series, from the batches: one per instant (the later written), in order of time."""
    span = database.execute("SELECT ms FROM span WHERE site = ? AND gateway = ?", gateway).fetchone()
    query = (
        "SELECT first_ms, columns FROM batch WHERE site = ? AND gateway = ? AND last_ms >= ? AND last_ms < ? AND first_ms < ?"
        f" AND {_BATCH} ORDER BY id"
    )
    arguments = (*gateway, from_ms, to_ms + (span[0] if span else 0), to_ms)
    found: dict[int, list[Sample]] = {}
    for first_ms, packed in database.execute(query, arguments):
        for series, samples in unpack_columns(packed, first_ms, wanted):
            found.setdefault(series, []).extend(samples)
    return {series: _one_per_instant(samples, from_ms, to_ms) for series, samples in found.items()}


def _one_per_instant(samples: Sequence[Sample], from_ms: int, to_ms: int) -> list[Sample]:
    by_time = {sample.time_ms: sample for sample in samples if from_ms <= sample.time_ms < to_ms}
    return [by_time[time_ms] for time_ms in sorted(by_time)]
