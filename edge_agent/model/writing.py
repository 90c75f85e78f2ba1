"""Pure. From a value that a person wants to the words that are written: the way back of scaling, or a refusal in plain words.

Nothing is rounded: a value that the register cannot hold exactly is refused with the two nearest ones that it can.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from edge_agent.contract.message import Value
from edge_agent.model.points import REGISTERS_OF, Point, RawType, Write
from edge_agent.model.scaling import in_order

_SIGNED: frozenset[RawType] = frozenset(("s16", "s32", "s48", "s64"))
_DIGITS: dict[str, int] = {"bcd16": 4, "bcd32": 8, "bcd48": 12, "bcd64": 16}
_FLOATS: dict[str, str] = {"f16": ">e", "f32": ">f", "f64": ">d"}
_TRUE = frozenset(("true", "on", "yes", "1", "open", "start", "是", "开", "启动"))
_FALSE = frozenset(("false", "off", "no", "0", "close", "closed", "stop", "否", "关", "停止"))


class NotWritable(Exception):
    """This value cannot be written: why, and the mend."""

    def __init__(self, why: str, do: str) -> None:
        super().__init__(why)
        self.why, self.do = why, do


@dataclass(frozen=True, slots=True)
class Change:
    """What goes to the device. words: registers (0-65535) or bits (0/1); mask: bits of the one register that change."""

    function: int
    address: int
    words: tuple[int, ...]
    mask: int | None
    value: Value
    """What the device says afterwards, if it did as told."""


def wanted_value(point: Point, text: str) -> Value:
    """The value that a person typed: a number in the point's unit, true or false, a code or its text. Raises NotWritable."""
    word = text.strip().lower()
    if point.kind == "bool":
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        raise NotWritable(f"`{text}` is neither true nor false.", "write true or false.")
    for code, words in point.texts.items():
        if word in (words.zh.lower(), words.en.lower()):
            return int(code)
    try:
        number = Decimal(word)
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite():
        known = ", ".join(f"{code} ({words.en})" for code, words in list(point.texts.items())[:12])
        raise NotWritable(f"`{text}` is no number.", f"write one of {known}." if known else f"write a number{_in_unit(point)}.")
    return int(number) if number == number.to_integral_value() and not {"e", "."} & set(word) else float(number)


def change_of(point: Point, wanted: Value) -> Change:
    """The words that make `point` read as `wanted`. Raises NotWritable: not writable, out of bounds, not to be had exactly."""
    write = point.write
    if write is None:
        do = "read it; where the manual allows writing, give the point a `write:` in a profile of your own."
        raise NotWritable(f"The profile does not make `{point.id}` writable.", do)
    if isinstance(wanted, bool):
        raw = write.on if wanted else write.off
    elif not isinstance(wanted, int | float):
        raise NotWritable("A value is needed.", f"write a number{_in_unit(point)}.")
    else:
        _check_bounds(point, write, wanted)
        if write.type in _FLOATS:
            return _float_change(write, float((_exact(wanted) - _exact(point.offset)) / _exact(point.scale)), wanted)
        raw = _with_sign(point, _raw(point, wanted), wanted)
    return _integer_change(point, write, raw, wanted)


def _check_bounds(point: Point, write: Write, wanted: float) -> None:
    below = write.low is not None and wanted < write.low
    above = write.high is not None and wanted > write.high
    if below or above:
        low = "any" if write.low is None else f"{write.low:g}"
        high = "any" if write.high is None else f"{write.high:g}"
        raise NotWritable(
            f"{wanted:g} is {'below' if below else 'above'} what may be written.", f"write {low} to {high}{_in_unit(point)}."
        )
    if write.codes and wanted not in write.codes:
        allowed = ", ".join(str(code) for code in write.codes[:12])
        raise NotWritable(f"{wanted:g} is not among the values that may be written.", f"write one of {allowed}.")
    if point.kind == "code" and not write.codes and point.texts and str(wanted) not in point.texts:
        known = ", ".join(f"{code} ({words.en})" for code, words in list(point.texts.items())[:12])
        raise NotWritable(f"{wanted:g} is none of its codes.", f"write one of {known}.")


def _with_sign(point: Point, raw: int, wanted: float) -> int:
    """The raw value where negative ones are coded as magnitude above a bound."""
    bound = point.negative_from
    if bound is None:
        return raw
    if raw >= bound or raw <= -bound:
        raise NotWritable(
            f"{wanted:g} becomes the raw value {raw}, which has no place beside its sign.", "write a value nearer to zero."
        )
    return bound - raw if raw < 0 else raw


def _raw(point: Point, wanted: float) -> int:
    exact = (_exact(wanted) - _exact(point.offset)) / _exact(point.scale)
    if exact == exact.to_integral_value():
        return int(exact)
    near = sorted(float(_exact(point.offset) + k * _exact(point.scale)) for k in (math.floor(exact), math.ceil(exact)))
    what = f"{wanted:g} cannot be set exactly: the device counts in steps of {abs(point.scale):g}."
    raise NotWritable(what, f"write {near[0]:g} or {near[1]:g}.")


def _integer_change(point: Point, write: Write, raw: int, wanted: Value) -> Change:
    if write.table == "coil":
        return Change(write.function, write.address, (raw & 1,), None, wanted)
    count = REGISTERS_OF[write.type]
    mask = point.mask if point.mask is not None and write.address == point.address and write.type == point.type else None
    shift = (mask & -mask).bit_length() - 1 if mask is not None else 0
    bits = (mask >> shift).bit_length() if mask is not None else 16 * count
    coded = _coded(write.type, raw, bits, wanted)
    wire = in_order((coded << shift).to_bytes(2 * count, "big"), write.order)
    words = tuple(int.from_bytes(wire[i : i + 2], "big") for i in range(0, len(wire), 2))
    if coded << shift in point.sentinels:
        raise NotWritable(f"The raw value {coded} means `no value` to the device.", "write another value.")
    if mask is not None and count > 1:
        raise NotWritable("Bits of a value of several registers cannot be written.", "write the whole value.")
    return Change(write.function, write.address, words, mask, wanted)


def _coded(raw_type: RawType, raw: int, bits: int, wanted: Value) -> int:
    """A raw value as unsigned bits. Raises NotWritable outside its type."""
    digits = _DIGITS.get(raw_type)
    signed = raw_type in _SIGNED
    low = -(1 << (bits - 1)) if signed else 0
    high = 10**digits - 1 if digits is not None else (1 << (bits - signed)) - 1
    if not low <= raw <= high:
        what = f"{wanted} becomes the raw value {raw}, which does not fit {raw_type} ({low} to {high})."
        raise NotWritable(what, "write a value nearer to zero.")
    return int(str(raw), 16) if digits is not None else raw % (1 << bits)


def _float_change(write: Write, raw: float, wanted: float) -> Change:
    try:
        packed = struct.pack(_FLOATS[write.type], raw)
    except OverflowError:
        raise NotWritable(f"{wanted:g} does not fit {write.type}.", "write a smaller number.") from None
    wire = in_order(packed, write.order)
    words = tuple(int.from_bytes(wire[i : i + 2], "big") for i in range(0, len(wire), 2))
    return Change(write.function, write.address, words, None, wanted)


def is_as_wanted(point: Point, change: Change, read: Value) -> bool:
    """True if what was read back is what was written; a float32 is compared as one."""
    if isinstance(read, float) or isinstance(change.value, float):
        if not isinstance(read, int | float) or not isinstance(change.value, int | float):
            return False
        fine = {"f16": 1e-3, "f32": 1e-6, "f64": 1e-6}.get(point.type)
        step = abs(point.scale) / 2 if fine is None else max(abs(float(change.value)), 1e-6) * fine
        return abs(float(read) - float(change.value)) <= step
    return read == change.value


def _exact(number: float) -> Decimal:
    return Decimal(repr(number))


def _in_unit(point: Point) -> str:
    return f" {point.unit}" if point.unit else ""
