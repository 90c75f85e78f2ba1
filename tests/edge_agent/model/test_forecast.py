"""What a bus will do: load and lateness as they come to be on a simulated line, whatever the line."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_agent.common.problem import ProblemError
from edge_agent.model.forecast import forecast
from edge_agent.model.line_cost import cost_of
from edge_agent.model.points import Bus, Device, Point, Serial, Step, Tcp
from edge_agent.model.polling import Came, Polling
from edge_agent.model.schedule import Wait


def device(unit: int, *points: tuple[int, int], **fields: object) -> Device:
    """points: (address, period in ms)."""
    made = tuple(
        Point(100 * unit + i, f"d{unit}", f"p{i}", "holding", address, "u16", period_ms=period_ms)
        for i, (address, period_ms) in enumerate(points)
    )
    return Device(f"d{unit}", unit, made, **fields)


def bus(*devices: Device, baudrate: int = 9600) -> Bus:
    return Bus("b", Serial("/dev/ttyS0", baudrate), "rtu", devices)


def played(made: Bus, until_ms: int = 600_000) -> tuple[float, dict[int, float]]:
    """(share of its time that the agent's own polling keeps the bus busy, the longest wait of each point beyond its period)."""
    cost = cost_of(made)
    polling = Polling(made, 1, 0, cost)
    now_us, busy_us, last, late_ms = 0.0, 0.0, dict[int, float](), dict[int, float]()
    while now_us < 1000 * until_ms:
        now_ms = int(now_us / 1000)
        turn = polling.next(now_ms)
        if isinstance(turn, Wait):
            now_us = max(now_us, 1000.0 * turn.until_ms)
            continue
        spent_us = cost.of_device(turn.request.device.settings).of(turn.block.table, turn.block.count)
        now_us, busy_us = now_us + spent_us, busy_us + spent_us
        polling.worked(turn, [0] * turn.block.count, Came(now_ms, 20), now_ms)
        polling.spent(turn, int(spent_us / 1000), now_ms)
        for point in turn.block.points:
            if point.series in last and now_ms > 100_000:
                waited_ms = now_ms - last[point.series] - point.period_ms
                late_ms[point.series] = max(late_ms.get(point.series, 0), waited_ms)
            last[point.series] = now_ms
    return busy_us / now_us, late_ms


CALM = bus(device(1, (0, 1000), (3, 1000), (60, 10_000)), device(2, (0, 2000), (50, 60_000)))
FULL = bus(*(device(unit, *((40 * i, 1000) for i in range(4))) for unit in range(1, 9)))


@pytest.mark.parametrize("made", [CALM, FULL, replace(CALM, link=Tcp("h"), framing="tcp")], ids=["calm", "full", "tcp"])
def test_the_agent_does_what_was_forecast(made: Bus) -> None:
    found = forecast(made, cost_of(made))
    share, late_ms = played(made)
    assert share == pytest.approx(min(1.0, found.share), rel=0.03)
    assert max(late_ms.values()) == pytest.approx(found.late_ms, rel=0.05, abs=60)


def test_the_rush_of_the_beginning_is_not_taken_for_too_much_to_do() -> None:
    """Three hundred requests, all made at the start, last longer than a second; afterwards the bus has next to nothing to do."""
    made = bus(*(device(unit, *((130 * i, 60_000) for i in range(10)), turnaround_ms=50) for unit in range(1, 31)))
    found = forecast(made, cost_of(made))
    assert found.requests == 300
    assert (found.missed, found.late_ms, found.is_met) == (0, 0, True)


def test_a_bus_with_time_to_spare_is_met() -> None:
    found = forecast(CALM, cost_of(CALM))
    assert found.is_met
    assert (found.missed, found.late_ms, found.late_point) == (0, 0, "")
    assert found.words == "bus b busy 7 %, every point in time"
    assert found.cycle_ms == pytest.approx(found.asked_cycle_ms)
    assert found.requests == sum(len(each.asked) for each in found.devices)


def test_a_bus_with_too_much_to_do_is_not() -> None:
    found = forecast(FULL, cost_of(FULL))
    assert not found.is_met
    assert found.share == pytest.approx(32 * (3.5 + 13 + 2) / 960 + 32 * 0.02, rel=0.01)
    assert found.late_ms > 200
    assert found.late_point
    assert found.words == f"bus b would need 126 % of its time, slowest point {found.late_ms / 1000:.1f} s late"


def test_one_with_room_in_the_mean_but_late_for_one_point_is_not_met() -> None:
    """A long request stands before a fast one: nothing is left out, the load is small, and still the fast one is late."""
    made = bus(device(1, (0, 200)), device(2, *((address, 60_000) for address in range(80)), turnaround_ms=100))
    found = forecast(made, cost_of(made))
    assert found.share < 0.5
    assert found.missed == 0
    assert 0.5 < found.late_share < 1
    assert not found.is_met
    assert found.late_point == "d1.p0"
    assert "late" in found.words


def test_one_without_time_for_repeats_is_not_met() -> None:
    made = bus(device(1, (0, 40)))
    found = forecast(made, cost_of(made))
    assert 0.95 < found.share < 1
    assert (found.missed, found.late_ms, found.is_met) == (0, 0, False)


def test_the_adapters_lag_is_part_of_every_request() -> None:
    quick, slow = (forecast(CALM, cost_of(CALM, lag_us)) for lag_us in (0.0, 16_000.0))
    assert slow.wire_ms - quick.wire_ms == pytest.approx(16.0 * quick.requests, abs=16.1)
    assert slow.share > quick.share


def test_what_was_measured_counts_in_place_of_the_profiles_word() -> None:
    found = forecast(CALM, cost_of(CALM), {"d1": 120.0})
    assert [each.turnaround_ms for each in found.devices] == [120.0, 20]
    before = forecast(CALM, cost_of(CALM)).devices
    assert found.devices[0].share > before[0].share
    assert found.devices[1].share == before[1].share


def test_how_often_a_silent_device_is_asked_follows_from_the_budget() -> None:
    one = device(1, (0, 1000), timeout_ms=500)
    rich, poor = (
        forecast(replace(bus(one), probe_budget=budget), cost_of(CALM)).devices[0].probe_interval_ms for budget in (0.1, 0.01)
    )
    assert poor == pytest.approx(10 * rich, rel=0.01)
    assert rich == pytest.approx(1.2 * 512 / (0.1 * 0.92), rel=0.01)


def test_steps_and_keeping_alive_count() -> None:
    plain = device(1, (0, 10_000))
    trigger = (Step("holding", 9, (1,), wait_ms=500),)
    shares = [
        forecast(bus(each), cost_of(CALM)).share
        for each in (
            plain,
            replace(plain, trigger=trigger),
            replace(plain, wake=trigger, wake_after_ms=2000),
            replace(plain, wake=trigger, wake_after_ms=20_000),
            replace(plain, keepalive_ms=1000),
        )
    ]
    assert shares[1] == pytest.approx(shares[0] + 0.05, abs=0.01)
    assert shares[2] == shares[1]
    assert shares[3] == shares[0]
    assert shares[4] == pytest.approx(10 * shares[0])


def test_an_empty_bus_and_an_empty_device_do_nothing() -> None:
    for made in (bus(), bus(device(1))):
        found = forecast(made, cost_of(made))
        assert (found.share, found.requests, found.late_ms, found.is_met) == (0.0, 0, 0, True)


def test_what_fits_in_no_request_is_a_problem() -> None:
    one = device(1, (0, 1000), (60, 1000), max_registers=10)
    torn = replace(one, points=tuple(replace(point, group="g") for point in one.points))
    with pytest.raises(ProblemError) as caught:
        forecast(bus(torn), cost_of(CALM))
    assert caught.value.problems[0].code == "BUS110"
