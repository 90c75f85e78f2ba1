"""Does I/O: writes line protocol to InfluxDB 2 through influxdb-client's synchronous write, gzip.

What each reply means (InfluxDB OSS 2.7, POST /api/v2/write): 204 done; any status with "partial write": good lines stored, the
others rejected, nothing sent again; 400 one line is wrong: halve until it stands alone; 413 halve; 429 and 503 wait as told; 401,
403, 404 a person must act, the data is held; everything else and a broken network: try again, each time later.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from random import Random

import urllib3
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.domain.write_precision import WritePrecision
from influxdb_client.rest import ApiException
from influxdb_client.service.write_service import WriteService

from collector.seams import StoreAway, StoreRefused

MAX_BYTES = 2 << 20
"""Text of one request, about 20,000 lines; half as many lines after each 413."""
GZIP = 16 + zlib.MAX_WBITS
LEVEL = 1
"""Of compression. The client's own is 9, which costs fifteen times the time for a quarter fewer bytes."""
TIMEOUT_MS = 30_000
LONGEST_BACKOFF_S = 60.0


class LineWriter:
    """Lines to one bucket. For one thread."""

    def __init__(self, url: str, org: str, bucket: str, token: str) -> None:
        self._url, self._org, self._bucket = url, org, bucket
        self._client = InfluxDBClient(url=url, token=token, org=org, timeout=TIMEOUT_MS, retries=False)
        self._service = WriteService(self._client.api_client)  # type: ignore[no-untyped-call]  # it takes what is compressed already
        self._failures = 0
        self._chance = Random()  # spreads the attempts of several collectors; nothing depends on it

    def write(self, texts: Iterable[str]) -> list[tuple[str, str]]:
        """Sends texts of one or more lines; gives (reason, line) of those that the server rejected for good.

        Raises StoreAway, StoreRefused.
        """
        rejected: list[tuple[str, str]] = []
        gathered, size = list[str](), 0
        for text in texts:
            if size + len(text) > MAX_BYTES:
                rejected += self._send("\n".join(gathered))
                gathered, size = [], 0
            gathered.append(text)
            size += len(text)
        rejected += self._send("\n".join(gathered))
        self._failures = 0
        return rejected

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()  # type: ignore[no-untyped-call]  # the library leaves it untyped

    def _send(self, text: str) -> list[tuple[str, str]]:
        """Sends lines; gives those that the server rejected for good, with its reason."""
        if not text:
            return []
        stream = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP)
        body = stream.compress(text.encode()) + stream.flush()
        try:
            self._service.post_write(  # type: ignore[no-untyped-call]  # the library leaves it untyped
                org=self._org, bucket=self._bucket, body=body, precision=WritePrecision.MS, content_encoding="gzip"
            )
        except ApiException as error:
            return self._after_error(text.split("\n"), error)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise StoreAway(f"{self._url}: {error}", self._backoff_s()) from error
        return []

    def _after_error(self, lines: Sequence[str], error: ApiException) -> list[tuple[str, str]]:
        status, body = int(error.status or 0), _text(error.body)
        if "partial write" in body:
            return [(body[:500], line) for line in _named(body, lines)]
        if status in (400, 413, 422):
            if len(lines) == 1:
                return [(f"{status}: {body[:500]}", lines[0])]
            half = len(lines) // 2
            return [*self._send("\n".join(lines[:half])), *self._send("\n".join(lines[half:]))]
        if status in (401, 403, 404):
            raise StoreRefused(f"{status}: {body[:300]}")
        headers = {name.lower(): value for name, value in (error.headers or {}).items()}
        asked_s = _retry_after_s(headers) if status in (429, 503) else None
        raise StoreAway(f"{status}: {body[:300]}", self._backoff_s() if asked_s is None else asked_s)

    def _backoff_s(self) -> float:
        """Doubles with each failure in a row, with jitter, to a minute at most."""
        self._failures += 1
        return min(LONGEST_BACKOFF_S, 0.5 * 2.0 ** min(self._failures, 10)) * self._chance.uniform(0.5, 1.0)


def _text(body: object) -> str:
    return body.decode(errors="replace") if isinstance(body, bytes) else str(body or "")


def _named(body: str, lines: Sequence[str]) -> list[str]:
    """The lines a partial write speaks of. The server mostly tells only how many: then one entry stands for the whole request."""
    named = [line for line in lines if line in body]
    return named or [f"some of {len(lines)} lines from: {lines[0]}"]


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """What the server asked for, in seconds, within bounds; None if it asked for nothing that can be understood."""
    try:
        return min(300.0, max(0.1, float(headers["retry-after"])))
    except (KeyError, ValueError):
        return None
