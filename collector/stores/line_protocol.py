"""Pure. InfluxDB line protocol: measurement `reading`, tags site, gateway, device, point, role, unit; fields value, text, quality.

One prefix per series is made once; a reading is then two joins of text. Times are ms. NaN and infinities cannot occur: the contract
refuses them. Source: the line protocol of InfluxDB OSS 2.7.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import add

import msgspec

from collector.domain.series import SeriesColumn, SeriesInfo
from edge_agent.contract.message import Value

MEASUREMENT = "reading"
MAX_TEXT_BYTES = 64_000
_numbers = msgspec.json.Encoder().encode
_NUMBERS = frozenset((float, int))


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


class Lines:
    """Makes the text of columns. Instants that columns share (one list) are turned into text once."""

    def __init__(self) -> None:
        self._times: Sequence[int] = ()
        self._ends: list[str] = []
        """Behind a good number of each instant."""

    def text(self, column: SeriesColumn, start: str) -> str:
        """The lines of a column, which has at least one reading, without a line's end at the end. start: its prefix."""
        values, times = column.values, column.times
        if any(column.qualities) or not set(map(type, values)) <= _NUMBERS:
            each = zip(times, values, column.qualities, strict=True)
            return "\n".join([f"{start}{fields(value, quality)} {time_ms}" for time_ms, value, quality in each])
        if times is not self._times:
            self._times, self._ends = times, [f",quality=0i {time_ms}" for time_ms in times]
        head = f"{start}value="
        numbers = (
            _numbers(values)[1:-1].decode().split(",")
        )  # JSON's numbers are line protocol's, and made five times faster than repr
        return head + f"\n{head}".join(map(add, numbers, self._ends))
