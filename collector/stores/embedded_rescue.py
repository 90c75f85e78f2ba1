"""Does I/O: a new embedded store from what is sound in a damaged one; what follows from batches is worked out anew."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from collector.domain.identity import GatewayId
from collector.domain.series import Sample
from collector.stores import embedded_hours as hours
from collector.stores.embedded_rows import pack_value, unpack_columns
from collector.stores.embedded_schema import COLUMNS
from collector.stores.rollup import HOUR_MS
from edge_agent.common.row_checks import rescue

_KEPT = ("series", "history", "batch", "latest")


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
        spans = "SELECT site, gateway, max(last_ms - first_ms) FROM batch GROUP BY site, gateway"
        database.execute(f"INSERT INTO span(site, gateway, ms) {spans}")
        database.execute("DELETE FROM latest WHERE series NOT IN (SELECT id FROM series)")
        database.executemany(
            "INSERT OR IGNORE INTO latest(series, time_ms, value, quality) VALUES(?,?,?,?)",
            [(series, s.time_ms, pack_value(s.value), s.quality) for series, s in newest.items()],
        )
        return int(database.execute("SELECT count(*) FROM batch").fetchone()[0])
