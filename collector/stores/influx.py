"""Does I/O: InfluxDB 2 as the store, written through influxdb-client's synchronous write with prebuilt line protocol, gzip.

What each reply means (InfluxDB OSS 2.7 write API): 204 done; any status with "partial write": good lines stored, the others
rejected, nothing sent again; 400 one line is wrong: halve until it stands alone; 413 halve; 429 and 503 wait as told; 401, 403,
404 a person must act, the data is held; everything else and a broken network: try again. Reads use InfluxQL `/query`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import urllib3
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.domain.write_precision import WritePrecision
from influxdb_client.rest import ApiException

from collector.domain.identity import SeriesKey
from collector.domain.series import Sample, SeriesInfo
from collector.seams import StoreAway, StoreBatch, StoreRefused
from collector.stores import line_protocol
from collector.stores.influx_sidecar import Sidecar
from collector.stores.rollup import thin
from edge_agent.contract.message import Value

KIND = "influx"
MAX_LINES = 20_000
"""Lines of one request; half as many after each 413."""
TIMEOUT_MS = 30_000


@dataclass(frozen=True, slots=True)
class InfluxSettings:
    """Where the server is. token is a secret: never logged, never shown."""

    url: str
    org: str
    bucket: str
    token: str = ""


class InfluxStore:
    """The store on a server. Writes come from one thread."""

    def __init__(self, settings: InfluxSettings, sidecar: Path) -> None:
        """sidecar: a small database of this store on this machine."""
        self._settings = settings
        self._sidecar = Sidecar(sidecar)
        self._client = InfluxDBClient(
            url=settings.url, token=settings.token, org=settings.org, timeout=TIMEOUT_MS, enable_gzip=True, retries=False
        )
        self._write_api = self._client.write_api(write_options=SYNCHRONOUS)
        self._http = httpx.Client(base_url=settings.url, timeout=TIMEOUT_MS / 1000, headers=self._login(), follow_redirects=False)
        self._known = self._sidecar.series()
        self._prefixes: dict[SeriesKey, tuple[SeriesInfo, str]] = {}

    def cursor(self) -> int:
        """The log offset up to which the server confirmed everything."""
        return self._sidecar.cursor()

    def write(self, batches: Sequence[StoreBatch], cursor: int) -> None:
        """Raises StoreAway, StoreRefused, StorageFailed; lines that the server rejects are kept in `rejected`."""
        changed: dict[SeriesKey, SeriesInfo] = {}
        lines: list[str] = []
        for batch in batches:
            for column in batch.columns:
                info = column.series
                if self._known.get(info.key) != info:
                    changed[info.key] = info
                lines += line_protocol.lines(column, self._prefix(info))
        rejected: list[tuple[str, str]] = []
        for start in range(0, len(lines), MAX_LINES):
            rejected += self._send(lines[start : start + MAX_LINES])
        self._sidecar.advance(cursor, changed.values(), rejected)
        self._known |= changed

    def rejected(self) -> list[tuple[str, str]]:
        """(reason, line) of what the server refused."""
        return self._sidecar.rejected()

    def series(self, site: str | None = None) -> list[SeriesInfo]:
        """Every series ever written through this store."""
        return [info for info in self._known.values() if site is None or info.key.site == site]

    def latest(self, site: str | None = None) -> dict[SeriesKey, Sample]:
        """The newest reading of each series by time. Raises StoreAway, StoreRefused."""
        where = f" WHERE \"site\" = '{_literal(site)}'" if site is not None else ""
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
        self._write_api.close()  # type: ignore[no-untyped-call]  # the library leaves it untyped
        self._client.close()  # type: ignore[no-untyped-call]  # the library leaves it untyped
        self._http.close()
        self._sidecar.close()

    def _login(self) -> dict[str, str]:
        return {"Authorization": f"Token {self._settings.token}"} if self._settings.token else {}

    def _prefix(self, info: SeriesInfo) -> str:
        known = self._prefixes.get(info.key)
        if known is None or known[0] is not info:
            known = self._prefixes[info.key] = (info, line_protocol.prefix(info))
        return known[1]

    def _send(self, lines: Sequence[str]) -> list[tuple[str, str]]:
        """Sends lines; gives those that the server rejected for good, with its reason."""
        if not lines:
            return []
        settings = self._settings
        try:
            self._write_api.write(settings.bucket, settings.org, "\n".join(lines).encode(), WritePrecision.MS)  # type: ignore[arg-type]  # its constants are str
        except ApiException as error:
            return self._after_error(lines, error)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise StoreAway(f"{settings.url}: {error}") from error
        return []

    def _after_error(self, lines: Sequence[str], error: ApiException) -> list[tuple[str, str]]:
        status, body = int(error.status or 0), _text(error.body)
        if "partial write" in body:
            return [(body[:500], line) for line in _named(body, lines)]
        if status in (400, 413, 422):
            if len(lines) == 1:
                return [(f"{status}: {body[:500]}", lines[0])]
            half = len(lines) // 2
            return [*self._send(lines[:half]), *self._send(lines[half:])]
        if status in (401, 403, 404):
            raise StoreRefused(f"{status}: {body[:300]}")
        headers = {name.lower(): value for name, value in (error.headers or {}).items()}
        raise StoreAway(f"{status}: {body[:300]}", _retry_after_s(headers))

    def _query(self, query: str) -> Iterator[tuple[SeriesKey, list[Sample]]]:
        try:
            reply = self._http.get("/query", params={"db": self._settings.bucket, "q": query, "epoch": "ms"})
        except httpx.HTTPError as error:
            raise StoreAway(str(error)) from error
        if reply.status_code in (401, 403, 404):
            raise StoreRefused(f"{reply.status_code}: {reply.text[:300]}")
        if reply.status_code != 200:
            raise StoreAway(f"{reply.status_code}: {reply.text[:300]}")
        for result in reply.json().get("results", ()):
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


def _literal(text: str | None) -> str:
    return (text or "").replace("\\", "\\\\").replace("'", "\\'")


def _text(body: object) -> str:
    return body.decode(errors="replace") if isinstance(body, bytes) else str(body or "")


def _named(body: str, lines: Sequence[str]) -> list[str]:
    """The lines a partial write speaks of. The server mostly tells only how many: then one entry stands for the whole request."""
    named = [line for line in lines if line in body]
    return named or [f"some of {len(lines)} lines from: {lines[0]}"]


def _retry_after_s(headers: Mapping[str, str]) -> float:
    try:
        return min(300.0, max(0.1, float(headers.get("retry-after", "1"))))
    except ValueError:
        return 1.0
