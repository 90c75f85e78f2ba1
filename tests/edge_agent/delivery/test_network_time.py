"""Network time as modems write it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.delivery.network_time import time_of_cclk, time_of_mmcli, time_of_qlts


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000 + 500


@pytest.mark.parametrize(
    ("answer", "utc"),
    [
        ('AT+QLTS=1\r\r\n+QLTS: "2017/01/13,03:41:22+32,0"\r\n\r\nOK\r\n', "2017-01-13T03:41:22"),
        ('+QLTS: "2026/11/25,23:59:59-24,1"\r\n\r\nOK', "2026-11-25T23:59:59"),
        ('+QLTS: "2026/02/30,03:41:22+32,0"', None),
        ('+QLTS: "2026/02/20,03:41:22+99,0"', None),
        ('+QLTS: "2026/02/20,03:41:22"', None),
        ('+QLTS: ""\r\n\r\nOK', None),
        ("\r\nERROR\r\n", None),
    ],
)
def test_qlts_is_utc_with_the_zone_beside_it(answer: str, utc: str | None) -> None:
    assert time_of_qlts(answer) == (ms(utc) if utc else None)


@pytest.mark.parametrize(
    ("answer", "utc"),
    [
        ('\r\n+CCLK: "24/08/15,13:53:54-24"\r\n\r\nOK\r\n', "2024-08-15T19:53:54"),
        ('+CCLK: "26/11/26,02:00:00+32"', "2026-11-25T18:00:00"),
        ('+CCLK: "26/11/25,18:00:00+23"', "2026-11-25T12:15:00"),
        ('+CCLK: "26/11/25,18:00:00"', None),
        ('+CCLK: "26/13/25,18:00:00+32"', None),
        ('+CCLK: "80/01/06,00:00:27+00"', "2080-01-06T00:00:27"),
    ],
)
def test_cclk_is_local_time_with_quarters_of_an_hour(answer: str, utc: str | None) -> None:
    assert time_of_cclk(answer) == (ms(utc) if utc else None)


@pytest.mark.parametrize(
    ("answer", "utc"),
    [
        ("  Time     | current: 2026-11-26T02:00:00+08\n  Timezone | current: 480", "2026-11-25T18:00:00"),
        ("  Time | current: 2026-11-26T02:00:00+08:00", "2026-11-25T18:00:00"),
        ('{"modem":{"time":{"current":"2026-11-25T18:00:00Z"}}}', "2026-11-25T18:00:00"),
        ("  Time | current: 2026-11-26T02:00:00", None),
        ("  Time | current: 2026-11-26T02:00:00+0899", None),
        ("error: modem not registered", None),
    ],
)
def test_mmcli_is_iso_8601_with_an_offset(answer: str, utc: str | None) -> None:
    assert time_of_mmcli(answer) == (ms(utc) if utc else None)


@given(st.text(alphabet='+QLTSCK: "0123456789/,-TZ.\r\nOE', max_size=80))
def test_no_text_breaks_a_parser(text: str) -> None:
    for parse in (time_of_qlts, time_of_cclk, time_of_mmcli):
        found = parse(text)
        assert found is None or isinstance(found, int)


@given(st.datetimes(datetime(2000, 1, 2), datetime(2099, 12, 30)), st.integers(-48, 56))  # noqa: DTZ001
def test_every_moment_in_every_zone_is_read_back(moment: datetime, quarters: int) -> None:
    utc_ms = int(moment.replace(tzinfo=UTC).timestamp()) * 1000 + 500
    local = datetime.fromtimestamp(utc_ms / 1000 + quarters * 900, UTC)
    assert time_of_cclk(f'+CCLK: "{local:%y/%m/%d,%H:%M:%S}{quarters:+03d}"') == utc_ms
    assert time_of_qlts(f'+QLTS: "{moment:%Y/%m/%d,%H:%M:%S}{quarters:+03d},0"') == utc_ms
