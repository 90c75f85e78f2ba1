"""Raw words to values: vectors of types and orders, exact decimals, what is no value."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.contract.message import Limits, Value
from edge_agent.contract.quality import Quality
from edge_agent.model.condition import parse
from edge_agent.model.points import Factor, Point, Term
from edge_agent.model.scaling import value_of, values_of

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "modbus.json").read_text())["vectors"]
TYPES = {
    "uint16": "u16",
    "int16": "s16",
    "uint32": "u32",
    "int32": "s32",
    "uint64": "u64",
    "int64": "s64",
    "float32": "f32",
    "float64": "f64",
}
ORDERS = {"ABCDEFGH": "ABCD", "GHEFCDAB": "CDAB", "BADCFEHG": "BADC", "HGFEDCBA": "DCBA"}
BAD = (None, Quality.BAD_SENSOR)


def point(type: str, **fields: object) -> Point:
    return Point(0, "d", "p", "holding", 0, type, **fields)


def words(raw: bytes) -> list[int]:
    return list(struct.unpack(f">{len(raw) // 2}H", raw))


@pytest.mark.parametrize("vector", [pytest.param(v, id=v["id"]) for v in VECTORS if v["framing"] == "register_value"])
def test_vectors_of_types_and_orders(vector: dict) -> None:
    order = ORDERS.get(vector["order"], vector["order"])
    got = value_of(point(TYPES[vector["type"]], order=order), words(bytes.fromhex(vector["hex"])))
    assert got == (vector["value"], Quality.GOOD)


@pytest.mark.parametrize(
    ("given_point", "raw", "value"),
    [
        (point("u16", scale=0.1, decimals=1), [2257], 225.7),
        (point("u16", scale=0.1), [2257], 225.7),
        (point("s16", scale=0.01, offset=-40.0, decimals=2), [0xFFFF], -40.01),
        (point("u16", scale=10.0), [7], 70),
        (point("u32"), [1, 0x1170], 70000),
        (point("u16", order="BADC"), [0x3412], 0x1234),
        (point("bcd16"), [0x1234], 1234),
        (point("bcd32", scale=0.01, decimals=2), [0x0012, 0x3456], 1234.56),
        (point("u16", mask=0x0FF0), [0xA120], 0x12),
        (point("s16", mask=0x00F0), [0x00E0], -2),
        (point("u16", mask=0x0008, kind="bool"), [0x0008], True),
        (point("u16", mask=0x0008, kind="bool"), [0x0007], False),
        (point("bool"), [1], True),
        (point("f32"), words(struct.pack(">f", 229.8)), 229.8),
        (point("f32", scale=0.001), words(struct.pack(">f", 230.4)), 0.2304),
        (point("f32", scale=1000.0), words(struct.pack(">f", 0.1)), 100.0),
    ],
)
def test_values_are_exact(given_point: Point, raw: list[int], value: object) -> None:
    got, quality = value_of(given_point, raw)
    assert (got, quality) == (value, Quality.GOOD)
    assert type(got) is type(value)


@pytest.mark.parametrize(
    ("given_point", "raw"),
    [
        (point("f32"), [0x7FC0, 0]),
        (point("f32"), [0x7F80, 0]),
        (point("f64"), [0xFFF0, 0, 0, 0]),
        (point("u16", sentinels=(0xFFFF, 0x8000)), [0x8000]),
        (point("s32", order="CDAB", sentinels=(0x7FFFFFFF,)), [0xFFFF, 0x7FFF]),
        (point("bcd16"), [0x12A4]),
        (point("f64", scale=1e300), words(struct.pack(">d", 1e300))),
    ],
)
def test_what_is_no_value(given_point: Point, raw: list[int]) -> None:
    assert value_of(given_point, raw) == BAD


def test_outside_the_instruments_range_is_uncertain() -> None:
    ranged = point("u16", scale=0.1, limits=Limits(range_low=1.0, range_high=10.0))
    assert [value_of(ranged, [raw])[1] for raw in (9, 10, 100, 101)] == [
        Quality.UNCERTAIN_RANGE,
        Quality.GOOD,
        Quality.GOOD,
        Quality.UNCERTAIN_RANGE,
    ]


@given(st.integers(0, 65535), st.integers(0, 4))
def test_a_scaled_integer_is_the_decimal_that_a_person_would_write(raw: int, decimals: int) -> None:
    text = f"{raw:0{decimals + 1}d}"
    wanted = float(f"{text[:-decimals]}.{text[-decimals:]}") if decimals else raw
    assert value_of(point("u16", scale=float(f"1e-{decimals}"), decimals=decimals), [raw])[0] == wanted


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float32_reads_back_the_same(number: float) -> None:
    got, _ = value_of(point("f32"), words(struct.pack(">f", number)))
    assert struct.pack(">f", got) == struct.pack(">f", number)
    assert len(repr(got)) <= len(repr(number))


def reply(**points: tuple[Point, list[int]]) -> dict[str, tuple[Value, Quality]]:
    given_points = [replace(p, id=name, group="g") for name, (p, _) in points.items()]
    got = values_of(given_points, [raw for _, raw in points.values()])
    return dict(zip(points, got, strict=True))


def test_halves_and_parts_are_signed_at_their_own_width() -> None:
    assert value_of(point("s16", mask=0xFF00), [0xFE01])[0] == -2
    assert value_of(point("s32", mask=0xFFFFFF), [0x12FF, 0xFFFE])[0] == -2
    assert value_of(point("bcd16", mask=0xFF), [0xAB42])[0] == 42


def test_magnitude_and_sign() -> None:
    assert [value_of(point("u16", negative_from=0x8000), [raw])[0] for raw in (5, 0x8005, 0x8000)] == [5, -5, 0]
    assert value_of(point("u16", negative_from=10000, scale=0.1, decimals=1), [10015])[0] == -1.5
    assert value_of(point("bcd16", negative_from=8000), [0x8012])[0] == -12


def test_the_sentinel_of_a_part_is_its_own() -> None:
    low = point("u16", mask=0x00FF, sentinels=(0xFF,))
    assert [value_of(low, [raw]) for raw in (0x01FF, 0x00FF, 0xFF01)] == [BAD, BAD, (1, Quality.GOOD)]
    assert value_of(point("u16", mask=1, kind="bool", sentinels=(0xFFFF,)), [3])[0] is True


@given(st.integers(0, 0xFFFF))
def test_a_half_float_is_the_shortest_decimal_that_reads_back(raw: int) -> None:
    number = struct.unpack(">e", struct.pack(">H", raw))[0]
    got, quality = value_of(point("f16"), [raw])
    if not math.isfinite(number):
        assert (got, quality) == BAD
    else:
        assert isinstance(got, float)
        assert struct.pack(">e", got) == struct.pack(">H", raw)
        assert len(repr(got)) <= len(repr(number))


def test_every_half_float_has_a_value_or_none() -> None:
    for raw in range(0x10000):
        number = struct.unpack(">e", struct.pack(">H", raw))[0]
        got, _ = value_of(point("f16"), [raw])
        assert (got is None) == (not math.isfinite(number))
        assert got is None or struct.unpack(">e", struct.pack(">e", got))[0] == number


def test_decimals_and_unit_stand_in_other_registers() -> None:
    table = ((16, 1.0), (17, 0.01))
    level = point("s16", scale_by=(Factor("places", "decimals"), Factor("unit", table=table)))
    for places, unit, want in ((3, 16, 2.714), (1, 17, 2.714), (0, 16, 2714.0)):
        got = reply(level=(level, [2714]), places=(point("u16"), [places]), unit=(point("u16"), [unit]))
        assert got["level"] == (want, Quality.GOOD)
    assert reply(level=(level, [2714]), places=(point("u16"), [3]), unit=(point("u16"), [5]))["level"] == BAD
    assert reply(level=(level, [2714]), places=(point("u16"), [3]))["level"] == BAD
    assert reply(level=(level, [2714]), places=(point("u16"), [31]), unit=(point("u16"), [16]))["level"] == BAD
    doubtful = point("u16", limits=Limits(range_high=3))
    assert reply(level=(level, [2714]), places=(doubtful, [4]), unit=(point("u16"), [16]))["level"] == BAD


def test_factors_exponents_and_sums() -> None:
    energy = point("u32", scale=0.01, scale_by=(Factor("pt"), Factor("ct")))
    assert reply(e=(energy, [0, 1234]), pt=(point("u16"), [10]), ct=(point("u16"), [20]))["e"][0] == 2468.0
    power = point("u16", mask=0x0FFF, scale_by=(Factor("x", "exponent"),))
    assert reply(p=(power, [0x2007]), x=(point("u16", mask=0x3000), [0x2007]))["p"][0] == 700.0
    hours = point("u16", plus=(Term("thousands", 1000.0),))
    assert reply(h=(hours, [517]), thousands=(point("u16"), [12]))["h"][0] == 12517.0
    total = point("s32", plus=(Term("fraction"),))
    assert reply(t=(total, [0, 17]), fraction=(point("f32"), [0x3F00, 0]))["t"][0] == 17.5
    assert reply(t=(total, [0, 17]), fraction=(point("f32"), [0x7FC0, 0]))["t"] == BAD


def test_a_status_gates_a_value() -> None:
    flow = point("f32", valid_when=parse("ready == 0 and not alarm"))
    readings = [
        reply(flow=(flow, [0x3F00, 0]), ready=(point("u16"), [r]), alarm=(point("u16", mask=1, kind="bool"), [a]))["flow"]
        for r, a in ((0, 0), (1, 0), (0, 1))
    ]
    assert readings == [(0.5, Quality.GOOD), BAD, BAD]
    assert value_of(flow, [0x3F00, 0]) == BAD  # alone it is never taken for valid
    unknown = point("u16", sentinels=(9,))
    assert reply(flow=(point("f32", valid_when=parse("not alarm")), [0x3F00, 0]), alarm=(unknown, [9]))["flow"] == BAD


def test_the_sentinel_stands_in_another_register() -> None:
    depth = point("f32", valid_when=parse("depth != no-value"))
    assert reply(depth=(depth, [0x3F00, 0]), **{"no-value": (point("f32"), [0xC2C8, 0])})["depth"] == (0.5, Quality.GOOD)
    assert reply(depth=(depth, [0xC2C8, 0]), **{"no-value": (point("f32"), [0xC2C8, 0])})["depth"] == BAD


@pytest.mark.parametrize(
    ("raw", "fields", "value"),
    [
        (b"WB-M1W2\0", {}, "WB-M1W2"),
        (b"A\0XY", {}, "A"),
        (b"ABCD", {}, "ABCD"),
        (b"BADC", {"order": "BADC"}, "ABCD"),
        (b" A1 \xff\xff", {}, "A1"),
        (b"\0A\0B\0\0", {"letters": 1}, "AB"),
        (b"\0\0\0\0", {}, ""),
    ],
)
def test_texts(raw: bytes, fields: dict, value: str) -> None:
    made = point("text", kind="text", length=len(raw) // 2, **fields)
    assert made.span == len(raw) // 2
    assert value_of(made, words(raw)) == (value, Quality.GOOD)


@pytest.mark.parametrize(
    ("raw", "fields"), [(b"A\x01", {}), (b"A\xe9", {}), (b"\xff\xff\0A", {"letters": 1}), (b"1A", {"letters": 1})]
)
def test_what_is_no_printable_letter_is_no_text(raw: bytes, fields: dict) -> None:
    assert value_of(point("text", kind="text", length=len(raw) // 2, **fields), words(raw)) == BAD


@pytest.mark.parametrize(
    ("on", "off", "said"),
    [
        (None, None, {0: False, 1: True, 7: True}),
        (101, None, {0: False, 1: False, 101: True}),
        (None, 1, {0: True, 1: False, 7: True}),
        (0, 1, {0: True, 1: False, 7: None}),
        (0xFF00, 0, {0xFF00: True, 0: False, 1: None}),
    ],
)
def test_true_and_false_have_their_own_raw_values(on: int | None, off: int | None, said: dict[int, bool | None]) -> None:
    made = point("u16", kind="bool", on=on, off=off)
    assert {raw: value_of(made, [raw])[0] for raw in said} == said
    assert value_of(made, [7])[1] == (Quality.BAD_SENSOR if said.get(7, False) is None else value_of(made, [7])[1])


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        ("u48", "000102030405", 0x000102030405),
        ("s48", "FFFFFFFFFFFE", -2),
        ("bcd48", "000123456789", 123456789),
        ("u48", "FFFFFFFFFFFF", (1 << 48) - 1),
    ],
)
def test_values_of_three_registers(kind: str, raw: str, value: int) -> None:
    assert point(kind).span == 3
    assert value_of(point(kind), words(bytes.fromhex(raw))) == (value, Quality.GOOD)
    swapped = words(bytes.fromhex(raw))[::-1]
    assert value_of(point(kind, order="CDAB"), swapped) == (value, Quality.GOOD)
