"""Does I/O: the embedded store on SQLite - batches as they came, by gateway and time, a table of latest values, one cursor.

A batch is written once whatever its number of series (a tree of (series, time) rows collapses at many series). Two readings of one
series at one instant are one: the later written one counts.
"""

from __future__ import annotations

import sqlite3
import threading
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from collector.domain.identity import SeriesKey
from collector.domain.series import Sample, SeriesColumn, SeriesInfo
from collector.seams import StorageFailed, StoreBatch
from collector.stores.embedded_schema import open_database
from collector.stores.rollup import thin
from edge_agent.common.hazard import hazard
from edge_agent.contract.message import Limits, Text, Value

KIND = "embedded"


class _Attributes(msgspec.Struct, frozen=True, omit_defaults=True):
    unit: str = ""
    role: str = ""
    kind: str = "number"
    period_ms: int = 0
    decimals: int | None = None
    name: Text | None = None
    limits: Limits | None = None
    texts: dict[str, Text] = {}


class _Column(msgspec.Struct, frozen=True, array_like=True):
    series: int
    times: int
    """Index of its instants in `_Columns.times`."""
    values: list[float | int | bool | str | None]
    qualities: list[int]
    """Empty: all good."""


class _Columns(msgspec.Struct, frozen=True, array_like=True):
    times: list[list[int]]
    columns: list[_Column]


_NEWER = """
INSERT INTO latest VALUES(?,?,?,?) ON CONFLICT(series) DO UPDATE
SET time_ms = excluded.time_ms, value = excluded.value, quality = excluded.quality WHERE excluded.time_ms >= latest.time_ms
"""
_pack = msgspec.msgpack.Encoder().encode
_columns = msgspec.msgpack.Decoder(_Columns)
_attributes = msgspec.msgpack.Decoder(_Attributes)
_value: msgspec.msgpack.Decoder[Value] = msgspec.msgpack.Decoder(float | int | bool | str | None)


class EmbeddedStore:
    """The store of one collector. Writes come from one thread; each reading thread has a connection of its own."""

    def __init__(self, path: Path) -> None:
        """Opens or makes the store. Raises ProblemError (STO501, STO502)."""
        self._path = path
        self._guard = threading.Lock()
        self._all: list[sqlite3.Connection] = []
        self._local = threading.local()
        self._writer = self._connect()
        self._ids: dict[SeriesKey, tuple[int, SeriesInfo]] = {}
        for number, info in self._load_series(self._writer, None):
            self._ids[info.key] = (number, info)

    def cursor(self) -> int:
        """The log offset up to which everything is stored."""
        row = self._reader().execute("SELECT value FROM meta WHERE name = 'cursor'").fetchone()
        return int(row[0]) if row else 0

    def write(self, batches: Sequence[StoreBatch], cursor: int) -> None:
        """One transaction for all batches and the cursor. Raises StorageFailed."""
        known = dict(self._ids)
        try:
            hazard("store.commit.before")
            with self._writer as database:
                database.execute("BEGIN IMMEDIATE")
                for batch in batches:
                    self._write_batch(database, batch)
                database.execute("INSERT OR REPLACE INTO meta VALUES('cursor', ?)", (cursor,))
            hazard("store.commit.after")
        except sqlite3.Error as error:
            self._ids = known
            raise StorageFailed(str(error)) from error

    def series(self, site: str | None = None) -> list[SeriesInfo]:
        """All known series, or one site's, by name."""
        return [info for _, info in self._load_series(self._reader(), site)]

    def latest(self, site: str | None = None) -> dict[SeriesKey, Sample]:
        """The newest reading of each series by time."""
        query = (
            "SELECT site, gateway, device, point, time_ms, value, quality FROM latest JOIN series ON series.id = latest.series"
            + (" WHERE site = ?" if site is not None else "")
        )
        rows = self._rows(query, (site,) if site is not None else ())
        return {SeriesKey(*row[:4]): Sample(row[4], _value.decode(row[5]), row[6]) for row in rows}

    def range(self, key: SeriesKey, from_ms: int, to_ms: int, max_points: int | None = None) -> list[Sample]:
        """Readings with from_ms <= time < to_ms, one per instant, in order of time; thinned to about max_points."""
        samples = self._samples(key, from_ms, to_ms)
        found = [samples[time] for time in sorted(samples)]
        return found if max_points is None else thin(found, from_ms, to_ms, max_points)

    def count(self, key: SeriesKey, from_ms: int, to_ms: int) -> int:
        """How many instants have a reading."""
        return len(self._samples(key, from_ms, to_ms))

    def close(self) -> None:
        """Closes every connection."""
        with self._guard:
            for connection in self._all:
                connection.close()
            self._all.clear()

    # --- writing -----------------------------------------------------------------------------------------------------

    def _write_batch(self, database: sqlite3.Connection, batch: StoreBatch) -> None:
        columns = [column for column in batch.columns if column.times]
        if not columns:
            return
        first_ms = min(min(column.times) for column in columns)
        last_ms = max(max(column.times) for column in columns)
        packed = zlib.compress(_pack(self._packed(database, columns, first_ms)), 1)
        written = database.execute(
            "INSERT OR IGNORE INTO batch(site, gateway, epoch, lane, seq, first_ms, last_ms, columns) VALUES(?,?,?,?,?,?,?,?)",
            (*batch.key, first_ms, last_ms, packed),
        )
        if written.rowcount == 0:
            return
        newest = [self._newest(database, column) for column in columns]
        database.executemany(_NEWER, newest)

    def _newest(self, database: sqlite3.Connection, column: SeriesColumn) -> tuple[int, int, bytes, int]:
        place = max(range(len(column.times)), key=column.times.__getitem__)
        number = self._number(database, column.series, column.times[place])
        return number, column.times[place], _pack(column.values[place]), column.qualities[place]

    def _packed(self, database: sqlite3.Connection, columns: Sequence[SeriesColumn], first_ms: int) -> _Columns:
        """Instants that several series share are kept once. Times count from the batch's first, as steps."""
        times: list[list[int]] = []
        place: dict[tuple[int, ...], int] = {}
        packed = []
        for column in columns:
            instants = tuple(column.times)
            if instants not in place:
                place[instants] = len(times)
                times.append([now - last for now, last in zip(instants, (first_ms, *instants[:-1]), strict=True)])
            good = not any(column.qualities)
            number = self._number(database, column.series, column.times[0])
            packed.append(_Column(number, place[instants], list(column.values), [] if good else list(column.qualities)))
        return _Columns(times, packed)

    def _number(self, database: sqlite3.Connection, info: SeriesInfo, now_ms: int) -> int:
        """The id of a series; changed attributes are noted with the time since when they hold."""
        known = self._ids.get(info.key)
        if known is not None and (known[1] is info or known[1] == info):
            return known[0]
        attributes = _pack(_to_attributes(info))
        if known is None:
            query = "INSERT INTO series(site, gateway, device, point, attributes) VALUES(?,?,?,?,?)"
            number = int(database.execute(query, (*info.key, attributes)).lastrowid or 0)
        else:
            number = known[0]
            database.execute("UPDATE series SET attributes = ? WHERE id = ?", (attributes, number))
        database.execute("INSERT OR REPLACE INTO history VALUES(?,?,?)", (number, now_ms, attributes))
        self._ids[info.key] = (number, info)
        return number

    # --- reading -----------------------------------------------------------------------------------------------------

    def _samples(self, key: SeriesKey, from_ms: int, to_ms: int) -> dict[int, Sample]:
        row = self._rows("SELECT id FROM series WHERE site = ? AND gateway = ? AND device = ? AND point = ?", key)
        if not row:
            return {}
        number = row[0][0]
        samples: dict[int, Sample] = {}
        query = "SELECT first_ms, columns FROM batch WHERE site = ? AND gateway = ? AND last_ms >= ? AND first_ms < ? ORDER BY id"
        for first_ms, packed in self._rows(query, (key.site, key.gateway, from_ms, to_ms)):
            whole = _columns.decode(zlib.decompress(packed))
            for column in whole.columns:
                if column.series == number:
                    _spread(samples, column, whole.times[column.times], first_ms, from_ms, to_ms)
        return samples

    def _load_series(self, database: sqlite3.Connection, site: str | None) -> list[tuple[int, SeriesInfo]]:
        query = "SELECT id, site, gateway, device, point, attributes FROM series"
        query += " WHERE site = ? ORDER BY gateway, id" if site is not None else " ORDER BY site, gateway, id"
        rows = database.execute(query, (site,) if site is not None else ()).fetchall()
        return [(row[0], _to_info(SeriesKey(*row[1:5]), _attributes.decode(row[5]))) for row in rows]

    def _rows(self, query: str, arguments: Sequence[int | str]) -> list[tuple[Any, ...]]:
        try:
            return self._reader().execute(query, arguments).fetchall()
        except sqlite3.Error as error:
            raise StorageFailed(str(error)) from error

    def _connect(self) -> sqlite3.Connection:
        connection = open_database(self._path)
        with self._guard:
            self._all.append(connection)
        return connection

    def _reader(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
        return connection


def _spread(samples: dict[int, Sample], column: _Column, steps: Sequence[int], first_ms: int, from_ms: int, to_ms: int) -> None:
    now = first_ms
    for place, step in enumerate(steps):
        now += step
        if from_ms <= now < to_ms:
            samples[now] = Sample(now, column.values[place], column.qualities[place] if column.qualities else 0)


def _to_attributes(info: SeriesInfo) -> _Attributes:
    return _Attributes(info.unit, info.role, info.kind, info.period_ms, info.decimals, info.name, info.limits, dict(info.texts))


def _to_info(key: SeriesKey, a: _Attributes) -> SeriesInfo:
    return SeriesInfo(key, a.unit, a.role, a.kind, a.period_ms, a.decimals, a.name, a.limits, a.texts)
