"""Pure. From the words of a reply to a value with its quality.

Results are exact decimals: 2257 * 0.1 is 225.7, and a float32 is the shortest decimal that reads back the same float32.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType

from edge_agent.contract.encoding import shortest_float32
from edge_agent.contract.message import Value
from edge_agent.contract.quality import Quality
from edge_agent.model.condition import names_in
from edge_agent.model.points import Factor, Point, RawType, WordOrder

_NO_VALUE: tuple[Value, Quality] = (None, Quality.BAD_SENSOR)
_SIGNED: frozenset[RawType] = frozenset(("s16", "s32", "s48", "s64"))
_FLOATS: Mapping[RawType, str] = {"f16": ">e", "f32": ">f", "f64": ">d"}
_BCD: frozenset[RawType] = frozenset(("bcd16", "bcd32", "bcd48", "bcd64"))
_MOST_EXPONENT = 30
_BLANK, _TILDE = 0x20, 0x7E
_MOST_FLOAT16 = 65504.0
Known = Mapping[str, float | None]
"""What other points of the same reply say, by id; None: they have no value that can be built on."""
NOTHING_KNOWN: Known = MappingProxyType({})


def value_of(point: Point, words: Sequence[int], known: Known = NOTHING_KNOWN) -> tuple[Value, Quality]:
    """The value of `point` and how far it can be trusted. words: its `span` registers (0-65535) or bits (0/1), in wire order.

    A sentinel, NaN, infinity or a digit beyond 9 in BCD is no value (bad: sensor); so is a value that needs another point's
    (`known`) which is not there. Outside the instrument's range: uncertain.
    """
    return _measured(point, words, known) if _is_valid(point, known) else _NO_VALUE


def _is_valid(point: Point, known: Known) -> bool:
    """What is not known makes nothing valid, also under `not`."""
    condition = point.valid_when
    return condition is None or (all(known.get(n) is not None for n in names_in(condition)) and condition.holds(known))


def _measured(point: Point, words: Sequence[int], known: Known) -> tuple[Value, Quality]:
    wire = b"".join(word.to_bytes(2, "big") for word in words)
    ordered = in_order(wire, point.order)
    if point.type == "text":
        return _text(ordered, point.letters)
    raw = int.from_bytes(ordered, "big")
    if raw in point.sentinels:
        return _NO_VALUE
    if point.type in _FLOATS:
        return _ranged(point, _from_float(point, ordered, known))
    bits = 8 * len(ordered)
    if point.mask is not None:
        shift = (point.mask & -point.mask).bit_length() - 1
        raw = (raw & point.mask) >> shift
        bits = (point.mask >> shift).bit_length()
        if raw in point.sentinels and point.mask.bit_count() > 1:
            return _NO_VALUE
    if point.kind == "bool" or point.type == "bool":
        return _truth(point, raw)
    if point.type in _BCD:
        text = f"{raw:x}"
        if not text.isdecimal():
            return _NO_VALUE
        raw = int(text)
    elif point.type in _SIGNED and raw >> (bits - 1):
        raw -= 1 << bits
    if point.negative_from is not None and raw >= point.negative_from:
        raw = point.negative_from - raw
    return _ranged(point, _leaning(point, Decimal(raw), known) if point.leans else _scaled(point, raw))


def _text(wire: bytes, letters: int) -> tuple[Value, Quality]:
    """Letters up to the first NUL, without blanks around them; anything but printable ASCII is no text."""
    if letters == 1:
        if any(wire[::2]):
            return _NO_VALUE
        wire = wire[1::2]
    said = wire.partition(b"\0")[0].rstrip(b"\xff").strip()
    if not all(_BLANK <= byte <= _TILDE for byte in said):
        return _NO_VALUE
    return said.decode("ascii"), Quality.GOOD


def _truth(point: Point, raw: int) -> tuple[Value, Quality]:
    """True and false by the values that mean them; one that means neither is none."""
    if point.on is None and point.off is None:
        return bool(raw), Quality.GOOD
    if point.on is None or point.off is None:
        return (raw == point.on if point.off is None else raw != point.off), Quality.GOOD
    return (raw == point.on, Quality.GOOD) if raw in (point.on, point.off) else _NO_VALUE


def values_of(points: Sequence[Point], words: Sequence[Sequence[int]]) -> list[tuple[Value, Quality]]:
    """The values of points that one reply holds. words: those of each point. What leans on others is reckoned from their values."""
    first = [_measured(point, own, NOTHING_KNOWN) for point, own in zip(points, words, strict=True)]
    if not any(point.leans for point in points):
        return first
    known = {point.id: known_of(*got) for point, got in zip(points, first, strict=True)}
    return [value_of(point, own, known) if point.leans else got for point, own, got in zip(points, words, first, strict=True)]


def known_of(value: Value, quality: Quality) -> float | None:
    """What others may build on: a good number, true as 1 and false as 0."""
    return value if quality is Quality.GOOD and isinstance(value, int | float) else None


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


def _from_float(point: Point, ordered: bytes, known: Known) -> float | int | None:
    value: float = struct.unpack(_FLOATS[point.type], ordered)[0]
    if not math.isfinite(value):
        return None
    if point.type == "f32":
        value = shortest_float32(value)
    elif point.type == "f16":
        value = _shortest_float16(value)
    if point.leans:
        return _leaning(point, _exact(value), known)
    if point.scale == 1.0 and point.offset == 0.0:
        return value
    return float(_exact(value) * _exact(point.scale) + _exact(point.offset))


def _shortest_float16(value: float) -> float:
    """The shortest decimal that reads back the same float16; near the largest ones a short decimal may not be one at all."""
    for digits in range(1, 6):
        short = float(f"{value:.{digits}g}")
        if abs(short) <= _MOST_FLOAT16 and struct.unpack(">e", struct.pack(">e", short))[0] == value:
            return short
    return value


def _leaning(point: Point, raw: Decimal, known: Known) -> float | None:
    """The value with what other points multiply and add; None where one of them says nothing that can be built on."""
    value = raw * _exact(point.scale)
    for factor in point.scale_by:
        multiplier = _multiplier(factor, known.get(factor.of))
        if multiplier is None:
            return None
        value *= multiplier
    for term in point.plus:
        more = known.get(term.of)
        if more is None:
            return None
        value += _exact(more) * _exact(term.times)
    return float(value + _exact(point.offset))


def _multiplier(factor: Factor, said: float | None) -> Decimal | None:
    if said is None:
        return None
    if factor.table:
        return next((_exact(by) for code, by in factor.table if code == said), None)
    if factor.taken == "factor":
        return _exact(said)
    if said != int(said) or abs(said) > _MOST_EXPONENT:
        return None
    return Decimal(10) ** (-int(said) if factor.taken == "decimals" else int(said))


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
    return Decimal(int(number) if isinstance(number, bool) else repr(number))


def _ranged(point: Point, value: float | int | None) -> tuple[Value, Quality]:
    if value is None or not math.isfinite(value):
        return _NO_VALUE
    low, high = point.limits.range_low, point.limits.range_high
    outside = (low is not None and value < low) or (high is not None and value > high)
    return value, Quality.UNCERTAIN_RANGE if outside else Quality.GOOD
