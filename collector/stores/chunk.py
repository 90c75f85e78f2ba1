"""Pure. Readings of one series as bytes, with nothing lost: times, values and qualities of an hour or a day.

Instruments tell decimals, and the next reading is near the last: a value is kept as a whole number of its last decimal, as the
step from the one before, in as few bytes as that takes, and deflated. Times are kept as changes of their steps, in the largest
unit that they share. What does not fit
its column (an interpolated value, one that is missing, a text) stands apart with its place. Water stations' readings take a third
of a byte each (docs/benchmarks.md).
"""

from __future__ import annotations

import math
import zlib
from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from typing import Literal, NamedTuple

import msgspec

from edge_agent.contract.message import Value

MOST_DECIMALS = 12
FEW = 4
"""A column of which more than one in so many does not fit a coding gets another."""
_EXACT = 1 << 53
_Whole = Literal["i", "b"]
_Coding = Literal["d", "i", "b", "r", "o"]
"""d: floats of a number of decimals; i: integers; b: on and off; r: any floats; o: whatever it is."""


class Columns(NamedTuple):
    """Readings of one series in order of time; ms UTC."""

    times: list[int]
    values: list[Value]
    qualities: list[int]


class _Chunk(msgspec.Struct, frozen=True, array_like=True):
    count: int
    first: int
    """The first time, ms behind the begin."""
    unit: int
    """What all steps between times are multiples of, ms."""
    times: bytes
    """The steps, in units, as changes from one to the next."""
    coding: _Coding
    decimals: int
    numbers: bytes
    qualities: list[tuple[int, int]] = []
    """Runs of code and count; empty where all are good."""
    odd: bytes = b""
    """Places (steps) and values of what does not fit the coding."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Chunk).decode
_odd = msgspec.msgpack.Decoder(tuple[list[int], list[float | int | bool | str | None]]).decode


def pack(columns: Columns, start_ms: int) -> bytes:
    """Readings as bytes, at least one. Times count from start_ms."""
    times, values = columns.times, columns.values
    steps = [after - before for before, after in pairwise(times)]
    unit = math.gcd(*steps) or 1
    coding, decimals = _coding(values)
    numbers, odd = _numbers(values, coding, decimals)
    chunk = _Chunk(
        len(times),
        times[0] - start_ms,
        unit,
        _small(_variable(_changes([step // unit for step in steps]))),
        coding,
        decimals,
        numbers,
        _runs(columns.qualities),
        _odd_ones(odd, values),
    )
    return _encode(chunk)


def unpack(packed: bytes, start_ms: int) -> Columns:
    """What `pack` was given."""
    chunk = _decode(packed)
    steps = accumulate(_whole(zlib.decompress(chunk.times, -15)))
    times = list(accumulate((step * chunk.unit for step in steps), initial=start_ms + chunk.first))
    values = _values(chunk)
    if chunk.odd:
        places, odd = _odd(zlib.decompress(chunk.odd, -15))
        for place, value in zip(accumulate(places), odd, strict=True):
            values[place] = value
    qualities = [0] * chunk.count if not chunk.qualities else [code for code, count in chunk.qualities for _ in range(count)]
    return Columns(times, values, qualities)


def count(packed: bytes) -> int:
    """How many readings it holds."""
    return _decode(packed).count


def _coding(values: Sequence[Value]) -> tuple[_Coding, int]:
    """How most of these values are kept best: the coding, and of floats the decimals."""
    kinds = [type(value) for value in values]
    few = len(values) // FEW
    floats = kinds.count(float)
    if floats >= len(values) - few:
        numbers = [value for value in values if type(value) is float]
        decimals, unfit = _decimals(numbers)
        if unfit + len(values) - floats <= few:
            return "d", decimals
        return ("r", 0) if floats == len(values) else ("o", 0)
    if kinds.count(int) >= len(values) - few:
        return "i", 0
    if kinds.count(bool) >= len(values) - few:
        return "b", 0
    return "o", 0


def _decimals(numbers: Sequence[float]) -> tuple[int, int]:
    """The fewest decimals that all of them have, or most of them; and how many have more."""
    best, most = 0, -1
    for decimals in range(MOST_DECIMALS + 1):
        scale = 10**decimals
        fit = 0
        for value in numbers:
            fit += fits(value, scale)
        if fit == len(numbers):
            return decimals, 0
        if fit > most:
            best, most = decimals, fit
    return best, len(numbers) - most


def fits(value: float, scale: int) -> bool:
    """True if the value is a whole number of 1/scale, and is read back from it as the very same."""
    if not -_EXACT < value * scale < _EXACT:
        return False
    whole = round(value * scale)
    return whole / scale == value and (whole != 0 or math.copysign(1.0, value) > 0)


def _numbers(values: Sequence[Value], coding: _Coding, decimals: int) -> tuple[bytes, list[int]]:
    """The numbers of a column in its coding, and the places of what does not fit."""
    if coding == "o":
        return b"", list(range(len(values)))
    if coding == "r":
        raw = array("d", [float(value) for value in values]).tobytes()  # type: ignore[arg-type]  # floats all
        return _small(b"".join(raw[place::8] for place in range(8))), []
    wanted = {"d": float, "i": int, "b": bool}[coding]
    scale, last = 10**decimals, 0
    whole, odd = [], []
    for place, value in enumerate(values):
        if type(value) is wanted and (coding != "d" or fits(value, scale)):  # type: ignore[arg-type]  # a float
            last = round(value * scale) if coding == "d" else int(value)  # type: ignore[arg-type]  # a number
        else:
            odd.append(place)
        whole.append(last)  # where one does not fit, the last goes on
    return _small(_variable(_changes(whole))), odd


def _values(chunk: _Chunk) -> list[Value]:
    match chunk.coding:
        case "o":
            return [None] * chunk.count
        case "r":
            planes = zlib.decompress(chunk.numbers, -15)
            raw = bytearray(len(planes))
            for place in range(8):
                raw[place::8] = planes[place * chunk.count : (place + 1) * chunk.count]
            return list(array("d", bytes(raw)))
        case "d":
            scale = 10**chunk.decimals
            return [whole / scale for whole in accumulate(_whole(zlib.decompress(chunk.numbers, -15)))]
        case "i":
            return list(accumulate(_whole(zlib.decompress(chunk.numbers, -15))))
        case "b":
            return [whole == 1 for whole in accumulate(_whole(zlib.decompress(chunk.numbers, -15)))]


def _odd_ones(places: Sequence[int], values: Sequence[Value]) -> bytes:
    return _small(_encode((_changes(places), [values[place] for place in places]))) if places else b""


def _runs(codes: Sequence[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    if not any(codes):
        return runs
    for code in codes:
        if runs and runs[-1][0] == code:
            runs[-1] = (code, runs[-1][1] + 1)
        else:
            runs.append((code, 1))
    return runs


def _changes(numbers: Sequence[int]) -> list[int]:
    return [now - before for before, now in pairwise((0, *numbers))]


def _variable(numbers: Iterable[int]) -> bytes:
    """Whole numbers in as few bytes as each takes: seven bits in each, the sign in the lowest bit."""
    made = bytearray()
    for number in numbers:
        left = number << 1 if number >= 0 else ~(number << 1)
        while left > 127:
            made.append(left & 127 | 128)
            left >>= 7
        made.append(left)
    return bytes(made)


def _whole(stream: bytes) -> Iterable[int]:
    if max(stream, default=0) < 128:
        return [(byte >> 1) ^ -(byte & 1) for byte in stream]
    found, number, shift = [], 0, 0
    for byte in stream:
        number |= (byte & 127) << shift
        if byte > 127:
            shift += 7
        else:
            found.append((number >> 1) ^ -(number & 1))
            number = shift = 0
    return found


def _small(stream: bytes) -> bytes:
    """The shorter of two deflated forms: with repetitions looked for, or by frequencies alone."""
    found = (zlib.compressobj(9, zlib.DEFLATED, -15, 9, how) for how in (zlib.Z_DEFAULT_STRATEGY, zlib.Z_HUFFMAN_ONLY))
    return min((each.compress(stream) + each.flush() for each in found), key=len)
