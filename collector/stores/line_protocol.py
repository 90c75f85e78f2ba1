"""Pure. InfluxDB line protocol: measurement `reading`, tags site, gateway, device, point, role, unit; fields value, text, quality.

One prefix per series is made once; a reading is then two joins of text. Times are ms. NaN and infinities cannot occur: the contract
refuses them. Source: the line protocol of InfluxDB OSS 2.7.
"""

from __future__ import annotations

from collections.abc import Iterable

from collector.domain.series import SeriesColumn, SeriesInfo
from edge_agent.contract.message import Value

MEASUREMENT = "reading"
MAX_TEXT_BYTES = 64_000


def tag(text: str) -> str:
    """A tag's value, escaped; a backslash at the end would eat the next comma, line ends cannot be written at all."""
    clean = text.replace("\n", " ").replace("\r", " ").rstrip("\\")
    return clean.replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ")


def quoted(text: str) -> str:
    """A text field."""
    cut = text.encode()[:MAX_TEXT_BYTES].decode(errors="ignore")
    return '"' + cut.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ").replace("\r", " ") + '"'


def prefix(info: SeriesInfo) -> str:
    """Everything of a line before its fields. Tags stand in the order of their names; empty ones are left out."""
    site, gateway, device, point = info.key
    tags = {"device": device, "gateway": gateway, "point": point, "role": info.role, "site": site, "unit": info.unit}
    return MEASUREMENT + "".join(f",{name}={tag(text)}" for name, text in tags.items() if tag(text)) + " "


def fields(value: Value, quality: int) -> str:
    """The fields of one reading; a missing value leaves only its quality."""
    if value is None:
        return f"quality={quality}i"
    if isinstance(value, str):
        return f"text={quoted(value)},quality={quality}i"
    return f"value={float(value)!r},quality={quality}i"


def lines(column: SeriesColumn, start: str) -> Iterable[str]:
    """The lines of a column. start: its prefix."""
    for time_ms, value, quality in zip(column.times, column.values, column.qualities, strict=True):
        yield f"{start}{fields(value, quality)} {time_ms}"
