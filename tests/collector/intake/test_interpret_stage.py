"""A record becomes readings: the right instants, the right series, the right qualities, by the birth it names."""

from __future__ import annotations

import msgspec
import pytest

from collector.domain.identity import SeriesKey
from collector.domain.interpreted import Interpreted
from collector.intake.interpret import UNSURE_MS, Births, interpret
from collector.intake.records import BatchKey, Record
from edge_agent.contract import encoding
from edge_agent.contract import message as m
from edge_agent.contract.quality import Quality

EPOCH = "1-00000000000000aa"
T0 = 1_790_000_000_000
BODY = m.BirthBody("1", [m.Series(0, "meter", "flow", "m3/h"), m.Series(1, "meter", "level", "m"), m.Series(2, "pump", "on")])
RAW, NAME = encoding.encode_birth_body(BODY)


def record(message: msgspec.Struct, seq: int, kind: str = "data", gateway: str = "gw-1") -> Record:
    return Record(seq, BatchKey("site-1", gateway, EPOCH, "n", seq), T0, encoding.encode(message), kind)  # type: ignore[arg-type]


def births() -> Births:
    known = Births()
    known.take(record(m.Birth(m.VERSION, EPOCH, "u", 1, 1, NAME, "boot", T0, msgspec.Raw(RAW)), 1, "birth"))
    return known


def interpreted(body: m.Body, clock: m.Clock | None = None) -> Interpreted:
    message = m.Data(m.VERSION, EPOCH, "n", 7, 3, NAME, T0, body, clock)
    found = interpret(record(message, 7), births())
    assert found is not None
    return found


BLOCKS = [
    m.Block([250, 1000, 1000, 30_000], [m.Column(0, [1.5, 2.5, None, 4.5], [(0, 2), (64, 1), (2, 1)]), m.Column(2, [True] * 4)]),
    m.Block([-500], [m.Column(1, [3.25])]),
]


def test_offsets_add_up_from_the_message_to_each_instant() -> None:
    columns = interpreted(m.Body(BLOCKS)).columns
    assert [[t - T0 for t in column.times] for column in columns] == [[250, 1250, 2250, 32_250]] * 2 + [[-500]]


def test_series_values_and_qualities_belong_together() -> None:
    columns = interpreted(m.Body(BLOCKS)).columns
    assert [column.series.key for column in columns] == [
        SeriesKey("site-1", "gw-1", "meter", "flow"),
        SeriesKey("site-1", "gw-1", "pump", "on"),
        SeriesKey("site-1", "gw-1", "meter", "level"),
    ]
    assert [column.series.unit for column in columns] == ["m3/h", "", "m"]
    assert [list(column.values) for column in columns] == [[1.5, 2.5, None, 4.5], [True] * 4, [3.25]]
    assert [list(column.qualities) for column in columns] == [[0, 0, 64, 2], [0] * 4, [0]]


@pytest.mark.parametrize(("bound_ms", "good_is"), [(UNSURE_MS, 0), (UNSURE_MS + 1, int(Quality.UNCERTAIN_CLOCK))])
def test_a_stamp_that_may_be_far_off_makes_good_readings_uncertain(bound_ms: int, good_is: int) -> None:
    columns = interpreted(m.Body(BLOCKS), m.Clock("none", bound_ms)).columns
    assert list(columns[0].qualities) == [good_is, good_is, 64, 2]


def test_events_and_gaps_come_with_their_times() -> None:
    gap = m.Gap(EPOCH, "n", 4, 5, 20, "age")
    found = interpreted(m.Body([], [m.Event(1500, "device.silent", True, "meter", "timeout", {"n": 3})], [gap]))
    (event,) = found.events
    assert (event.time_ms, event.kind, event.on, event.subject) == (T0 + 1500, "device.silent", True, "meter")
    assert found.gaps == (gap,)


def test_without_its_birth_a_batch_is_not_understood() -> None:
    message = m.Data(m.VERSION, EPOCH, "n", 7, 3, "ff" * 8, T0, m.Body(BLOCKS))
    assert interpret(record(message, 7), births()) is None
    known = m.Data(m.VERSION, EPOCH, "n", 7, 3, NAME, T0, m.Body(BLOCKS))
    assert interpret(record(known, 7, gateway="gw-2"), births()) is None, "a birth is its own gateway's alone"


def test_a_column_that_no_birth_names_is_left_out_and_counted() -> None:
    known = births()
    message = m.Data(m.VERSION, EPOCH, "n", 7, 3, NAME, T0, m.Body([m.Block([0], [m.Column(9, [1]), m.Column(1, [2])])]))
    found = interpret(record(message, 7), known)
    assert found is not None
    assert [column.series.key.point for column in found.columns] == ["level"]
    assert known.unknown_series == 1
