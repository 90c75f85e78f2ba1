"""Does I/O: size and speed of the embedded store: sealed days, a year, a day of raw values, latest values, many series.

    python -m benchmarks stores
    python -m benchmarks.stores PATH/train.csv.gz      the whole GECCO 2018 record instead of three days of it

The record of a drinking-water station (examples/demo/record: GECCO 2018, TH Koeln SPOTSeven Lab and Thueringer
Fernwasserversorgung), nine quantities a minute, is written in half-hour batches, again and again until it is a month of three
stations, and sealed; counted are all pages of the file that are in use. Times are the best of nine reads, on a connection that is
open; the store's clock is set, not waited for.
"""

from __future__ import annotations

import csv
import gzip
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from random import Random

from benchmarks.station import KINDS
from benchmarks.table import Figure, show
from collector.domain.identity import SeriesKey
from collector.domain.series import SeriesColumn, SeriesInfo
from collector.intake.records import BatchKey
from collector.seams import StoreBatch
from collector.stores.embedded import EmbeddedStore
from collector.stores.embedded_hours import DAY_MS, QUIET_MS
from edge_agent.common.memory import look_for_cycles_rarely
from edge_agent.contract.message import Value

RECORD = Path(__file__).parents[1] / "examples" / "demo" / "record" / "three-days.csv.gz"
EPOCH = "1-0123456789abcdef"
START_MS = 1_790_000_000_000 // DAY_MS * DAY_MS
MINUTE_MS = 60_000
STATIONS, TIMES = 3, 10
READS = 9
FEW_GATEWAYS, MANY_GATEWAYS, POINTS = 100, 10_000, 50


class SetClock:
    """A clock that the benchmark sets."""

    def __init__(self) -> None:
        self.now_ms = START_MS

    def monotonic_ms(self) -> int:
        return self.now_ms

    def utc_ms(self) -> int:
        return self.now_ms


def info(site: str, point: str) -> SeriesInfo:
    """A series of a gateway `gw`."""
    return SeriesInfo(SeriesKey(site, "gw", "panel", point), "mg/l", period_ms=MINUTE_MS)


def batch(site: str, seq: int, columns: Sequence[SeriesColumn]) -> StoreBatch:
    """One message of a site's gateway."""
    return StoreBatch(BatchKey(site, "gw", EPOCH, "n", seq), columns)


def sealed(store: EmbeddedStore, clock: SetClock) -> None:
    """Time passes until everything is sealed."""
    clock.now_ms += 3 * DAY_MS + QUIET_MS
    while store.tidy():
        pass


def record(path: Path) -> list[tuple[int, list[tuple[str, float]]]]:
    """Rows of the record: ms UTC, and name and value of each quantity that is there."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [
            (
                int(datetime.fromisoformat(row.pop("time")).timestamp() * 1000),
                [(name, float(value)) for name, value in row.items() if value not in ("", "NA") and name != "event"],
            )
            for row in csv.DictReader(file)
        ]


def bytes_sealed(folder: Path, path: Path, stations: int, repeated: int) -> tuple[float, float]:
    """Bytes a reading of the sealed record in the file, and of its chunks alone."""
    clock = SetClock()
    store = EmbeddedStore(folder / "sealed.sqlite", clock)
    once = record(path)
    span_ms = -(-(once[-1][0] - once[0][0]) // DAY_MS) * DAY_MS
    rows = [(time_ms + n * span_ms, row) for n in range(repeated) for time_ms, row in once]
    clock.now_ms = rows[-1][0]
    readings = 0
    for station in range(stations):
        site = f"station-{station}"
        infos = {name: info(site, name) for _, row in rows for name, _ in row}
        batches = []
        for seq, begin in enumerate(range(0, len(rows), 30), 1):
            by_name: dict[str, tuple[list[int], list[Value]]] = {}
            for time_ms, row in rows[begin : begin + 30]:
                for name, value in row:
                    times, values = by_name.setdefault(name, ([], []))
                    times.append(time_ms)
                    values.append(value)
            readings += sum(len(times) for times, _ in by_name.values())
            columns = [SeriesColumn(infos[name], times, values, [0] * len(times)) for name, (times, values) in by_name.items()]
            batches.append(batch(site, seq, columns))
        store.write(batches, station + 1)
    sealed(store, clock)
    database = store._writer
    pages, free, size = (database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size"))
    chunks = database.execute("SELECT sum(length(chunk)) FROM sealed").fetchone()[0]
    store.close()
    return (pages - free) * size / readings, chunks / readings


def timed(read: Callable[[], object]) -> float:
    """Milliseconds, the best of some reads: what others do on the machine is not the store's."""
    spent = []
    for _ in range(READS):
        begin = time.perf_counter()
        read()
        spent.append((time.perf_counter() - begin) * 1000)
    return min(spent)


def walk(count: int, seed: int = 1) -> list[float]:
    """Values of one of the station's quantities."""
    chance, (_, middle, decimals, step) = Random(seed), KINDS[seed % len(KINDS)]
    now, found = middle, []
    for _ in range(count):
        now += chance.gauss(0, step) + 0.01 * (middle - now)
        found.append(round(now, decimals))
    return found


def year(folder: Path) -> float:
    """How long a year of a point read once a minute takes to be drawn, ms."""
    clock = SetClock()
    store = EmbeddedStore(folder / "year.sqlite", clock)
    series, values = info("a", "level"), walk(366 * 1440)
    for day in range(366):
        times = range(START_MS + day * DAY_MS, START_MS + (day + 1) * DAY_MS, MINUTE_MS)
        column = SeriesColumn(series, times, values[day * 1440 : (day + 1) * 1440], [0] * 1440)
        store.write([batch("a", day + 1, [column])], day + 1)
        clock.now_ms += DAY_MS
    sealed(store, clock)
    found = store.range(series.key, START_MS, START_MS + 366 * DAY_MS, 1000)
    if not (500 < len(found) <= 1100 and min(values) in {s.value for s in found} and max(values) in {s.value for s in found}):
        raise AssertionError(f"the year is drawn with {len(found)} readings, or without its extremes")
    spent = timed(lambda: store.range(series.key, START_MS, START_MS + 366 * DAY_MS, 1000))
    store.close()
    return spent


def day(folder: Path) -> tuple[float, float]:
    """How long a day of raw values of one of fifty points takes, while the day is on and when it is sealed, ms."""
    clock = SetClock()
    store = EmbeddedStore(folder / "day.sqlite", clock)
    infos, values = [info("a", f"point-{n}") for n in range(POINTS)], [walk(1440, n) for n in range(POINTS)]
    for minute in range(1440):
        at_ms = START_MS + minute * MINUTE_MS
        for part in range(5):  # a batch each 12 s, with the points that were read meanwhile
            columns = [SeriesColumn(infos[n], [at_ms + part * 12_000], [values[n][minute]], [0]) for n in range(part, POINTS, 5)]
            store.write([batch("a", minute * 5 + part + 1, columns)], minute)
        clock.now_ms = at_ms + MINUTE_MS

    def read() -> None:
        if len(store.range(infos[7].key, START_MS, START_MS + DAY_MS)) != 1440:
            raise AssertionError("a reading is missing")

    hot = timed(read)
    sealed(store, clock)
    cold = timed(read)
    store.close()
    return hot, cold


def instant(gateways: int, infos: Sequence[Sequence[SeriesInfo]], number: int) -> Iterable[StoreBatch]:
    """One reading of every point of every gateway."""
    times, good = [START_MS + number * MINUTE_MS], [0]
    for gateway in range(gateways):
        columns = [SeriesColumn(series, times, [20.0 + number / 10], good) for series in infos[gateway]]
        yield batch(f"site-{gateway}", number + 1, columns)


def written(folder: Path, gateways: int) -> tuple[float, float]:
    """Readings a second into a store with so many gateways, and the ms that the latest values of 10,000 points take."""
    clock = SetClock()
    store = EmbeddedStore(folder / f"{gateways}.sqlite", clock)
    infos = [[info(f"site-{gateway}", f"point-{n}") for n in range(POINTS)] for gateway in range(gateways)]
    store.write(list(instant(gateways, infos, 0)), 1)
    rates = []
    for number in range(1, 4):
        batches = list(instant(gateways, infos, number))
        begin = time.perf_counter()
        for first in range(0, gateways, 200):
            store.write(batches[first : first + 200], number * gateways + first)
        rates.append(gateways * POINTS / (time.perf_counter() - begin))
    latest = timed(store.latest) if gateways * POINTS <= 10_000 else 0.0
    store.close()
    return statistics.median(rates), latest


def main(path: Path = RECORD, stations: int = STATIONS, repeated: int = TIMES) -> int:
    """Prints the table."""
    look_for_cycles_rarely()  # as the collector does
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole, chunks = bytes_sealed(folder, path, stations, repeated)
        year_ms = year(folder)
        hot_ms, cold_ms = day(folder)
        few, _ = written(folder, FEW_GATEWAYS)
        _, latest_ms = written(folder, 200)
        many, _ = written(folder, MANY_GATEWAYS)
    return show(
        "The embedded store",
        [
            Figure(f"the sealed GECCO station ({stations * repeated} times {path.name}): a reading, on disk", whole, "B", 0.6),
            Figure("... its chunks alone", chunks, "B"),
            Figure("a year of a point read once a minute, drawn with 1,000 readings", year_ms, "ms", 50),
            Figure("a day of raw values of one of fifty points, today", hot_ms, "ms", 20),
            Figure("... when it is sealed", cold_ms, "ms", 20),
            Figure("the latest values of 10,000 points", latest_ms, "ms", 50),
            Figure("written into 5,000 series, one reading of each in turn", few, "/s"),
            Figure("written into 500,000 series", many, "/s"),
            Figure("... of the former", many / few, "times", at_least=0.5),
        ],
    )


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), 1, 1) if len(sys.argv) > 1 else main())
