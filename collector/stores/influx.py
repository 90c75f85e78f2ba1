"""Does I/O: InfluxDB 2 as the store: written as line protocol (_influx_write.py), read with InfluxQL `/query`.

Cursor, series with their attributes and rejected lines are kept on this machine (influx_sidecar.py): the server has no place for
them that is written together with the readings. Writing again changes nothing: one series has one reading per instant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from collector.domain.identity import SeriesKey
from collector.domain.series import AHEAD_MS, Sample, SeriesInfo
from collector.seams import StoreAway, StoreBatch, StoreRefused
from collector.stores import StoreSettings, line_protocol
from collector.stores.influx_sidecar import Sidecar
from collector.stores.rollup import thin
from edge_agent.common.clock import Clock, SystemClock
from edge_agent.contract.message import Value

KIND = "influx"
FILE = "influx.sqlite"
"""What this store remembers on this machine."""
TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class InfluxSettings:
    """Where the server is. token is a secret: never logged, never shown."""

    url: str
    org: str
    bucket: str
    token: str = field(default="", repr=False)


class InfluxStore:
    """The store on a server. Writes come from one thread."""

    def __init__(self, settings: InfluxSettings, sidecar: Path, clock: Clock | None = None) -> None:
        """sidecar: a small database of this store on this machine."""
        from collector.stores._influx_write import LineWriter  # influxdb-client costs 30 MB that the embedded store does not need

        self._settings = settings
        self._clock = clock or SystemClock()
        self._sidecar = Sidecar(sidecar)
        self._writer = LineWriter(settings.url, settings.org, settings.bucket, settings.token)
        self._http = httpx.Client(base_url=settings.url, timeout=TIMEOUT_S, headers=self._login(), follow_redirects=False)
        self._known = self._sidecar.series()
        self._prefixes: dict[SeriesKey, tuple[SeriesInfo, str]] = {}
        self._lines = line_protocol.Lines()

    def cursor(self) -> int:
        """The log offset up to which the server confirmed everything."""
        return self._sidecar.cursor()

    def write(self, batches: Sequence[StoreBatch], cursor: int) -> None:
        """Raises StoreAway, StoreRefused, StorageFailed; lines that the server rejects are kept in `rejected`."""
        changed: dict[SeriesKey, SeriesInfo] = {}
        texts: list[str] = []
        for batch in batches:
            for column in batch.columns:
                info = column.series
                known = self._known.get(info.key)
                if known is not info and known != info:
                    changed[info.key] = info
                if column.times:
                    texts.append(self._lines.text(column, self._prefix(info)))
        rejected = self._writer.write(texts)
        self._sidecar.advance(cursor, changed.values(), rejected)
        self._known |= changed

    def tidy(self) -> bool:
        """The server keeps itself in order."""
        return False

    def rejected(self) -> list[tuple[str, str]]:
        """(reason, line) of what the server refused."""
        return self._sidecar.rejected()

    def series(self, site: str | None = None) -> list[SeriesInfo]:
        """Every series ever written through this store."""
        return [info for info in self._known.values() if site is None or info.key.site == site]

    def latest(self, site: str | None = None) -> dict[SeriesKey, Sample]:
        """The newest reading of each series by time; what is stamped more than AHEAD_MS ahead of the clock is left out.

        Raises StoreAway, StoreRefused.
        """
        where = f" WHERE time <= {self._clock.utc_ms() + AHEAD_MS}ms"
        where += f" AND \"site\" = '{_literal(site)}'" if site is not None else ""
        query = f'SELECT "value", "text", "quality" FROM "reading"{where} GROUP BY * ORDER BY time DESC LIMIT 1'
        found: dict[SeriesKey, Sample] = {}
        for key, samples in self._query(query):
            for sample in samples:
                if key not in found or found[key].time_ms < sample.time_ms:
                    found[key] = sample
        return found

    def range(self, key: SeriesKey, from_ms: int, to_ms: int, max_points: int | None = None) -> list[Sample]:
        """Readings with from_ms <= time < to_ms in order of time. Raises StoreAway, StoreRefused."""
        names = ("site", "gateway", "device", "point")
        tags = " AND ".join(f"\"{name}\" = '{_literal(value)}'" for name, value in zip(names, key, strict=True))
        time = f"time >= {int(from_ms)}ms AND time < {int(to_ms)}ms"
        query = f'SELECT "value", "text", "quality" FROM "reading" WHERE {tags} AND {time} GROUP BY *'
        samples = {sample.time_ms: sample for _, rows in self._query(query) for sample in rows}
        found = [samples[time_ms] for time_ms in sorted(samples)]
        return found if max_points is None else thin(found, from_ms, to_ms, max_points)

    def count(self, key: SeriesKey, from_ms: int, to_ms: int) -> int:
        """How many instants have a reading. Raises StoreAway, StoreRefused."""
        return len(self.range(key, from_ms, to_ms))

    def close(self) -> None:
        """Closes connections and the sidecar."""
        self._writer.close()
        self._http.close()
        self._sidecar.close()

    def _login(self) -> dict[str, str]:
        return {"Authorization": f"Token {self._settings.token}"} if self._settings.token else {}

    def _prefix(self, info: SeriesInfo) -> str:
        known = self._prefixes.get(info.key)
        if known is None or known[0] is not info:
            known = self._prefixes[info.key] = (info, line_protocol.prefix(info))
        return known[1]

    def _query(self, query: str) -> Iterator[tuple[SeriesKey, list[Sample]]]:
        try:
            reply = self._http.get("/query", params={"db": self._settings.bucket, "q": query, "epoch": "ms"})
        except httpx.HTTPError as error:
            raise StoreAway(str(error)) from error
        if reply.status_code in (401, 403, 404):
            raise StoreRefused(f"{reply.status_code}: {reply.text[:300]}")
        if reply.status_code != 200:
            raise StoreAway(f"{reply.status_code}: {reply.text[:300]}")
        for result in _results(reply):
            for series in result.get("series", ()):
                tags = series.get("tags", {})
                key = SeriesKey(tags["site"], tags["gateway"], tags["device"], tags["point"])
                yield key, [self._sample(key, *row) for row in series["values"]]

    def _sample(self, key: SeriesKey, time_ms: int, number: float | None, text: str | None, quality: int | None) -> Sample:
        info = self._known.get(key)
        value: Value = text if text is not None else number
        if info is not None and info.kind == "bool" and number is not None:
            value = bool(number)
        return Sample(time_ms, value, int(quality or 0))


def open_store(settings: StoreSettings) -> InfluxStore:
    """The store on the server of the settings. Raises ProblemError (STO501, STO502)."""
    server = InfluxSettings(settings.url, settings.org, settings.bucket, settings.token)
    return InfluxStore(server, settings.folder / FILE)


def _results(reply: httpx.Response) -> Sequence[Any]:
    """The results of a query. Raises StoreRefused for an error told with status 200, StoreAway for what is no reply of InfluxDB."""
    try:
        results: Sequence[Any] = reply.json()["results"]
        told = [result["error"] for result in results if "error" in result]
    except (ValueError, KeyError, TypeError) as error:
        raise StoreAway(f"no reply of InfluxDB: {reply.text[:100]!r}") from error
    if told:
        raise StoreRefused(f"query: {told[0]}")
    return results


def _literal(text: str | None) -> str:
    return (text or "").replace("\\", "\\\\").replace("'", "\\'")
