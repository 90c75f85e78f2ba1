"""The real bus in simulated time: it plans with turn-arounds as it measures them, and what it measures is what was forecast."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from edge_agent.cli.status import _span
from edge_agent.cli.status_buses import bus_lines
from edge_agent.io import adapter
from edge_agent.model.bus_figures import PlanFigures
from edge_agent.model.points import Bus, Device, Point, Serial
from tests.edge_agent.cli.test_status_buses import body
from tests.edge_agent.test_bus_faults import IDENTIFY, answered, device, line
from tests.support.simulated_bus import SimulatedBus


def figures(bus: SimulatedBus) -> tuple[PlanFigures, PlanFigures]:
    found = bus.runner.figures()
    assert found.measured is not None
    assert found.planned is not None
    return found.measured, found.planned


def spread(period_ms: int = 1000) -> Device:
    points = tuple(Point(10 + i, "d1", f"p{i}", "holding", 12 * i, "u16", period_ms=period_ms) for i in range(3))
    return Device("d1", 1, points, turnaround_ms=2)


def asked(bus: SimulatedBus, from_ms: float) -> set[bytes]:
    """What was asked but for the identification, which is asked once."""
    return {pdu for at_ms, _, pdu in bus.link.asked if at_ms >= from_ms and pdu[0] != IDENTIFY[0]}


def test_a_slow_device_is_asked_in_fewer_requests_once_that_is_known() -> None:
    bus = SimulatedBus(line(spread()), answered)
    bus.link.turnaround_ms = 80
    bus.run(55_000)
    assert len(asked(bus, 0)) == 3
    bus.run(200_000)
    assert asked(bus, 70_000) == {b"\3\0\0\0\x19"}
    for series in (10, 11, 12):
        taken = [reading.taken_ms for reading in bus.of(series)]
        assert max(b - a for a, b in pairwise(taken)) < 1300
        assert len(taken) == len(set(taken))
    assert {reading.value for reading in bus.of(12)} == {124}


def test_a_device_as_quick_as_its_profile_says_is_asked_as_planned() -> None:
    bus = SimulatedBus(line(replace(spread(), turnaround_ms=20)), answered)
    bus.run(300_000)
    assert len(asked(bus, 0)) == len(asked(bus, 200_000))


@pytest.mark.parametrize(
    ("made", "turnaround_ms"),
    [
        (line(device(1, points=2), device(2, points=3, period_ms=5000)), 20.0),
        (line(*(device(unit, points=2) for unit in range(1, 5))), 60.0),
        (line(*(device(unit, points=3) for unit in range(1, 9))), 20.0),
        (line(*(device(unit, points=3) for unit in range(1, 9))), 90.0),
    ],
    ids=["calm", "slow", "full", "twice too much"],
)
def test_what_is_measured_is_what_was_forecast(made: Bus, turnaround_ms: float) -> None:
    bus = SimulatedBus(made, answered)
    bus.link.turnaround_ms = turnaround_ms
    bus.run(900_000)
    measured, planned = figures(bus)
    assert measured.busy_share == pytest.approx(min(1.0, planned.busy_share), rel=0.06)
    assert measured.cycle_ms == pytest.approx(planned.cycle_ms, rel=0.03)
    assert measured.late_ms == pytest.approx(planned.late_ms, rel=0.2, abs=100)
    assert (measured.late_point == "") is (measured.late_ms == 0)
    assert measured.requests == planned.requests
    assert measured.wire_ms == pytest.approx(planned.wire_ms, rel=0.06)
    for each in bus.runner.figures().devices:
        assert each.planned_busy_share is not None
        if planned.busy_share < 1:
            assert each.busy_share == pytest.approx(each.planned_busy_share, rel=0.06)


def test_the_plan_counts_the_lag_of_the_adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two points that a line without lag would read apart are read together where each exchange costs 16 ms more."""
    two = replace(spread(), points=spread().points[:2])
    made = replace(line(two), link=Serial("/dev/ttyUSB7", 9600))
    monkeypatch.setattr(adapter, "_CLASS", tmp_path)
    for text, requests in (("1", 2), ("16", 1)):
        file = tmp_path / "ttyUSB7" / "device" / "latency_timer"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="ascii")
        assert figures(SimulatedBus(made, answered))[1].requests == requests


def test_a_silence_of_a_device_is_not_told_as_a_late_bus() -> None:
    bus = SimulatedBus(
        line(device(1), device(2)), lambda unit, pdu, now: None if unit == 2 and 60_000 < now < 200_000 else answered(unit, pdu)
    )
    bus.run(300_000)
    assert {each.kind for each in bus.happenings} == {"device.silent"}
    late_ms = figures(bus)[0].late_ms
    assert 500 < late_ms < 5000  # waiting for its answers did make the other one late; the two minutes of silence are not told


def test_status_says_what_was_measured_beside_what_was_planned() -> None:
    bus = SimulatedBus(line(*(device(unit, points=3) for unit in range(1, 9))), answered)
    bus.link.turnaround_ms = 60
    bus.run(600_000)
    port = bus_lines(body(bus), _span)[0]
    measured, planned = figures(bus)
    assert f", busy 100 % (plan: {100 * planned.busy_share:.0f} %), fastest points every " in port
    assert (
        f"slowest point ({measured.late_point}) {measured.late_ms / 1000:.1f} s late (plan: {planned.late_ms / 1000:.1f} s)" in port
    )
    bus = SimulatedBus(line(device(1)), answered)
    bus.run(1_800_000)  # its second reading was late: once it is asked for its identification
    assert ", busy 4 % (plan: 4 %), fastest points every 1 s (plan: 1 s)" in bus_lines(body(bus), _span)[0]
    assert "late" not in bus_lines(body(bus), _span)[0]
