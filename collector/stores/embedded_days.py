"""Does I/O: days of the embedded store that are over: the hours of each series become one chunk, small and never written again but
for data that comes later still. Beside it stands what a chart of hours needs, so that a year is drawn without reading it all."""

from __future__ import annotations

import sqlite3

from collector.domain.identity import GatewayId
from collector.domain.series import Sample
from collector.stores.embedded_hours import DAY_HOURS, DAY_MS, FAST, columns_of, due_hours, pack_samples, samples_of
from collector.stores.embedded_schema import COLUMNS
from collector.stores.rollup import HOUR_MS, extremes_by
from edge_agent.common.hazard import hazard
from edge_agent.common.row_checks import sound

_SERIES, _ROLLED, _SEALED = sound(COLUMNS, "series"), sound(COLUMNS, "rolled"), sound(COLUMNS, "sealed")
AFTER_MS = DAY_MS
"""A day is sealed when it has been over for so long."""
MOST_SERIES = 50
"""Of one transaction: a gateway with thousands of series is sealed in steps, between which live data is written."""


def seal_one(database: sqlite3.Connection, now_ms: int) -> bool:
    """Seals series of the oldest day that is over and has no hour due, in one transaction. False if there is none."""
    last = (now_ms - AFTER_MS) // DAY_MS - 1
    query = "SELECT site, gateway, day FROM unsealed WHERE day <= ? ORDER BY day"
    for site, gateway, day in database.execute(query, (last,)):
        whole = GatewayId(site, gateway)
        if not due_hours(database, whole, day * DAY_HOURS, (day + 1) * DAY_HOURS - 1) and not _has_batches(database, whole, day):
            break
    else:
        return False
    hours = (day * DAY_HOURS, (day + 1) * DAY_HOURS - 1)
    with database:
        database.execute("BEGIN IMMEDIATE")
        query = (
            "SELECT DISTINCT rolled.series FROM series JOIN rolled ON rolled.series = series.id"
            " WHERE site = ? AND gateway = ? AND hour BETWEEN ? AND ? LIMIT ?"
        )
        series = [row[0] for row in database.execute(query, (*whole, *hours, MOST_SERIES + 1))]
        for one in series[:MOST_SERIES]:
            _seal(database, one, day)
        if len(series) <= MOST_SERIES:
            database.execute("DELETE FROM unsealed WHERE site = ? AND gateway = ? AND day = ?", (*whole, day))
        hazard("store.seal.before")
    hazard("store.seal.after")
    return True


def _has_batches(database: sqlite3.Connection, gateway: GatewayId, day: int) -> bool:
    """True where a batch reaches into the day: another hour of it is due, and until then its order among others counts."""
    query = "SELECT 1 FROM batch WHERE site = ? AND gateway = ? AND last_ms >= ? AND first_ms < ? LIMIT 1"
    return database.execute(query, (*gateway, day * DAY_MS, (day + 1) * DAY_MS)).fetchone() is not None


def _seal(database: sqlite3.Connection, series: int, day: int) -> None:
    """Puts the hours of one series into the day's chunk."""
    start_ms, hours = day * DAY_MS, (day * DAY_HOURS, (day + 1) * DAY_HOURS - 1)
    by_time: dict[int, Sample] = {}
    query = f"SELECT chunk FROM sealed WHERE series = ? AND day = ? AND {_SEALED}"
    for (chunk,) in database.execute(query, (series, day)):
        by_time |= {sample.time_ms: sample for sample in samples_of(chunk, start_ms)}
    query = f"SELECT hour, chunk FROM rolled WHERE series = ? AND hour BETWEEN ? AND ? AND {_ROLLED} ORDER BY hour"
    for hour, chunk in database.execute(query, (series, *hours)):
        by_time |= {sample.time_ms: sample for sample in samples_of(chunk, hour * HOUR_MS)}
    if by_time:
        samples = [by_time[time_ms] for time_ms in sorted(by_time)]
        chunk, chart = pack_samples(samples, start_ms, FAST * 60 * DAY_HOURS)
        row = (series, day, len(samples), chunk, chart, columns_of(extremes_by(samples, HOUR_MS), start_ms))
        database.execute("INSERT OR REPLACE INTO sealed(series, day, count, chunk, chart, hours) VALUES(?,?,?,?,?,?)", row)
    database.execute("DELETE FROM rolled WHERE series = ? AND hour BETWEEN ? AND ?", (series, *hours))
