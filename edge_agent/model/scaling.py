"""Pure. From the words of a reply to a value with its quality.

Results are exact decimals: 2257 * 0.1 is 225.7, and a float32 is the shortest decimal that reads back the same float32.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from decimal import Decimal

from edge_agent.contract.encoding import shortest_float32
from edge_agent.contract.message import Value
from edge_agent.contract.quality import Quality
from edge_agent.model.points import Point, RawType, WordOrder

_NO_VALUE: tuple[Value, Quality] = (None, Quality.BAD_SENSOR)
_SIGNED: frozenset[RawType] = frozenset(("s16", "s32", "s64"))


def value_of(point: Point, words: Sequence[int]) -> tuple[Value, Quality]:
    """The value of `point` and how far it can be trusted. words: its `span` registers (0-65535) or bits (0/1), in wire order.

    A sentinel, NaN, infinity or a digit beyond 9 in BCD is no value (bad: sensor). Outside the instrument's range: uncertain.
    """
    wire = b"".join(word.to_bytes(2, "big") for word in words)
    ordered = in_order(wire, point.order)
    raw = int.from_bytes(ordered, "big")
    if raw in point.sentinels:
        return _NO_VALUE
    if point.type in ("f32", "f64"):
        return _ranged(point, _from_float(point, ordered))
    bits = 8 * len(ordered)
    if point.mask is not None:
        shift = (point.mask & -point.mask).bit_length() - 1
        raw = (raw & point.mask) >> shift
        bits = (point.mask >> shift).bit_length()
    if point.kind == "bool" or point.type == "bool":
        return bool(raw), Quality.GOOD
    if point.type in ("bcd16", "bcd32"):
        text = f"{raw:x}"
        if not text.isdecimal():
            return _NO_VALUE
        raw = int(text)
    elif point.type in _SIGNED and raw >> (bits - 1):
        raw -= 1 << bits
    return _ranged(point, _scaled(point, raw))


def in_order(wire: bytes, order: WordOrder) -> bytes:
    """Wire bytes, most significant first. CDAB: last word first; BADC: bytes of each word swapped; DCBA: both."""
    if order == "DCBA":
        return wire[::-1]
    words = [wire[i : i + 2] for i in range(0, len(wire), 2)]
    if order == "CDAB":
        words.reverse()
    elif order == "BADC":
        words = [word[::-1] for word in words]
    return b"".join(words)


def _from_float(point: Point, ordered: bytes) -> float | int | None:
    value: float = struct.unpack(">f" if point.type == "f32" else ">d", ordered)[0]
    if not math.isfinite(value):
        return None
    if point.type == "f32":
        value = shortest_float32(value)
    if point.scale == 1.0 and point.offset == 0.0:
        return value
    return float(_exact(value) * _exact(point.scale) + _exact(point.offset))


def _scaled(point: Point, raw: int) -> float | int:
    if point.scale == 1.0 and point.offset == 0.0:
        return raw
    value = raw * _exact(point.scale) + _exact(point.offset)
    if point.decimals is not None:
        value = round(value, point.decimals)
    return int(value) if value == value.to_integral_value() and not (point.decimals or _has_decimals(point)) else float(value)


def _has_decimals(point: Point) -> bool:
    return not (point.scale.is_integer() and point.offset.is_integer())


def _exact(number: float) -> Decimal:
    """The decimal a person wrote: 0.1 is one tenth."""
    return Decimal(repr(number))


def _ranged(point: Point, value: float | int | None) -> tuple[Value, Quality]:
    if value is None or not math.isfinite(value):
        return _NO_VALUE
    low, high = point.limits.range_low, point.limits.range_high
    outside = (low is not None and value < low) or (high is not None and value > high)
    return value, Quality.UNCERTAIN_RANGE if outside else Quality.GOOD
