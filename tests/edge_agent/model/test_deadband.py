"""Dead-bands: what is held back was never worth more than the band, and is confirmed in time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.contract.message import Limits, Value
from edge_agent.contract.quality import Quality
from edge_agent.model.deadband import DeadBands
from edge_agent.model.points import Bus, Device, Point, Tcp
from edge_agent.model.reading import Reading


def bands(
    dead_band: float | None = 0.5, heartbeat_ms: int = 60_000, limits: Limits = Limits(), kind: str = "number", lane: str = "n"
) -> DeadBands:
    point = Point(
        0,
        "d",
        "p",
        "holding",
        0,
        "u16",
        dead_band=dead_band,
        heartbeat_ms=heartbeat_ms,
        limits=limits,
        kind=kind,
        lane=lane,  # type: ignore[arg-type]
    )
    return DeadBands([Bus("b", Tcp("h"), "tcp", (Device("d", 1, (point,)),))])


def sent(made: DeadBands, *values: Value, every_ms: int = 1000) -> list[tuple[int, Value]]:
    kept: list[tuple[int, Value]] = []
    for n, value in enumerate(values):
        kept += [(r.taken_ms // every_ms, r.value) for r in made.filter([Reading(0, n * every_ms, value)])]
    return kept


def test_without_a_dead_band_everything_is_sent() -> None:
    readings = [Reading(0, n, 1.0) for n in range(5)]
    assert bands(None).filter(readings) is readings


def test_what_stays_in_the_band_is_held_back_and_a_step_is_told_with_the_reading_before_it() -> None:
    made = bands()
    assert sent(made, 1.0, 1.2, 1.5, 0.5, 1.6, 1.6, 1.7) == [(0, 1.0), (3, 0.5), (4, 1.6)]
    assert made.held_back == 4
    assert sent(bands(), 1.0, 2.0, 3.0) == [(0, 1.0), (1, 2.0), (2, 3.0)], "nothing comes twice"


def test_zero_sends_changes_alone_also_of_states_and_texts() -> None:
    assert sent(bands(0.0, kind="bool"), True, True, False, False) == [(0, True), (1, True), (2, False)]
    assert sent(bands(0.0), "a", "a", "b") == [(0, "a"), (1, "a"), (2, "b")]
    assert sent(bands(0.0), 5, 5.0) == [(0, 5), (1, 5.0)], "the kind of value is told"


def test_the_heartbeat_confirms_what_does_not_change() -> None:
    assert sent(bands(heartbeat_ms=3000), *[1.0] * 8) == [(0, 1.0), (3, 1.0), (6, 1.0)]


def test_quality_and_limits_are_always_told() -> None:
    made = bands(10.0)
    good, bad = Reading(0, 0, 1.0), Reading(0, 1, 1.0, Quality.BAD_SENSOR)
    assert made.filter([good, bad, Reading(0, 2, 1.0, Quality.BAD_SENSOR), Reading(0, 3, 1.0)])[-1].taken_ms == 3
    assert sent(bands(10.0, limits=Limits(low=2.0)), 3.0, 2.5, 1.9, 1.8) == [(0, 3.0), (1, 2.5), (2, 1.9)]


def test_only_normal_numbers_are_widened_and_never_narrowed() -> None:
    made = bands(1.0)
    made.widen(4.0)
    assert sent(made, 0.0, 3.9, 4.1) == [(0, 0.0), (1, 3.9), (2, 4.1)]
    made.widen(0.1)
    assert made.factor == 1.0
    urgent = bands(1.0, lane="u")
    urgent.widen(4.0)
    assert sent(urgent, 0.0, 1.1) == [(0, 0.0), (1, 1.1)]


@given(
    st.lists(st.floats(-100, 100), min_size=1, max_size=60),
    st.floats(0, 5),
    st.integers(1000, 20_000),
    st.sampled_from([1.0, 3.0]),
)
def test_laws(values: list[float], dead_band: float, heartbeat_ms: int, factor: float) -> None:
    made = bands(dead_band, heartbeat_ms)
    made.widen(factor)
    kept = dict(sent(made, *values))
    assert list(kept) == sorted(kept), "in the order of time"
    assert kept[0] == values[0]
    last = 0
    for n, value in enumerate(values):
        if n in kept:
            assert kept[n] == value, "never another value than the one taken"
            last = n
        assert abs(value - kept[last]) <= dead_band * factor + 1e-9, "what is held back lies in the band"
        assert (n - last) * 1000 < heartbeat_ms, "confirmed in time"
    assert made.held_back == len(values) - len(kept)
