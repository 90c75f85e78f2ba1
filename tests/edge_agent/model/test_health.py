"""Health of devices and requests: told once, when it changes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.contract.quality import Quality
from edge_agent.model.bus_figures import Busy, percentile
from edge_agent.model.condition import parse as condition
from edge_agent.model.health import NOTHING, SILENT, DeviceHealth, Told, accepted_again, refused
from edge_agent.model.points import Device, Point
from edge_agent.model.reading import Happening, Reading
from edge_agent.standing import Standing

POINTS = (Point(3, "d", "a", "holding", 0, "u16"), Point(4, "d", "b", "holding", 9, "u16", period_ms=5000))
DEVICE = Device("d", 1, POINTS)


def silent_at(health: DeviceHealth, *times_ms: int) -> list[int]:
    return [at for at in times_ms if health.failed(at, "timeout").happenings]


def test_silent_after_three_cycles_and_back() -> None:
    health = DeviceHealth(DEVICE, 0)
    assert health.answered(10) == NOTHING
    assert health.failed(1000, "timeout") == NOTHING
    assert (health.state, health.since_ms, health.reason) == ("failing", 1000, "timeout")
    assert health.failed(2000, "garbled") == NOTHING
    told = health.failed(3000, "timeout")
    assert told.happenings == (Happening("device.silent", 3000, True, "d", "timeout"),)
    assert told.readings == tuple(Reading(series, 3000, None, Quality.BAD_COMM) for series in (3, 4))
    assert health.failed(4000, "timeout") == NOTHING
    assert health.state == "silent"
    assert health.answered(5000).happenings == (Happening("device.silent", 5000, False, "d"),)
    assert health.answered(6000) == NOTHING
    assert health.state == "ok"


def test_an_answer_starts_the_count_anew() -> None:
    health = DeviceHealth(DEVICE, 0)
    assert silent_at(health, 1000, 2000) == []
    health.answered(2500)
    assert silent_at(health, 3000, 4000, 5000) == [5000]


def test_failures_within_one_cycle_count_once() -> None:
    assert silent_at(DeviceHealth(DEVICE, 0), 1000, 1100, 1200, 1300, 2000, 2100, 3000) == [3000]


def test_a_request_that_fails_three_times_makes_its_own_points_bad() -> None:
    health = DeviceHealth(DEVICE, 0)
    told = []
    for at in range(1000, 6000, 1000):
        health.answered(at)
        told.append(health.request_failed("r", POINTS[1:], at, Quality.BAD_COMM, "timeout"))
    assert [bool(t.readings) for t in told] == [False, False, True, False, False]
    assert told[2].readings == (Reading(4, 3000, None, Quality.BAD_COMM),)
    assert [t.happenings for t in told if t.happenings] == [(Happening("point.bad", 3000, True, "d.b", "timeout"),)]
    assert [(p.id, p.state, p.since_ms, p.reason) for p in health.points] == [("a", "new", 0, ""), ("b", "bad", 3000, "timeout")]
    back = health.request_worked("r", POINTS[1:], [Reading(4, 8000, 7)])
    assert back.happenings == (Happening("point.bad", 8000, False, "d.b"),)
    assert (health.points[1].state, health.points[1].since_ms) == ("ok", 8000)
    assert health.request_failed("r", POINTS[1:], 9000, Quality.BAD_COMM, "timeout") == NOTHING
    assert health.points[1].state == "failing"


def gave(health: DeviceHealth, at_ms: int, quality: Quality, points: tuple[Point, ...] = POINTS[:1]) -> Told:
    value = None if quality.is_bad else 1
    return health.request_worked("r", points, [Reading(point.series, at_ms, value, quality) for point in points])


def test_a_point_that_says_no_value_is_bad_from_the_third_time_on() -> None:
    health = DeviceHealth(DEVICE, 0)
    told = [gave(health, at, Quality.BAD_SENSOR) for at in (1000, 2000, 3000, 4000)]
    assert [t.happenings for t in told] == [(), (), (Happening("point.bad", 3000, True, "d.a", "sensor"),), ()]
    assert gave(health, 5000, Quality.UNCERTAIN_RANGE).happenings == (Happening("point.bad", 5000, False, "d.a"),)
    assert (health.points[0].state, health.points[0].reason, health.points[0].since_ms) == ("ok", "range", 5000)
    assert gave(health, 6000, Quality.GOOD) == NOTHING
    assert (health.points[0].reason, health.points[0].since_ms) == ("", 5000)


def test_a_point_with_values_under_a_condition_is_often_without_and_nothing_is_told() -> None:
    point = Point(3, "d", "a", "holding", 0, "u16", valid_when=condition("b == 1"))
    health = DeviceHealth(Device("d", 1, (point,)), 0)
    assert [gave(health, at, Quality.BAD_SENSOR, (point,)) for at in range(0, 9000, 1000)] == [NOTHING] * 9
    assert health.points[0].state == "bad"


def test_the_points_of_a_silent_device_are_bad_and_told_with_it_alone() -> None:
    health = DeviceHealth(DEVICE, 0)
    gave(health, 500, Quality.GOOD, POINTS)
    told = [health.failed(at, "timeout") for at in (1000, 2000, 3000)]
    told += [health.request_failed("r", POINTS, 3000, Quality.BAD_COMM, "timeout")]
    assert [happening.kind for each in told for happening in each.happenings] == ["device.silent"]
    assert [(p.state, p.since_ms, p.reason) for p in health.points] == [("bad", 3000, SILENT)] * 2
    assert [happening.kind for happening in health.answered(9000).happenings] == ["device.silent"]
    assert gave(health, 9000, Quality.GOOD, POINTS) == NOTHING
    assert [(p.state, p.since_ms) for p in health.points] == [("ok", 9000)] * 2


def test_a_device_dead_for_a_day_makes_two_lines() -> None:
    health, standing = DeviceHealth(DEVICE, 0), Standing()
    lines = []
    for at in range(0, 86_400_000, 60_000):
        dead = 3_600_000 <= at < 82_800_000
        told = health.failed(at, "timeout") if dead else health.answered(at)
        lines += [event.on for event in standing.note(told.happenings)]
        if not dead:
            lines += [event.on for event in standing.note(gave(health, at, Quality.GOOD, POINTS).happenings)]
    assert lines == [True, False]


def test_a_refused_point_is_told() -> None:
    health = DeviceHealth(DEVICE, 0)
    told = health.point_refused(POINTS[1], 7, 2)
    assert told == refused(POINTS[1], 7, 2)
    assert (health.points[1].state, health.points[1].since_ms, health.points[1].reason) == ("refused", 7, "exception 2")
    assert told.readings == (Reading(4, 7, None, Quality.BAD_CONFIG),)
    happening = told.happenings[0]
    assert (happening.kind, happening.on, happening.subject, happening.reason) == ("point.refused", True, "d.b", "exception 2")
    assert dict(happening.about) == {"exception": 2, "table": "holding", "address": 9}
    assert accepted_again(POINTS[1], 8).happenings[0].on is False


@given(st.lists(st.booleans(), max_size=60))
def test_events_alternate_and_readings_come_with_silence_alone(answers: list[bool]) -> None:
    health, events = DeviceHealth(DEVICE, 0), []
    for number, answered in enumerate(answers):
        told = health.answered(1000 * number) if answered else health.failed(1000 * number, "timeout")
        events += [happening.on for happening in told.happenings]
        assert bool(told.readings) == any(happening.on for happening in told.happenings)
    assert events == [i % 2 == 0 for i in range(len(events))]
    assert (health.state == "silent") == (len(events) % 2 == 1)


def test_figures() -> None:
    assert percentile([], 0.5) is None
    assert [percentile(range(1, 101), share) for share in (0.5, 0.95, 1.0)] == [50, 95, 100]
    busy = Busy(0)
    busy.add(300, 1000)
    assert busy.share(1000) == 0.3
    busy.add(0, 61_000)
    busy.add(0, 121_000)
    assert busy.share(122_000) == 0.0
