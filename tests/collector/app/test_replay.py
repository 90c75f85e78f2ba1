"""A foreign record becomes the messages a gateway would have sent: nothing invented, nothing lost, the same each time."""

from __future__ import annotations

import csv
import io
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.config.mapping_file import MappingFile
from collector.replay import Batch, Tally, batches, birth_message, epoch_of, read_rows, shift_to
from collector.replay_window import MAX_ON_THE_WAY, RESEND_MS, ReplayWindow, Silence
from edge_agent.common.problem import ProblemError
from edge_agent.contract import encoding
from edge_agent.contract import message as m

EPOCH = "0-0123456789abcdef"


def mapping(**more: Any) -> MappingFile:
    return MappingFile.model_validate(
        {
            "time": {"column": "time", "format": "iso", "zone": "Asia/Shanghai"},
            "batch_rows": 3,
            "series": [
                {"column": "a", "device": "panel", "point": "a", "unit": "NTU", "role": "water.turbidity", "decimals": 2},
                {"column": "b", "device": "panel", "point": "b", "kind": "counter"},
            ],
            **more,
        }
    )


def rows(text: str, plan: MappingFile | None = None) -> tuple[list[Any], Tally]:
    tally = Tally()
    return list(read_rows(io.StringIO(text), plan or mapping(), "r.csv", tally)), tally


def readings(sent: list[Batch]) -> list[tuple[int, int, m.Value]]:
    """(series index, time, value) of everything sent, as a collector decodes it."""
    found = []
    for batch in sent:
        data = encoding.decode_sequenced(batch.payload)
        assert isinstance(data, m.Data)
        assert (data.e, data.l, data.s, data.low) == (EPOCH, "n", batch.seq, 1)
        for block in data.d.blocks:
            for column in block.c:
                found += [(column.i, at, value) for at, value in zip(encoding.times_ms(data.t0, block), column.v, strict=True)]
    return found


def test_cells_times_and_zones() -> None:
    read, tally = rows(
        "time,b,a\n"
        "2026-01-01T08:00:00,7,1.5\n"
        "2026-01-01T00:01:00Z,,2\n"
        "2026-01-01T00:01:00Z,9,9\n"
        "yesterday,1,1\n"
        "2026-01-01T00:02:00Z,x,NaN\n"
        "\n"
        "2026-01-01T00:03:00Z,8\n"
    )
    t = 1_767_225_600_000
    assert read == [(t, (1.5, 7)), (t + 60_000, (2.0, None)), (t + 120_000, (None, None)), (t + 180_000, (None, 8))]
    assert (tally.rows, tally.readings, tally.repeated, tally.bad_times, tally.unparsable) == (4, 4, 1, 1, 1)
    assert tally.examples == ["line 5: time 'yesterday'", "line 6: x"]


@pytest.mark.parametrize(
    ("form", "text"), [("unix", "1767225600"), ("unix-ms", "1767225600000"), ("%d.%m.%Y %H:%M", "01.01.2026 08:00")]
)
def test_time_formats(form: str, text: str) -> None:
    read, _ = rows(f"time;a;b\n{text};1;1\n", mapping(time={"column": "time", "format": form}, separator=";"))
    assert read[0].time_ms == 1_767_225_600_000


def test_a_missing_column_is_named() -> None:
    with pytest.raises(ProblemError) as caught:
        rows("time,a\n")
    assert "`b`" in caught.value.problems[0].what


VALUES = st.one_of(st.none(), st.integers(-(10**6), 10**6).map(lambda n: n / 100))


@given(st.lists(st.tuples(st.integers(1, 10**6), VALUES, VALUES), min_size=1, max_size=40))
def test_every_cell_arrives_and_nothing_else(cells: list[tuple[int, float | None, float | None]]) -> None:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["time", "a", "b"])
    now, expected = 1_700_000_000_000, []
    for step, *values in cells:
        now += step
        writer.writerow([now, *("" if value is None else value for value in values)])
        expected += [(index, now + 500, value) for index, value in enumerate(values) if value is not None]
    plan = mapping(time={"column": "time", "format": "unix-ms"})
    read, tally = rows(out.getvalue(), plan)
    sent = list(batches(read, plan, EPOCH, "0" * 16, 500))
    assert sorted(readings(sent)) == sorted(expected)
    assert sum(batch.readings for batch in sent) == tally.readings == len(expected)
    assert sum(batch.rows for batch in sent) == tally.rows == len(cells)
    assert [batch.seq for batch in sent] == list(range(1, len(sent) + 1))


@given(st.integers(10**12, 2 * 10**12), st.integers(10**12, 2 * 10**12))
def test_the_last_row_lies_just_before_the_end(last: int, end: int) -> None:
    shift = shift_to(last, end)
    assert shift % 1000 == 0
    assert end - 1000 <= last + shift < end


def test_the_epoch_names_record_mapping_and_end() -> None:
    epochs = {epoch_of(b"r", b"m", ""), epoch_of(b"r", b"m", "1"), epoch_of(b"r2", b"m", ""), epoch_of(b"r", b"m2", "")}
    assert len(epochs) == 4
    assert epoch_of(b"r", b"m", "") in epochs
    assert all(encoding.parse_epoch(epoch)[0] == 0 for epoch in epochs)


def test_the_birth_is_one_of_the_contract() -> None:
    payload, name = birth_message(mapping().birth("x"), EPOCH, 1_767_225_600_000)
    birth = encoding.decode_sequenced(payload)
    assert isinstance(birth, m.Birth)
    assert (birth.l, birth.s, birth.h) == ("u", 1, name)
    assert encoding.decode_birth_body(bytes(birth.body)).series[0].role == "water.turbidity"


def window(count: int) -> ReplayWindow:
    made = ReplayWindow(EPOCH, b"birth", iter([Batch(seq, b"%d" % seq, 1, 2) for seq in range(1, count + 1)]))
    made.begin(0)
    return made


def receipt(upto: int, *ranges: tuple[int, int], log: str = "log", birth: bool = True) -> m.Receipt:
    lanes = [m.LaneReceipt(EPOCH, "n", upto, list(ranges)), *([m.LaneReceipt(EPOCH, "u", 1)] if birth else [])]
    return m.Receipt(1, log, lanes)


def test_the_birth_goes_first_and_alone() -> None:
    way = window(2)
    assert way.due(0) == [b"birth"]
    assert way.due(1) == []
    assert way.due(RESEND_MS) == [b"birth"]
    way.receipt(RESEND_MS + 1, receipt(0))
    assert way.due(RESEND_MS + 2) == [b"1", b"2"]


def test_what_has_its_receipt_is_not_sent_again() -> None:
    way = window(5)
    way.due(0)
    way.receipt(1, receipt(2, (4, 4)))
    assert way.due(2) == [b"3", b"5"]
    way.receipt(3, receipt(4))
    assert way.due(4) == []
    assert way.due(3 + RESEND_MS) == [b"5"]
    way.connected()
    assert way.due(4 + RESEND_MS) == [b"5"]
    assert not way.done
    way.receipt(5 + RESEND_MS, receipt(5))
    assert way.done
    assert way.rows == 5


def test_the_way_is_bounded_and_a_changed_log_is_told() -> None:
    way = window(100)
    way.due(0)
    way.receipt(1, receipt(0))
    assert len(way.due(2)) == MAX_ON_THE_WAY
    assert not way.log_changed
    way.receipt(3, receipt(0, log="other"))
    assert way.log_changed


def test_silence_is_told_after_five_seconds_and_every_ten() -> None:
    silence = Silence()
    assert [at for at in range(0, 40_000, 200) if silence.is_due(at)] == [5000, 15_000, 25_000, 35_000]
    assert not silence.is_due(100), "a receipt came"
    assert silence.is_due(5100)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_lost_every_batch_gets_its_receipt(seed: int) -> None:
    chance = Random(seed)
    way, now, durable, births = window(50), 0, set[int](), False
    for _ in range(2000):
        now += 500
        for payload in way.due(now):
            if chance.random() < 0.25:
                continue
            births = births or payload == b"birth"
            if payload != b"birth":
                durable.add(int(payload))
        upto = next(n for n in range(60) if n + 1 not in durable)
        way.receipt(now, receipt(upto, *[(n, n) for n in sorted(durable) if n > upto + 1][:32], birth=births))
        if way.done:
            break
    assert way.done
    assert durable == set(range(1, 51))
