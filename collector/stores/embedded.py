"""Does I/O: the embedded store on SQLite - batches as they came, by gateway and time, a table of latest values, one cursor.

A batch is written once whatever its number of series (a tree of (series, time) rows collapses at many series). Two readings of one
series at one instant are one: the later written one counts. Hours that are quiet become chunks by series (embedded_hours.py), days
that are over one chunk for each series (embedded_days.py).
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from collector.domain.identity import GatewayId, SeriesKey
from collector.domain.series import AHEAD_MS, Sample, SeriesInfo
from collector.seams import StorageFailed, StoreBatch
from collector.stores import StoreSettings
from collector.stores import embedded_days as days
from collector.stores import embedded_hours as hours
from collector.stores.embedded_rescue import renew
from collector.stores.embedded_rows import pack_attributes, pack_columns, pack_value, unpack_attributes, unpack_value
from collector.stores.embedded_schema import COLUMNS, READER_KIB, open_database, open_sound, opening
from collector.stores.rollup import HOUR_MS, MINUTE_MS, Minute, thin, whole_window
from edge_agent.common.clock import Clock, SystemClock
from edge_agent.common.file_rescue import asides
from edge_agent.common.hazard import hazard
from edge_agent.common.page_cache import release_pages
from edge_agent.common.problem import Problem
from edge_agent.common.row_checks import sound

KIND = "embedded"
FILE = "store.sqlite"
TIDY_STEPS = 4
"""Hours or days that are rolled up after each write, at most."""
FEW_BATCHES = 100
"""A smaller write lets go of the pages it touched: kept, they fill the cache over the first hours. The kernel has them."""
T = TypeVar("T")
_log = logging.getLogger(__name__)
_META, _LATEST, _SERIES = (sound(COLUMNS, table) for table in ("meta", "latest", "series"))
_NEWER = """
INSERT INTO latest(series, time_ms, value, quality) VALUES(?,?,?,?) ON CONFLICT(series) DO UPDATE
SET time_ms = excluded.time_ms, value = excluded.value, quality = excluded.quality
WHERE excluded.time_ms >= latest.time_ms OR latest.time_ms > ?
"""


_Newest = tuple[int, bytes, int]
"""Of table `latest`: time, value, quality."""


@dataclass(frozen=True, slots=True)
class _Known:
    """One series: its id, its present attributes, and since when they hold (ms UTC, time of measurement)."""

    id: int
    info: SeriesInfo
    since_ms: int


class EmbeddedStore:
    """The store of one collector. Writes come from one thread; each reading thread has a connection of its own."""

    def __init__(self, path: Path, clock: Clock | None = None) -> None:
        """Opens or makes the store. Raises ProblemError (STO501, STO502)."""
        self._path = path
        self._clock = clock or SystemClock()
        self._guard = threading.Lock()
        self._all: list[sqlite3.Connection] = []
        self._local = threading.local()
        self._writer = open_sound(path, lambda damaged, new: renew(damaged, new, self._until_ms(), self._clock.utc_ms()))
        self._all.append(self._writer)
        with opening(path):
            self._asides = asides(path)
            self._last_batch = _last_batch(self._writer)
            self._known = {known.info.key: known for known in _load_series(self._writer, None)}
        self._changed: dict[SeriesKey, _Known | None] = {}
        """What the write at hand replaced in `_known`."""
        self._spans: dict[GatewayId, int] = {}

    def problems(self) -> list[Problem]:
        """What a person should know: a damaged file was replaced and nobody has looked at it yet."""
        if not self._asides:
            return []
        kept = ", ".join(aside.name for aside in self._asides)
        what = f"The store was damaged. It is kept as {kept}; what was sound is in use, the log was read again."
        do = "check the disk; if older readings are missing, use `collector restore`. This is told until you move that file away."
        return [Problem("STO503", str(self._path), what, do)]

    def cursor(self) -> int:
        """The log offset up to which everything is stored."""
        with self._reading() as database:
            row = database.execute(f"SELECT value FROM meta WHERE name = 'cursor' AND {_META}").fetchone()
        return int(row[0]) if row else 0

    def write(self, batches: Sequence[StoreBatch], cursor: int) -> None:
        """One transaction for all batches and the cursor. Raises StorageFailed."""
        self._changed = {}
        try:
            with self._writer as database:
                database.execute("BEGIN IMMEDIATE")
                now_ms = self._clock.utc_ms()
                touched: dict[GatewayId, set[int]] = {}
                newest: dict[int, _Newest] = {}
                for batch in batches:
                    self._write_batch(database, batch, touched, newest, now_ms + AHEAD_MS)
                rows = [(id, *of_series, now_ms + AHEAD_MS) for id, of_series in newest.items()]
                database.executemany(_NEWER, rows)
                for gateway, those in touched.items():
                    hours.mark(database, gateway, those, now_ms)
                known = (("cursor", cursor), ("batch", self._last_batch))
                database.executemany("INSERT OR REPLACE INTO meta(name, value) VALUES(?,?)", known)
                hazard("store.commit.before")
            hazard("store.commit.after")
        except sqlite3.Error as error:
            self._forget_changes()
            raise StorageFailed(str(error)) from error
        for _ in range(TIDY_STEPS):
            if not self.tidy():
                break
        if len(batches) < FEW_BATCHES:
            release_pages(self._writer)

    def tidy(self) -> bool:
        """Rolls up one hour that has been quiet long enough, or seals a day; False if there is none.

        A failure is noted and tried again later.
        """
        now_ms = self._clock.utc_ms()
        try:
            return hours.roll_one(self._writer, now_ms) or days.seal_one(self._writer, now_ms)
        except sqlite3.Error as error:
            _log.warning("an hour or a day cannot be rolled up: %s", error)
            return False

    def series(self, site: str | None = None) -> list[SeriesInfo]:
        """All known series, or one site's, by name."""
        with self._reading() as database:
            return [known.info for known in _load_series(database, site)]

    def latest(self, site: str | None = None) -> dict[SeriesKey, Sample]:
        """The newest reading of each series by time; what is stamped more than AHEAD_MS ahead of the clock is left out."""
        query = (
            "SELECT site, gateway, device, point, time_ms, value, quality FROM latest JOIN series ON series.id = latest.series"
            + f" WHERE time_ms <= ? AND {_LATEST} AND {_SERIES}"
            + (" AND site = ?" if site is not None else "")
        )
        with self._reading() as database:
            rows = database.execute(query, (self._until_ms(), *((site,) if site is not None else ()))).fetchall()
        return {SeriesKey(*row[:4]): Sample(row[4], unpack_value(row[5]), row[6]) for row in rows}

    def range(self, key: SeriesKey, from_ms: int, to_ms: int, max_points: int | None = None) -> list[Sample]:
        """Readings with from_ms <= time < to_ms, one per instant, in order of time; thinned to about max_points.

        Intervals of a minute or more begin at whole minutes, of an hour or more at whole hours, and come from roll-ups.
        """
        if max_points is None:
            return self._of_series(key, lambda db, id: hours.readings(db, key, id, from_ms, to_ms), list[Sample]())
        width_ms = (to_ms - from_ms) // max(1, max_points // 2)
        if width_ms < MINUTE_MS:
            found = self._of_series(key, lambda db, id: hours.readings(db, key, id, from_ms, to_ms), list[Sample]())
            return thin(found, from_ms, to_ms, max_points)
        by_hours = width_ms >= HOUR_MS
        found = self._of_series(key, lambda db, id: hours.charted(db, key, id, from_ms, to_ms, by_hours), list[Sample]())
        return thin(found, *whole_window(from_ms, to_ms, max_points, HOUR_MS if by_hours else MINUTE_MS), max_points)

    def minutes(self, key: SeriesKey, from_ms: int, to_ms: int) -> list[Minute]:
        """Roll-ups of the minutes that touch the window; minutes without readings are left out."""
        start_ms, end_ms = from_ms // MINUTE_MS * MINUTE_MS, -(-to_ms // MINUTE_MS) * MINUTE_MS
        return self._of_series(key, lambda db, id: hours.by_minutes(db, key, id, start_ms, end_ms), list[Minute]())

    def count(self, key: SeriesKey, from_ms: int, to_ms: int) -> int:
        """How many instants have a reading."""
        return self._of_series(key, lambda db, id: hours.counted(db, key, id, from_ms, to_ms), 0)

    def close(self) -> None:
        """Closes every connection."""
        with self._guard:
            for connection in self._all:
                connection.close()
            self._all.clear()

    # --- writing -----------------------------------------------------------------------------------------------------

    def _write_batch(
        self,
        database: sqlite3.Connection,
        batch: StoreBatch,
        touched: dict[GatewayId, set[int]],
        newest: dict[int, _Newest],
        until_ms: int,
    ) -> None:
        """One row. touched: the hours it touches; newest: of each series the latest reading that is not after until_ms."""
        columns = [column for column in batch.columns if column.times]
        if not columns:
            return
        instants = list({id(column.times): column.times for column in columns}.values())  # columns share them
        first_ms, last_ms = min(map(min, instants)), max(map(max, instants))
        packed = pack_columns(columns, first_ms, lambda info, at_ms: self._number(database, info, at_ms))
        query = "INSERT OR IGNORE INTO batch(id, site, gateway, epoch, lane, seq, first_ms, last_ms, columns)"
        row = (self._last_batch + 1, *batch.key, first_ms, last_ms, packed)
        written = database.execute(f"{query} VALUES(?,?,?,?,?,?,?,?,?)", row)
        if written.rowcount == 0:
            return
        self._last_batch += 1
        gateway = GatewayId(batch.key.site, batch.key.gateway)
        if last_ms - first_ms > self._spans.get(gateway, -1):
            hours.widen(database, gateway, last_ms - first_ms)
            self._spans[gateway] = last_ms - first_ms
        those = touched.setdefault(gateway, set())
        if first_ms // HOUR_MS == last_ms // HOUR_MS:
            those.add(first_ms // HOUR_MS)
        else:
            those.update(time_ms // HOUR_MS for times in instants for time_ms in times)
        places = {id(times): _latest_place(times, until_ms) for times in instants}
        for column in columns:
            place = places[id(column.times)]
            if place is None:
                continue
            number, time_ms = self._number(database, column.series, column.times[place]), column.times[place]
            known = newest.get(number)
            if known is None or time_ms >= known[0]:
                newest[number] = (time_ms, pack_value(column.values[place]), column.qualities[place])

    def _until_ms(self) -> int:
        """The last instant that may speak of the present."""
        return self._clock.utc_ms() + AHEAD_MS

    def _number(self, database: sqlite3.Connection, info: SeriesInfo, at_ms: int) -> int:
        """The id of a series. Changed attributes go into its history; the newest by time of measurement are the present ones."""
        known = self._known.get(info.key)
        if known is not None and (known.info is info or known.info == info):
            return known.id
        at_ms = min(at_ms, self._clock.utc_ms())
        attributes = pack_attributes(info)
        if known is None:
            query = "INSERT INTO series(site, gateway, device, point, attributes, since_ms) VALUES(?,?,?,?,?,?)"
            number = int(database.execute(query, (*info.key, attributes, at_ms)).lastrowid or 0)
        else:
            number = known.id
        database.execute("INSERT OR REPLACE INTO history(series, from_ms, attributes) VALUES(?,?,?)", (number, at_ms, attributes))
        if known is None or at_ms >= known.since_ms:
            if known is not None:
                query = "UPDATE series SET attributes = ?, since_ms = ? WHERE id = ?"
                database.execute(query, (attributes, at_ms, number))
            self._changed.setdefault(info.key, known)
            self._known[info.key] = _Known(number, info, at_ms)
        return number

    def _forget_changes(self) -> None:
        self._spans.clear()
        for key, before in self._changed.items():
            if before is None:
                del self._known[key]
            else:
                self._known[key] = before

    # --- reading -----------------------------------------------------------------------------------------------------

    def _of_series(self, key: SeriesKey, read: Callable[[sqlite3.Connection, int], T], nothing: T) -> T:
        with self._reading() as database:
            query = f"SELECT id FROM series WHERE site = ? AND gateway = ? AND device = ? AND point = ? AND {_SERIES}"
            row = database.execute(query, key).fetchone()
            return read(database, row[0]) if row else nothing

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """One state of the store for several queries. Raises StorageFailed."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
        try:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.rollback()
        except sqlite3.Error as error:
            raise StorageFailed(str(error)) from error

    def _connect(self) -> sqlite3.Connection:
        connection = open_database(self._path, READER_KIB)
        with self._guard:
            self._all.append(connection)
        return connection


def open_store(settings: StoreSettings) -> EmbeddedStore:
    """The store in the collector's state folder. Raises ProblemError (STO501, STO502)."""
    return EmbeddedStore(settings.folder / FILE)


def _latest_place(times: Sequence[int], until_ms: int) -> int | None:
    """Where the latest instant stands; None where every one lies after until_ms."""
    latest_ms: int | None = max(times)
    if latest_ms is not None and latest_ms > until_ms:
        latest_ms = max((time_ms for time_ms in times if time_ms <= until_ms), default=None)
    return None if latest_ms is None else times.index(latest_ms)


def _last_batch(database: sqlite3.Connection) -> int:
    """The highest id that a batch ever had: hours are rolled up to one, so none may come twice."""
    query = "SELECT max(coalesce((SELECT max(id) FROM batch), 0), coalesce((SELECT max(upto) FROM rolled), 0),"
    query += f" coalesce((SELECT value FROM meta WHERE name = 'batch' AND {_META}), 0))"
    return int(database.execute(query).fetchone()[0])


def _load_series(database: sqlite3.Connection, site: str | None) -> list[_Known]:
    query = "SELECT id, site, gateway, device, point, attributes, since_ms FROM series"
    query += f" WHERE {_SERIES}"
    query += " AND site = ? ORDER BY gateway, id" if site is not None else " ORDER BY site, gateway, id"
    rows = database.execute(query, (site,) if site is not None else ()).fetchall()
    return [_Known(row[0], unpack_attributes(SeriesKey(*row[1:5]), row[5]), row[6]) for row in rows]
