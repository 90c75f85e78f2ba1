"""Batches: every reading in a column, once, at its instant, with its quality; what JSON cannot carry is no value."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.contract.encoding import MAX_INTEGER, MAX_TEXT, decode_body, qualities, times_ms
from edge_agent.contract.message import Gap
from edge_agent.contract.quality import Quality
from edge_agent.delivery.batching import MAX_BATCH_BYTES, OpenBatch, join_gaps, sendable
from edge_agent.model.reading import Happening, Reading

readings = st.builds(
    Reading,
    st.integers(0, 5),
    st.integers(0, 10**6),
    st.integers(-5, 5) | st.booleans() | st.text(max_size=3),
    st.sampled_from(Quality),
)


@given(st.lists(readings, min_size=1, max_size=60))
def test_every_reading_is_there_once_at_its_instant(taken: list[Reading]) -> None:
    batch = OpenBatch("n", 5000, 1000)
    for reading in taken:
        batch.add_reading(7, reading)
    closed = batch.close()
    assert closed is not None
    body = decode_body(closed.body)
    found = [
        (column.i, time_ms, value, quality)
        for block in body.blocks
        for column in block.c
        for time_ms, value, quality in zip(times_ms(closed.base_ms, block), column.v, qualities(column), strict=True)
    ]
    key = lambda row: (row[0], row[1], repr(row[2]), row[3])  # noqa: E731 - two sorts by one key
    assert sorted(found, key=key) == sorted([(r.series, r.taken_ms, r.value, int(r.quality)) for r in taken], key=key)
    instants = [tuple(block.t) for block in body.blocks]
    assert len(instants) == len(set(instants)), "equal instants share a block"
    assert (closed.readings, closed.arrived_ms) == (len(taken), 7)


def test_series_of_one_request_share_a_block() -> None:
    batch = OpenBatch("n", 5000, 1000)
    for second in range(3):
        for series in (0, 1):
            batch.add_reading(0, Reading(series, 1000 * second, second))
        batch.add_reading(0, Reading(2, 1000 * second + 7, second))
    closed = batch.close()
    assert closed is not None
    assert [(b.t, [c.i for c in b.c]) for b in decode_body(closed.body).blocks] == [
        ([0, 1000, 1000], [0, 1]),
        ([7, 1000, 1000], [2]),
    ]


@pytest.mark.parametrize(
    ("value", "sent", "quality"),
    [
        (math.nan, None, Quality.BAD_SENSOR),
        (math.inf, None, Quality.BAD_SENSOR),
        (1 << 64, float(1 << 64), Quality.GOOD),
        (MAX_INTEGER, MAX_INTEGER, Quality.GOOD),
        ("a" * 5000, "a" * MAX_TEXT, Quality.GOOD),
        ("\ud800x", "?x", Quality.GOOD),
        (True, True, Quality.GOOD),
    ],
)
def test_what_cannot_cross_the_wire_does_not(value: float | str, sent: object, quality: Quality) -> None:
    assert sendable(value, Quality.GOOD) == (sent, quality)


def test_long_texts_fill_a_batch_before_the_message_is_too_long() -> None:
    batch = OpenBatch("n", 5000, 100_000)
    while not batch.is_full:
        batch.add_reading(0, Reading(0, 0, "\x01" * MAX_TEXT))
        batch.add_event(0, Happening("x", 0, reason="\x02" * MAX_TEXT))
    closed = batch.close()
    assert closed is not None
    assert len(closed.body) < 2 * MAX_BATCH_BYTES


def test_an_empty_batch_gives_nothing_and_a_closed_one_begins_anew() -> None:
    batch = OpenBatch("u", 200, 10)
    assert batch.close() is None
    batch.add_reading(50, Reading(0, 40, 1))
    assert batch.due_ms == 250
    assert batch.close() is not None
    assert (batch.due_ms, batch.close()) == (None, None)


def test_gap_records_wait_for_company_but_not_longer_than_an_event() -> None:
    batch = OpenBatch("u", 200, 10)
    batch.add_gap(0, Gap("1-0", "n", 1, 1, 5, "overflow"))
    assert batch.due_ms == 60_000
    batch.add_event(1000, Happening("x", 1000))
    assert batch.due_ms == 1200


def test_gaps_that_continue_each_other_are_one() -> None:
    first, second = Gap("1-0", "n", 1, 4, 5, "overflow", 100, 200), Gap("1-0", "n", 5, 5, 2, "overflow", None, 300)
    assert join_gaps(first, second) == Gap("1-0", "n", 1, 5, 7, "overflow", 100, 300)
    assert join_gaps(second, first) is None
    assert join_gaps(first, Gap("1-0", "n", 5, 5, 2, "age")) is None
