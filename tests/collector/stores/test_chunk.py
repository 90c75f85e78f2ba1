"""Chunks give back exactly what they were given, and are small for what instruments tell."""

from __future__ import annotations

import math
import random
import struct

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collector.stores import chunk
from collector.stores.chunk import Columns
from edge_agent.contract.message import Value

START_MS = 1_790_000_000_000
floats = st.floats(allow_nan=False, allow_infinity=False)
decimals = st.builds(lambda whole, places: whole / 10**places, st.integers(-(10**6), 10**6), st.integers(0, 4))
integers = st.integers(-(1 << 63), (1 << 63) - 1)
values = st.one_of(floats, decimals, integers, st.booleans(), st.none(), st.text(max_size=9))
columns = st.one_of(*(st.lists(each, min_size=1, max_size=60) for each in (floats, decimals, integers, st.booleans(), values)))


def same(one: Value, other: Value) -> bool:
    """True down to the type and the sign of nought."""
    if isinstance(one, float) and isinstance(other, float):
        return struct.pack("d", one) == struct.pack("d", other)
    return type(one) is type(other) and one == other


@settings(max_examples=400, deadline=None)
@given(columns, st.data())
@example([-0.0, 0.0, 1.5], None)
@example([2.0**53, -(2.0**53), 0.1], None)
@example([1e300, 1e-300, 5e-324], None)
@example([True, False, 1, 0], None)
def test_what_is_packed_comes_back(told: list[Value], more: st.DataObject | None) -> None:
    steps = more.draw(st.lists(st.integers(1, 10**7), min_size=len(told), max_size=len(told))) if more else [1] * len(told)
    codes = (
        more.draw(st.lists(st.sampled_from([0, 0, 0, 64, 127]), min_size=len(told), max_size=len(told)))
        if more
        else [0] * len(told)
    )
    times = [START_MS + sum(steps[: n + 1]) for n in range(len(told))]
    packed = chunk.pack(Columns(times, told, codes), START_MS)
    found = chunk.unpack(packed, START_MS)
    assert (found.times, found.qualities, chunk.count(packed)) == (times, codes, len(told))
    assert len(found.values) == len(told)
    assert all(map(same, found.values, told))


def walk(decimals: int, step: float, count: int = 1440) -> list[float]:
    chance, now, found = random.Random(5), 8.0, []
    for _ in range(count):
        now += chance.gauss(0, step) + 0.02 * (8.0 - now)
        found.append(round(now, decimals))
    return found


def bytes_per_reading(told: list[Value], codes: list[int] | None = None) -> float:
    times = [START_MS + 60_000 * n for n in range(len(told))]
    return len(chunk.pack(Columns(times, told, codes or [0] * len(told)), START_MS)) / len(told)


@pytest.mark.parametrize(
    ("told", "most"),
    [
        (walk(2, 0.004), 0.25),
        (walk(0, 25.0), 1.2),
        ([21.0] * 1440, 0.05),
        ([True, False] * 720, 0.05),
        ([n % 7 for n in range(1440)], 0.06),
        ([*walk(2, 0.004, 1000), *[None] * 100, *walk(2, 0.004, 340)], 0.35),
        ([*walk(2, 0.004, 1400), *[8.1 + n / 7 for n in range(40)]], 0.6),
        (["auto" if n % 100 else "manual" for n in range(1440)], 0.1),
    ],
    ids=["decimals", "noise", "still", "on and off", "counter", "missing", "interpolated", "texts"],
)
def test_what_instruments_tell_is_small(told: list[Value], most: float) -> None:
    assert bytes_per_reading(told) <= most


def test_floats_without_decimals_take_no_more_than_they_are() -> None:
    chance = random.Random(3)
    assert bytes_per_reading([chance.random() for _ in range(1440)]) < 7.6


def test_a_whole_day_of_bad_quality_costs_next_to_nothing() -> None:
    told: list[Value] = list(walk(2, 0.004))
    assert bytes_per_reading(told, [64] * 1440) - bytes_per_reading(told) < 0.01


def test_fitting_is_exact() -> None:
    assert chunk.fits(0.3, 10)
    assert not chunk.fits(0.1 + 0.2, 10), "0.30000000000000004"
    assert not chunk.fits(math.nextafter(8.41, 9), 100)
