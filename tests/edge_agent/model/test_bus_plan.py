"""The plan of a running bus: made anew for a device whose turn-around is not what its profile says."""

from __future__ import annotations

import pytest

from edge_agent.model.bus_figures import BusFigures, DeviceFigures
from edge_agent.model.bus_plan import BusPlan, Forecasts
from edge_agent.model.forecast import forecast
from edge_agent.model.line_cost import cost_of
from tests.edge_agent.model.test_forecast import bus, device

APART = bus(device(1, (0, 1000), (12, 1000), turnaround_ms=2), device(2, (0, 1000), (3, 10_000)))


def plan() -> BusPlan:
    return BusPlan(APART, cost_of(APART))


def spans(made: BusPlan, id: str) -> list[tuple[int, int]]:
    return [(poll.whole.address, poll.whole.count) for poll in made.polls_of(id)]


def test_at_first_it_is_the_forecasts_plan() -> None:
    found = forecast(APART, cost_of(APART))
    assert [poll for _, poll in plan().now().placed] == [each.poll for device in found.devices for each in device.asked]
    assert plan().now().forecast() == found


def test_a_slow_device_is_asked_in_fewer_requests() -> None:
    made = plan()
    assert spans(made, "d1") == [(0, 1), (12, 1)]
    others = made.polls_of("d2")
    assert made.measured("d1", 80.0)
    assert spans(made, "d1") == [(0, 13)]
    assert made.polls_of("d2") == others
    assert made.measured("d1", 2.0)
    assert spans(made, "d1") == [(0, 1), (12, 1)]


def test_requests_stay_where_nothing_is_saved() -> None:
    made = plan()
    before = made.now()
    assert not made.measured("d2", 60.0)
    after = made.now()
    assert after.placed == before.placed
    assert after.measured_ms == {"d2": 60.0}
    assert after.forecast().devices[1].share > before.forecast().devices[1].share


@pytest.mark.parametrize(("measured_ms", "is_news"), [(2.0, False), (4.9, False), (5.1, True), (80.0, True)])
def test_small_differences_are_no_news(measured_ms: float, is_news: bool) -> None:
    assert plan().is_news("d1", measured_ms) is is_news


def test_the_adapters_lag_is_no_news() -> None:
    made = BusPlan(APART, cost_of(APART, 16_000.0))
    assert not made.is_news("d1", 18.0)
    assert made.is_news("d1", 2.0)


def test_new_requests_come_where_the_others_leave_room() -> None:
    """Ten slow requests of one device fill the ticks of the ten seconds; the other device's do not come in the same ones."""
    first = device(1, *((130 * i, 10_000) for i in range(5)), turnaround_ms=2)
    second = device(2, *((12 * i, 10_000) for i in range(6)), (2000, 1000), turnaround_ms=2)
    made = BusPlan(two := bus(first, second), cost_of(two))
    assert made.measured("d2", 60.0)
    ticks = [poll.phase_ms // 1000 for id in ("d1", "d2") for poll in made.polls_of(id) if poll.period_ms == 10_000]
    assert len(ticks) == len(set(ticks))


def test_what_was_planned_stands_beside_what_was_measured() -> None:
    made, forecasts = plan(), Forecasts()
    measured = BusFigures("b", "ok", devices=(DeviceFigures("d1", "ok", 0), DeviceFigures("d2", "ok", 0)))
    found = forecasts.beside(measured, made.now())
    told = made.now().forecast()
    assert found.planned is not None
    assert (found.planned.busy_share, found.planned.cycle_ms, found.planned.requests) == (told.share, told.cycle_ms, 3)
    assert [each.planned_busy_share for each in found.devices] == [each.share for each in told.devices]
