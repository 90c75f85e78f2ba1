"""The InfluxDB writer: every reply of the write API as documented, against a strict fake; the suite against a real server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.seams import Store, StoreAway, StoreBatch, StoreRefused
from collector.stores import line_protocol
from collector.stores.influx import InfluxSettings, InfluxStore
from tests.suites.store import StandingClock, StoreSuite, rows
from tests.support.influx_front import TOKEN, Answer, Front, InfluxServer, Reply, front
from tests.support.line import FLOW, STATE, T0, batch


def open_store(url: str, folder: Path) -> InfluxStore:
    return InfluxStore(InfluxSettings(url, "county", "waterworks", TOKEN), folder / "influx.db", StandingClock())


@pytest.fixture
def fake(request: pytest.FixtureRequest) -> Iterator[Front]:
    with front(request.param) as made:
        yield made


def three() -> list[StoreBatch]:
    return [batch(1, [0, 1000, 2000], [1.0, 2.0, 3.0])]


def always(status: int, body: str = "", **headers: str) -> Answer:
    return lambda lines: (status, headers, body)


def test_lines_are_escaped_and_typed() -> None:
    odd = replace(FLOW, unit="m3/h, x=1", role="")
    assert line_protocol.prefix(odd) == r"reading,device=panel,gateway=gw-1,point=outlet-flow,site=shiquan,unit=m3/h\,\ x\=1 "
    assert line_protocol.tag("end\\") == "end"
    assert line_protocol.fields(1, 0) == "value=1.0,quality=0i"
    assert line_protocol.fields(True, 2) == "value=1.0,quality=2i"
    assert line_protocol.fields(None, 64) == "quality=64i"
    assert line_protocol.fields('a "b"\\\nc', 0) == 'text="a \\"b\\"\\\\ c",quality=0i'


@given(
    st.lists(
        st.tuples(st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(1 << 63), 1 << 63)), st.integers(0, 9)),
        min_size=1,
        max_size=9,
    )
)
def test_a_columns_lines_are_those_of_its_readings(readings: list[tuple[float, int]]) -> None:
    """Good numbers take a shorter way; what it writes reads as the same numbers."""
    (column,) = batch(1, [1000 * n for n in range(len(readings))], [value for value, _ in readings]).columns
    for codes in ([0] * len(readings), [code for _, code in readings]):
        text = line_protocol.Lines().text(replace(column, qualities=codes), "p ")
        heads, times = zip(*(line.rsplit(" ", 1) for line in text.split("\n")), strict=True)
        assert [int(time) for time in times] == list(column.times)
        for head, (value, _), code in zip(heads, readings, codes, strict=True):
            number, quality = head.removeprefix("p value=").split(",quality=")
            assert (float(number), quality) == (float(value), f"{code}i")


@pytest.mark.parametrize("fake", [always(204)], indirect=True)
def test_one_request_gzipped_with_token_and_precision(fake: Front, tmp_path: Path) -> None:
    store = open_store(fake.url, tmp_path)
    store.write([*three(), batch(2, [500], [True], STATE)], 9)
    assert (fake.malformed, len(fake.requests), len(fake.requests[0]), store.cursor()) == ([], 1, 4, 9)
    store.close()


@pytest.mark.parametrize("fake", [always(401), always(403), always(404, "bucket not found")], indirect=True)
def test_what_a_person_must_mend_holds_the_data(fake: Front, tmp_path: Path) -> None:
    store = open_store(fake.url, tmp_path)
    with pytest.raises(StoreRefused):
        store.write(three(), 9)
    assert (store.cursor(), store.rejected()) == (0, [])
    store.close()


@pytest.mark.parametrize(
    ("fake", "wait_s"),
    [
        (always(429, **{"Retry-After": "7"}), 7.0),
        (always(503, **{"Retry-After": "12"}), 12.0),
        (always(503, **{"Retry-After": "1e9"}), 300.0),
    ],
    indirect=["fake"],
)
def test_what_passes_is_waited_for_as_told(fake: Front, tmp_path: Path, wait_s: float) -> None:
    store = open_store(fake.url, tmp_path)
    with pytest.raises(StoreAway) as away:
        store.write(three(), 9)
    assert away.value.retry_after_s == wait_s
    assert store.cursor() == 0
    store.close()


@pytest.mark.parametrize("fake", [always(500), always(502), always(503), always(429, **{"Retry-After": "tomorrow"})], indirect=True)
def test_what_fails_again_and_again_is_tried_ever_later(fake: Front, tmp_path: Path) -> None:
    store = open_store(fake.url, tmp_path)
    waits = []
    for _ in range(12):
        with pytest.raises(StoreAway) as away:
            store.write(three(), 9)
        waits.append(away.value.retry_after_s)
    assert 0.5 <= waits[0] <= 1.0
    assert 30.0 <= waits[-1] <= 60.0
    assert all(2.0**n / 2 <= wait <= 2.0**n for n, wait in enumerate(waits[:6])), "doubling, with jitter"
    assert (store.cursor(), store.rejected()) == (0, [])
    store.close()


def test_no_server_is_waited_for(tmp_path: Path) -> None:
    with front() as gone:
        url = gone.url
    store = open_store(url, tmp_path)
    with pytest.raises(StoreAway):
        store.write(three(), 9)
    store.close()


PARTIAL = (
    '{"code":"unprocessable entity","message":"failure writing points to database: partial write: field type conflict dropped=1"}'
)


@pytest.mark.parametrize("fake", [always(422, PARTIAL), always(400, PARTIAL), always(500, PARTIAL)], indirect=True)
def test_a_partial_write_is_quarantined_and_never_sent_again(fake: Front, tmp_path: Path) -> None:
    store = open_store(fake.url, tmp_path)
    store.write(three(), 9)
    assert (len(fake.requests), store.cursor(), len(store.rejected())) == (1, 9, 1)
    assert "partial write" in store.rejected()[0][0]
    store.close()


def refuse_two(lines: list[str]) -> Reply:
    return (400, {}, "unable to parse") if any("value=2.0" in line for line in lines) else (204, {}, "")


@pytest.mark.parametrize("fake", [refuse_two], indirect=True)
def test_a_malformed_line_is_found_by_halving(fake: Front, tmp_path: Path) -> None:
    store = open_store(fake.url, tmp_path)
    store.write(three(), 9)
    (rejected,) = store.rejected()
    assert "value=2.0" in rejected[1]
    accepted = {line for lines in fake.requests if refuse_two(lines)[0] == 204 for line in lines}
    assert len(accepted) == 2
    store.close()


@pytest.mark.parametrize("fake", [lambda lines: (413, {}, "too large") if len(lines) > 1 else (204, {}, "")], indirect=True)
def test_too_large_is_halved(fake: Front, tmp_path: Path) -> None:
    store = open_store(fake.url, tmp_path)
    store.write(three(), 9)
    assert (sorted(len(lines) for lines in fake.requests), store.rejected(), store.cursor()) == ([1, 1, 1, 2, 3], [], 9)
    store.close()


def test_the_token_is_in_no_error(tmp_path: Path) -> None:
    with front(always(401)) as fake:
        store = open_store(fake.url, tmp_path)
        with pytest.raises(StoreRefused) as refused:
            store.write(three(), 1)
        assert TOKEN not in str(refused.value)
        store.close()


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b'{"results":[{"error":"database not found: waterworks"}]}', StoreRefused),
        (b"<html>a proxy</html>", StoreAway),
        (b"[]", StoreAway),
    ],
)
def test_a_query_that_fails_is_no_empty_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reply: bytes, error: type[Exception]
) -> None:
    with front() as fake:
        monkeypatch.setattr(fake, "query", lambda path, headers: (200, reply))
        store = open_store(fake.url, tmp_path)
        with pytest.raises(error):
            store.latest()
        store.close()


@pytest.mark.influxdb
class TestInfluxStore(StoreSuite):
    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Iterator[Callable[[], Store]]:
        server = InfluxServer(tmp_path)
        opened: list[InfluxStore] = []
        with front(forward=server.url) as v2:

            def open_again() -> Store:
                for store in opened:
                    store.close()
                opened.append(open_store(v2.url, tmp_path))
                return opened[-1]

            yield open_again
            for store in opened:
                store.close()
            assert v2.malformed == []
        server.close()


@pytest.mark.influxdb
def test_a_killed_server_delays_and_loses_nothing_that_was_confirmed_later(tmp_path: Path) -> None:
    server = InfluxServer(tmp_path)
    with front(forward=server.url) as v2:
        store = open_store(v2.url, tmp_path)
        store.write([batch(1, [0], [1.0])], 1)
        server.kill()
        with pytest.raises((StoreAway, StoreRefused)):
            store.write([batch(2, [1000], [2.0])], 2)
        server.start()
        store.write([batch(1, [0], [1.0]), batch(2, [1000], [2.0])], 2)
        assert [row[:2] for row in rows(store)] == [(0, 1.0), (1000, 2.0)]
        assert store.latest()[FLOW.key].time_ms == T0 + 1000
        store.close()
    server.close()
