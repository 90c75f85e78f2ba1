"""Does I/O through the Store seam. REST: readings of one series - raw by cursor, thinned for charts, or as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse

from collector.domain.identity import SeriesKey
from collector.domain.series import Sample, SeriesInfo
from collector.web import readings
from collector.web.answers import IdQuery, require_series
from collector.web.parts import WebParts
from collector.web.refusals import wrong
from collector.web.schema import ReadingsBody
from collector.web.times import DAY_MS, parse_rfc3339, rfc3339
from edge_agent.contract.message import Value
from edge_agent.contract.quality import quality_from_code

LONGEST_MS = 3660 * DAY_MS
DEFAULT_SPAN_MS = DAY_MS
MOST_CSV_ROWS = 1_000_000
CSV_ROWS_AT_ONCE = 5000
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")

CSV_TOO: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}

When = Annotated[str | None, Query(max_length=40, description="RFC 3339 with offset")]
MaxPoints = Annotated[int | None, Query(ge=2, le=20_000, description="Thin to about this many; extremes stay")]
Limit = Annotated[int, Query(ge=1, le=20_000, description="Readings a page")]
Cursor = Annotated[str | None, Query(max_length=40, description="`next` of the page before")]
Format = Annotated[Literal["json", "csv"] | None, Query(description="Overrides the Accept header")]


def router(parts: WebParts) -> APIRouter:
    """/api/v1/readings."""
    routes = APIRouter(prefix="/api/v1", tags=["readings"])

    @routes.get("/readings", response_model=ReadingsBody, operation_id="list_readings", responses=CSV_TOO)
    def read(
        request: Request,
        site: IdQuery,
        gateway: IdQuery,
        device: IdQuery,
        point: IdQuery,
        from_: Annotated[When, Query(alias="from")] = None,
        to: When = None,
        max_points: MaxPoints = None,
        limit: Limit = 5000,
        cursor: Cursor = None,
        format: Format = None,
    ) -> Response:
        """Readings with from <= time < to; without times those of the last day. CSV comes whole, up to a million rows."""
        info = require_series(parts, SeriesKey(site, gateway, device, point))
        start, end = span(from_, to, parts.clock.utc_ms())
        start = max(start, instant("cursor", cursor)) if cursor is not None else start
        if format == "csv" or (format is None and "text/csv" in request.headers.get("accept", "")):
            return _csv(parts, info, start, end, max_points)
        if max_points is not None:
            return _json(info, parts.store.range(info.key, start, end, max_points), None, thinned=True)
        page = readings.page(parts.store, info.key, start, end, limit)
        return _json(info, page.samples, page.next_ms, thinned=False)

    return routes


def span(from_: str | None, to: str | None, now_ms: int) -> tuple[int, int]:
    """from and to in ms UTC. Raises Refusal WEB910 for times that are none, are in the wrong order, or are too far apart."""
    end = now_ms + 1 if to is None else instant("to", to)
    start = end - DEFAULT_SPAN_MS if from_ is None else instant("from", from_)
    if start > end:
        raise wrong("from", "order")
    if end - start > LONGEST_MS:
        raise wrong("from", "apart", value=LONGEST_MS // DAY_MS)
    return start, end


def instant(name: str, text: str) -> int:
    """A parameter's time in ms UTC. Raises Refusal WEB910 under its name."""
    try:
        return parse_rfc3339(text)
    except ValueError:
        raise wrong(name, "time") from None


def _json(info: SeriesInfo, samples: Sequence[Sample], next_ms: int | None, *, thinned: bool) -> Response:
    body = {
        **info.key._asdict(),
        "unit": info.unit,
        "thinned": thinned,
        "readings": [_row(sample) for sample in samples],
        "next": None if next_ms is None else rfc3339(next_ms),
    }
    return Response(msgspec.json.encode(body), media_type="application/json")


def _row(sample: Sample) -> dict[str, Value]:
    quality = quality_from_code(sample.quality)
    return {"time": rfc3339(sample.time_ms), "value": sample.value, "quality": quality.level, "reason": quality.reason}


def _csv(parts: WebParts, info: SeriesInfo, start: int, end: int, max_points: int | None) -> Response:
    """Streams; the first page is read before the answer begins, so that a store that is away is a problem and not half a file."""
    pages: Iterator[Sequence[Sample]]
    if max_points is not None:
        pages = iter([parts.store.range(info.key, start, end, max_points)])
    else:
        pages = readings.every(parts.store, info.key, start, end, CSV_ROWS_AT_ONCE, MOST_CSV_ROWS)
    first = next(pages, ())
    name = "_".join(info.key)
    return StreamingResponse(
        _csv_text(chain([first], pages), info.unit),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="{name}.csv"'},
    )


def _csv_text(pages: Iterator[Sequence[Sample]], unit: str) -> Iterator[str]:
    yield "time,value,unit,quality,reason\r\n"
    for page in pages:
        out = io.StringIO()
        writer = csv.writer(out)
        for sample in page:
            row = _row(sample)
            writer.writerow([row["time"], csv_cell(sample.value), csv_cell(unit), row["quality"], row["reason"]])
        yield out.getvalue()


def csv_cell(value: Value) -> str:
    """A cell that no spreadsheet takes for a formula: text that begins like one gets an apostrophe. Numbers stay numbers."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA_STARTS) else value
    return repr(value)
