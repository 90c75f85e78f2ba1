"""The planner's benchmark compares what it says: its optimum is one, its maps are the same each time, bad plans are told."""

from __future__ import annotations

import pytest

from benchmarks.planner import LINES, MAPS, compared, optimum, parts_of, register_map
from edge_agent.model.line_cost import cost_of
from edge_agent.model.points import Device, Point


def test_three_maps() -> None:
    found = {each.name: each for each in compared(3)}
    assert {len(each.over) for each in found.values()} == {3 * len(LINES)}
    ours = [each for name, each in found.items() if name.startswith("edge-agent")]
    assert all(max(each.over) <= 1 + 1e-9 and not each.touching for each in ours)
    assert max(found["one request per point"].over) > max(found["contiguous only"].over) > 1


def test_maps_are_the_same_each_time_and_can_be_read() -> None:
    maps = [register_map(number) for number in range(MAPS)]
    assert maps == [register_map(number) for number in range(MAPS)]
    assert all(6 <= len(device.points) <= 65 for device in maps)
    assert sum(bool(device.holes) for device in maps) == 20
    for device in maps:
        own = {(point.table, point.address + i) for point in device.points for i in range(point.span)}
        assert not own & {(table, at) for table, first, last in device.holes for at in range(first, last + 1)}
        atoms = [atom for part in parts_of(device) for atom in part]
        assert sorted(point.series for atom in atoms for point in atom.points) == list(range(len(device.points)))


def test_the_optimum_of_a_map_that_can_be_counted_by_hand() -> None:
    """Registers 0 and 2 are read together, 3 is forbidden, so 4 alone; 9 as well, it has another period."""
    periods_ms = {0: 1000, 2: 1000, 4: 1000, 9: 5000}
    points = tuple(Point(at, "d", f"p{at}", "holding", at, "u16", period_ms=period_ms) for at, period_ms in periods_ms.items())
    cost = cost_of(LINES[1][1]).of_device(Device("d", 1, ()))
    wire_us = [cost.of("holding", count) for count in (3, 1, 1)]
    expected = wire_us[0] / 1e6 + wire_us[1] / 1e6 + wire_us[2] / 5e6
    assert optimum(Device("d", 1, points, holes=(("holding", 3, 3),)), cost) == pytest.approx(expected)
