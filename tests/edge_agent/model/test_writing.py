"""What is written reads back as what was wanted; what cannot be had is refused, never rounded."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.contract.message import Text
from edge_agent.model.points import Point, RawType, WordOrder, Write
from edge_agent.model.scaling import value_of
from edge_agent.model.writing import NotWritable, change_of, is_as_wanted, wanted_value

SPEED = Point(0, "d", "speed", "holding", 3, "u16", scale=0.1, unit="Hz", write=Write("holding", 8192, "u16", low=0, high=50))
VALVE = Point(0, "d", "valve", "coil", 5, "bool", kind="bool", write=Write("coil", 5, "bool", function=5))
MODE = Point(
    0, "d", "mode", "holding", 7, "u16", kind="code", write=Write("holding", 7, "u16"),
    texts={"0": Text("自动", "automatic"), "2": Text("手动", "manual")},
)  # fmt: skip
BIT = Point(0, "d", "bit", "holding", 9, "u16", mask=0x0010, kind="bool", write=Write("holding", 9, "u16", function=22))


@pytest.mark.parametrize(
    ("point", "text", "words"),
    [
        (SPEED, "45.5", (455,)), (SPEED, "50", (500,)), (SPEED, "0", (0,)), (VALVE, "on", (1,)), (VALVE, "FALSE", (0,)),
        (VALVE, "关", (0,)),
        (MODE, "manual", (2,)), (MODE, "自动", (0,)), (MODE, "2", (2,)), (BIT, "true", (0x10,)),
    ],
)  # fmt: skip
def test_words_of_what_a_person_types(point: Point, text: str, words: tuple[int, ...]) -> None:
    assert change_of(point, wanted_value(point, text)).words == words


@pytest.mark.parametrize(
    ("point", "text", "why"),
    [
        (SPEED, "50.1", "above"),
        (replace(MODE, write=Write("holding", 7, "u16", codes=(2,))), "0", "not among the values that may be written"),
        (replace(SPEED, scale=1.0, negative_from=100, write=Write("holding", 1, "u16")), "100", "no place beside its sign"),
        (replace(SPEED, scale=1.0, negative_from=100, write=Write("holding", 1, "u16")), "-100", "no place beside its sign"),
        (replace(SPEED, write=Write("holding", 1, "f16"), scale=1.0), "70000", "does not fit f16"),
        (SPEED, "-1", "below"),
        (SPEED, "45.55", "steps of 0.1"),
        (SPEED, "fast", "no number"),
        (SPEED, "nan", "no number"),
        (SPEED, "1e400", "above"),
        (VALVE, "perhaps", "neither true nor false"),
        (MODE, "1", "none of its codes"),
        (replace(SPEED, write=None), "5", "does not make `speed` writable"),
        (replace(SPEED, write=Write("holding", 1, "u16")), "7000", "does not fit u16"),
        (replace(SPEED, sentinels=(65535,), write=Write("holding", 1, "u16")), "6553.5", "no value"),
        (replace(SPEED, write=Write("holding", 1, "bcd16")), "1000", "does not fit bcd16"),
        (replace(SPEED, write=Write("holding", 1, "f32"), scale=1.0), "1e39", "does not fit f32"),
    ],
)
def test_what_cannot_be_written_is_refused(point: Point, text: str, why: str) -> None:
    with pytest.raises(NotWritable, match=why):
        change_of(point, wanted_value(point, text))


def test_raw_values_of_true_and_false_are_the_profiles() -> None:
    register = replace(VALVE, write=Write("holding", 5, "u16", on=0xFF00, off=0x0100))
    assert [change_of(register, value).words for value in (True, False)] == [(0xFF00,), (0x0100,)]


def test_magnitude_and_sign() -> None:
    point = replace(SPEED, scale=0.1, negative_from=10000, write=Write("holding", 1, "u16"))
    assert change_of(point, -1.5).words == (10015,)
    assert value_of(point, (10015,))[0] == -1.5
    assert change_of(replace(SPEED, scale=1.0, type="f16", write=Write("holding", 1, "f16")), 0.5).words == (0x3800,)


def test_the_nearest_values_are_named() -> None:
    with pytest.raises(NotWritable) as refused:
        change_of(SPEED, 45.55)
    assert refused.value.do == "write 45.5 or 45.6."


_INTEGERS: list[tuple[RawType, int, int]] = [
    ("u16", 0, 65535), ("s16", -32768, 32767), ("u32", 0, (1 << 32) - 1), ("s32", -(1 << 31), (1 << 31) - 1),
    ("u64", 0, (1 << 53) - 1), ("s64", -(1 << 53), 1 << 53), ("bcd16", 0, 9999), ("bcd32", 0, 99_999_999),
    ("bcd64", 0, (1 << 53) - 1),
]  # fmt: skip


@given(
    st.sampled_from(_INTEGERS),
    st.data(),
    st.sampled_from(["ABCD", "CDAB", "BADC", "DCBA"]),
    st.sampled_from([1.0, 0.1, 0.01, 10.0]),
)
def test_what_is_written_reads_back(kind: tuple[RawType, int, int], data: st.DataObject, order: WordOrder, scale: float) -> None:
    raw_type, low, high = kind
    raw = data.draw(st.integers(low, high))
    point = Point(0, "d", "p", "holding", 0, raw_type, order, scale=scale, offset=3.0, write=Write("holding", 0, raw_type, order))
    words = change_of(replace(point, scale=1.0, offset=0.0), raw).words
    value, _ = value_of(point, words)
    assert isinstance(value, int | float)
    if abs(value) < 1e12:
        change = change_of(point, value)
        assert change.words == words
        assert is_as_wanted(point, change, value)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), st.sampled_from(["ABCD", "CDAB", "BADC", "DCBA"]))
def test_floats_read_back(number: float, order: WordOrder) -> None:
    point = Point(0, "d", "p", "holding", 0, "f32", order, write=Write("holding", 0, "f32", order))
    change = change_of(point, number)
    assert is_as_wanted(point, change, value_of(point, change.words)[0])
