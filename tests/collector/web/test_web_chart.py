"""The chart's geometry: what is a gap, what is drawn, that nothing ever leaves the picture."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from collector.domain.identity import SeriesKey
from collector.domain.series import Sample, SeriesInfo
from collector.web.chart import BOTTOM, TOP, chart, usable
from edge_agent.contract.message import Limits

KEY = SeriesKey("s", "g", "d", "p")
INFO = SeriesInfo(KEY, "A", period_ms=1000)
ZONE = "Asia/Shanghai"


def good(*pairs: tuple[int, float]) -> list[Sample]:
    return [Sample(at, value, 0) for at, value in pairs]


def test_a_gap_breaks_the_line_and_is_shaded() -> None:
    samples = good(*((second * 1000, 1.0 + second % 2) for second in range(100) if not 40 <= second < 60))
    drawn = chart(INFO, samples, 0, 100_000, zone=ZONE)
    assert drawn.line.count("M") == 2
    assert [(one.at, one.width, one.kind) for one in drawn.stretches] == [(39.0, 21.0, "gap")]


def test_slow_heartbeats_of_a_dead_band_are_no_gap() -> None:
    samples = good(*((second * 1000, 1.0) for second in range(0, 6000, 60)))
    drawn = chart(INFO, samples, 0, 6_000_000, zone=ZONE)
    assert drawn.line.count("M") == 1
    assert drawn.stretches == ()


def test_events_have_no_gaps() -> None:
    drawn = chart(SeriesInfo(KEY, kind="bool"), good((0, 0), (90_000, 1)), 0, 100_000, zone=ZONE)
    assert drawn.stretches == ()
    assert drawn.line == f"M0 {BOTTOM}H900V{TOP}"


def test_silence_up_to_now_is_a_gap() -> None:
    drawn = chart(INFO, good((0, 1.0), (1000, 2.0)), 0, 100_000, zone=ZONE)
    assert [one.kind for one in drawn.stretches] == ["gap"]


def test_bad_readings_are_marked_and_not_drawn() -> None:
    samples = [Sample(second * 1000, None if 10 <= second < 20 else 5.0, 64 if 10 <= second < 20 else 0) for second in range(30)]
    drawn = chart(INFO, samples, 0, 30_000, zone=ZONE)
    assert drawn.line.count("M") == 2
    assert [(one.kind, round(one.at), round(one.width)) for one in drawn.stretches] == [("bad", 33, 30)]
    assert (drawn.low, drawn.high) == (5.0, 5.0)


def test_bad_values_never_stretch_the_scale() -> None:
    samples = [Sample(0, 5.0, 0), Sample(1000, 9999.0, 65), Sample(2000, 6.0, 0)]
    assert chart(INFO, samples, 0, 3000, zone=ZONE).high == 6.0


def test_doubtful_readings_are_drawn_and_marked() -> None:
    samples = [Sample(second * 1000, 5.0, 2 if second < 10 else 0) for second in range(30)]
    drawn = chart(INFO, samples, 0, 30_000, zone=ZONE)
    assert drawn.line.count("M") == 1
    assert [one.kind for one in drawn.stretches] == ["uncertain"]


def test_a_reading_alone_is_a_dot() -> None:
    drawn = chart(INFO, good((50_000, 5.0)), 0, 100_000, zone=ZONE)
    assert drawn.line == ""
    assert [dot.x for dot in drawn.dots] == [50.0]


def test_near_limits_are_shown_and_far_ones_left_out() -> None:
    info = SeriesInfo(KEY, period_ms=1000, limits=Limits(low=4.0, high=1000.0))
    drawn = chart(info, good((0, 5.0), (1000, 6.0)), 0, 2000, zone=ZONE)
    assert [(one.kind, one.value) for one in drawn.limits] == [("low", 4.0)]


def test_ticks_stand_at_whole_hours_of_the_site() -> None:
    day = chart(INFO, [], 0, 24 * 3_600_000, zone="Asia/Kolkata")
    assert [tick.label for tick in day.times] == ["12:00", "18:00", "01-02"]
    assert [tick.label for tick in chart(INFO, [], 0, 168 * 3_600_000, zone=ZONE).times][:2] == ["01-02", "01-03"]


def test_thinned_readings_are_no_gaps() -> None:
    samples = good(*((minute * 60_000, 1.0) for minute in range(0, 600, 10)))
    assert chart(INFO, samples, 0, 36_000_000, zone=ZONE, thinned_ms=600_000).stretches == ()


readings = st.lists(
    st.builds(
        Sample,
        st.integers(0, 1_000_000),
        st.one_of(st.none(), st.booleans(), st.text(max_size=3), st.integers(-(10**12), 10**12), st.floats(width=32)),
        st.sampled_from([0, 1, 2, 64, 65, 99]),
    ),
    max_size=40,
    unique_by=lambda sample: sample.time_ms,
)


@given(readings, st.sampled_from(["number", "counter", "bool", "code"]), st.sampled_from([0, 1000, 60_000]))
def test_nothing_leaves_the_picture(samples: list[Sample], kind: str, period_ms: int) -> None:
    samples.sort(key=lambda sample: sample.time_ms)
    drawn = chart(SeriesInfo(KEY, kind=kind, period_ms=period_ms), samples, 0, 1_000_001, zone=ZONE)
    for x, y in re.findall(r"[ML](\S+?) ([\d.-]+)", drawn.line):
        assert 0 <= float(x) <= 1000
        assert TOP - 0.1 <= float(y) <= BOTTOM + 0.1
    assert all(0 <= one.at <= 100 and one.width > 0 for one in drawn.stretches)
    assert all(TOP - 0.1 <= tick.at <= BOTTOM + 0.1 for tick in drawn.levels)
    assert 2 <= len(drawn.levels) <= 12
    assert drawn.line.count("M") + len(drawn.dots) >= (1 if any(usable(sample) is not None for sample in samples) else 0)
