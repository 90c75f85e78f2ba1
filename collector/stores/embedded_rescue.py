"""Does I/O: a new embedded store from what is sound in a damaged one; what follows from batches is worked out anew."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from collector.domain.identity import GatewayId
from collector.domain.series import Sample
from collector.stores import embedded_hours as hours
from collector.stores.embedded_hours import DAY_HOURS, DAY_MS, samples_of
from collector.stores.embedded_rows import pack_value, unpack_columns
from collector.stores.embedded_schema import COLUMNS
from collector.stores.rollup import HOUR_MS
from edge_agent.common.row_checks import rescue

_KEPT = ("series", "history", "batch", "latest", "rolled", "sealed")
_LATER = """
INSERT INTO latest(series, time_ms, value, quality) VALUES(?,?,?,?) ON CONFLICT(series) DO UPDATE
SET time_ms = excluded.time_ms, value = excluded.value, quality = excluded.quality WHERE excluded.time_ms > latest.time_ms
"""


def renew(damaged: Path, database: sqlite3.Connection, until_ms: int, now_ms: int) -> int:
    """Fills a new store in one transaction; gives the number of batches. The cursor begins at 0, so that the log is read again.

    A batch of a series that is lost goes too: another series could come to its number. until_ms: the last instant of the present.
    """
    with database:
        database.execute("BEGIN IMMEDIATE")
        rescue(damaged, database, {table: COLUMNS[table] for table in _KEPT})
        known = {row[0] for row in database.execute("SELECT id FROM series")}
        newest: dict[int, Sample] = {}
        rows = database.execute("SELECT id, site, gateway, first_ms, columns FROM batch ORDER BY id").fetchall()
        for id, site, gateway, first_ms, packed in rows:
            columns = list(unpack_columns(packed, first_ms))
            if not known.issuperset(series for series, _ in columns):
                database.execute("DELETE FROM batch WHERE id = ?", (id,))
                continue
            times = {sample.time_ms // HOUR_MS for _, samples in columns for sample in samples}
            hours.mark(database, GatewayId(site, gateway), times, now_ms)
            for series, samples in columns:
                for sample in samples:
                    if sample.time_ms <= until_ms and (series not in newest or sample.time_ms >= newest[series].time_ms):
                        newest[series] = sample
        for table in ("rolled", "sealed"):
            database.execute(f"DELETE FROM {table} WHERE series NOT IN (SELECT id FROM series)")
        days = f"SELECT DISTINCT site, gateway, hour / {DAY_HOURS} FROM rolled JOIN series ON series.id = rolled.series"
        database.execute(f"INSERT INTO unsealed(site, gateway, day) {days}")
        spans = "SELECT site, gateway, max(last_ms - first_ms) FROM batch GROUP BY site, gateway"
        database.execute(f"INSERT INTO span(site, gateway, ms) {spans}")
        database.execute("DELETE FROM latest WHERE series NOT IN (SELECT id FROM series)")
        missing = [row[0] for row in database.execute("SELECT id FROM series WHERE id NOT IN (SELECT series FROM latest)")]
        for series in missing:
            for sample in filter(None, (newest.get(series), _newest_of_chunks(database, series, until_ms))):
                row = (series, sample.time_ms, pack_value(sample.value), sample.quality)
                database.execute(_LATER, row)
        return int(database.execute("SELECT count(*) FROM batch").fetchone()[0])


def _newest_of_chunks(database: sqlite3.Connection, series: int, until_ms: int) -> Sample | None:
    """The newest reading of a series in its hours, else in its days."""
    for table, place, width_ms in (("rolled", "hour", HOUR_MS), ("sealed", "day", DAY_MS)):
        query = f"SELECT {place}, chunk FROM {table} WHERE series = ? AND {place} <= ? ORDER BY {place} DESC"
        for at, chunk in database.execute(query, (series, until_ms // width_ms)):
            for sample in reversed(samples_of(chunk, at * width_ms)):
                if sample.time_ms <= until_ms:
                    return sample
    return None
