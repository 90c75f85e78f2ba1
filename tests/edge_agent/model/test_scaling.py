"""Raw words to values: vectors of types and orders, exact decimals, what is no value."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.contract.message import Limits
from edge_agent.contract.quality import Quality
from edge_agent.model.points import Point
from edge_agent.model.scaling import value_of

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
