"""Births applied to records."""

from __future__ import annotations

import pytest

from collector.domain.identity import SeriesKey
from collector.domain.interpreted import SiteEvent
from collector.domain.series import AHEAD_MS
from collector.intake import interpret as module
from collector.intake.interpret import Births, interpret
from collector.intake.records import BatchKey, Record
from edge_agent.contract import encoding
from edge_agent.contract import message as m
from tests.support.intake import EPOCHS, NAME, OTHER, T0, birth, data

SERIES = m.BirthBody("1", [m.Series(0, "panel", "flow", "m3/h", "outlet.flow"), m.Series(1, "panel", "level", "m", "tank.level")])
BODY = m.Body(
    [m.Block([0, 1000], [m.Column(0, [1.5, 2], [(0, 1), (64, 1)]), m.Column(1, [0.25, None]), m.Column(7, [1, 1])])],
    [m.Event(-500, "device.silent", True, "panel")],
    [m.Gap(EPOCHS[0], "n", 3, 4, 20, "overflow")],
)


def record(payload: bytes, seq: int, lane: m.Lane = "n", offset: int = 1, name: tuple[str, str] = NAME) -> Record:
    return Record(offset, BatchKey(*name, EPOCHS[0], lane, seq), T0 + 5, payload, "data")


def test_data_of_an_unknown_birth_waits_for_it() -> None:
    births = Births()
    payload, name = birth(EPOCHS[0], 1, body=SERIES)
    first = record(data(EPOCHS[0], "n", 5, 2, name, BODY), 5)
    assert interpret(first, births) is None
    told = interpret(record(payload, 1, "u"), births)
    assert told is not None
    assert told.birth == SERIES
    assert told.columns == ()
    known = interpret(first, births)
    assert known is not None
    flow, level = known.columns
    assert flow.series.key == SeriesKey(*NAME, "panel", "flow")
    assert (flow.series.unit, flow.series.role) == ("m3/h", "outlet.flow")
    assert (flow.times, flow.values, flow.qualities) == ([T0, T0 + 1000], [1.5, 2], [0, 64])
    assert (level.values, level.qualities) == ([0.25, None], [0, 0])
    assert births.unknown_series == 1, "the column of series 7 is counted, the others are kept"
    assert known.events == (SiteEvent(T0 - 500, "device.silent", True, "panel"),)
    assert known.gaps == (m.Gap(EPOCHS[0], "n", 3, 4, 20, "overflow"),)
    assert (known.offset, known.seq, known.received_ms) == (1, 5, T0 + 5)


def test_series_and_times_are_shared_and_not_made_anew() -> None:
    births = Births()
    payload, name = birth(EPOCHS[0], 1, body=SERIES)
    births.load([record(payload, 1, "u")])
    one, two = (interpret(record(data(EPOCHS[0], "n", seq, 1, name, BODY), seq), births) for seq in (1, 2))
    assert one is not None
    assert two is not None
    assert one.columns[0].series is two.columns[0].series
    assert one.columns[0].times is one.columns[1].times


def test_a_birth_speaks_for_its_own_gateway_alone() -> None:
    births = Births()
    payload, name = birth(EPOCHS[0], 1, body=SERIES)
    births.load([record(payload, 1, "u")])
    assert interpret(record(data(EPOCHS[0], "n", 1, 1, name, BODY), 1, name=OTHER), births) is None


def test_births_of_one_gateway_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BIRTHS", 3)
    births = Births()
    made = [birth(EPOCHS[0], n, body=m.BirthBody(str(n), SERIES.series)) for n in range(1, 5)]
    births.load([record(payload, n, "u") for n, (payload, _) in enumerate(made[:3], start=1)])
    births.load([record(made[0][0], 9, "u"), record(made[3][0], 4, "u")])
    assert [births.series(NAME, name) is None for _, name in made] == [False, True, False, False], "heard again is young again"


def test_times_that_are_only_bounded_make_good_readings_uncertain() -> None:
    births = Births()
    payload, name = birth(EPOCHS[0], 1, body=SERIES)
    births.load([record(payload, 1, "u")])
    unsure = m.Data(1, EPOCHS[0], "n", 1, 1, name, T0, BODY, m.Clock("none", 3_600_000))
    known = interpret(record(encoding.encode(unsure), 1), births)
    assert known is not None
    assert known.columns[0].qualities == [1, 64]
    assert known.clock_bound_ms == 3_600_000


def test_a_stamp_far_ahead_makes_a_good_reading_uncertain() -> None:
    births = Births()
    payload, name = birth(EPOCHS[0], 1, body=SERIES)
    births.load([record(payload, 1, "u")])
    ahead = 5 + AHEAD_MS
    body = m.Body([m.Block([0, ahead, 1, 1], [m.Column(0, [1.0, 2.0, 3.0, 4.0], [(0, 3), (64, 1)])])])
    known = interpret(record(data(EPOCHS[0], "n", 1, 1, name, body), 1), births)
    assert known is not None
    assert list(known.columns[0].times) == [T0, T0 + ahead, T0 + ahead + 1, T0 + ahead + 2]
    assert known.columns[0].qualities == [0, 0, 1, 64]


def test_a_record_that_is_no_message_is_malformed() -> None:
    with pytest.raises(encoding.Malformed):
        interpret(record(b"junk", 1), Births())
