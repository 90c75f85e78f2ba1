"""Pure. What stands in the rows of the embedded store: batches as columns, rolled-up hours, attributes of series; and back."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence

import msgspec

from collector.domain.identity import SeriesKey
from collector.domain.series import Sample, SeriesColumn, SeriesInfo
from edge_agent.contract.message import Limits, Text, Value

_Value = float | int | bool | str | None
Number = Callable[[SeriesInfo, int], int]
"""The id of a series whose attributes hold at a time."""


class Attributes(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything of a series but its key."""

    unit: str = ""
    role: str = ""
    kind: str = "number"
    period_ms: int = 0
    decimals: int | None = None
    name: Text | None = None
    limits: Limits | None = None
    texts: dict[str, Text] = {}
    device_name: Text | None = None


class _Column(msgspec.Struct, frozen=True, array_like=True):
    series: int
    times: int
    """Index of its instants in `_Columns.times`."""
    values: list[_Value]
    qualities: list[int]
    """Empty: all good."""


class _Columns(msgspec.Struct, frozen=True, array_like=True):
    times: list[list[int]]
    """Steps: the first counts from the batch's first instant."""
    columns: list[_Column]


pack_value = msgspec.msgpack.Encoder().encode
unpack_value: Callable[[bytes], Value] = msgspec.msgpack.Decoder(_Value).decode
_columns = msgspec.msgpack.Decoder(_Columns)
_attributes = msgspec.msgpack.Decoder(Attributes)


def pack_columns(columns: Sequence[SeriesColumn], first_ms: int, number: Number) -> bytes:
    """A batch. Instants that several series share are kept once."""
    times: list[list[int]] = []
    place: dict[tuple[int, ...], int] = {}
    packed = []
    last: Sequence[int] = ()
    of_last = 0
    for column in columns:
        if column.times is not last:
            last, instants = column.times, tuple(column.times)
            if instants not in place:
                place[instants] = len(times)
                times.append([now - before for now, before in zip(instants, (first_ms, *instants[:-1]), strict=True)])
            of_last = place[instants]
        qualities = list(column.qualities) if any(column.qualities) else []
        packed.append(_Column(number(column.series, last[0]), of_last, list(column.values), qualities))
    return zlib.compress(pack_value(_Columns(times, packed)), 1)


def unpack_columns(packed: bytes, first_ms: int, wanted: int | None = None) -> Iterator[tuple[int, list[Sample]]]:
    """Series id and samples of each column, or of those of one series alone. The samples of a column stand as they were written."""
    whole = _columns.decode(zlib.decompress(packed))
    for column in whole.columns:
        if wanted is not None and column.series != wanted:
            continue
        samples, now = [], first_ms
        for place, step in enumerate(whole.times[column.times]):
            now += step
            samples.append(Sample(now, column.values[place], column.qualities[place] if column.qualities else 0))
        yield column.series, samples


def pack_attributes(info: SeriesInfo) -> bytes:
    """The attributes of a series."""
    i = info
    made = Attributes(i.unit, i.role, i.kind, i.period_ms, i.decimals, i.name, i.limits, dict(i.texts), i.device_name)
    return pack_value(made)


def unpack_attributes(key: SeriesKey, packed: bytes) -> SeriesInfo:
    """The series with these attributes."""
    a = _attributes.decode(packed)
    return SeriesInfo(key, a.unit, a.role, a.kind, a.period_ms, a.decimals, a.name, a.limits, a.texts, a.device_name)
