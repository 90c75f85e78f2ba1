"""The real bus in simulated time: a dead device among ten, steps before requests, keep-alive, latches, link series."""

from __future__ import annotations

import struct
from itertools import pairwise

import pytest

from edge_agent.contract.quality import Quality
from edge_agent.model.link_health import LINK_POINTS
from edge_agent.model.points import Bus, Device, Point, Serial, Step, Tcp
from tests.support.simulated_bus import SimulatedBus

HOUR_MS = 3_600_000
LINE = Serial("/dev/none", 9600)
IDENTIFY = (43, 0x0E01)
"""Asked once of a device of which nothing else may be read."""


def value(unit: int, address: int) -> int:
    return 100 * unit + address


def answered(unit: int, pdu: bytes, _now_ms: float = 0.0) -> bytes:
    if pdu[0] > 16:
        return bytes((pdu[0] | 0x80, 1))
    function, address, count = struct.unpack(">BHH", pdu[:5])
    if function > 4:
        return pdu[:5]
    return bytes((function, 2 * count)) + struct.pack(f">{count}H", *(value(unit, address + i) for i in range(count)))


def device(unit: int, *, period_ms: int = 1000, points: int = 1, **fields: object) -> Device:
    made = tuple(Point(10 * unit + i, f"d{unit}", f"p{i}", "holding", 50 * i, "u16", period_ms=period_ms) for i in range(points))
    return Device(f"d{unit}", unit, made, **{"max_registers": 10, **fields})


def line(*devices: Device, budget: float = 0.02) -> Bus:
    return Bus("line", LINE, "rtu", devices, budget)


def counts(bus: SimulatedBus, units: range, from_ms: float) -> int:
    return sum(reading.value is not None and reading.taken_ms >= from_ms for unit in units for reading in bus.of(10 * unit))


@pytest.mark.parametrize("period_ms", [1000, 10_000])
def test_one_dead_device_among_ten_costs_the_others_two_percent_at_most(period_ms: int) -> None:
    """On a bus that is always busy (1 s), and on one with room (10 s). The time of noticing is in the two hours."""
    devices = [device(unit, period_ms=period_ms) for unit in range(1, 11)]
    alone, with_dead = (
        SimulatedBus(line(*devices[:9]), answered),
        SimulatedBus(line(*devices), lambda unit, pdu, now: None if unit == 10 and now > 60_000 else answered(unit, pdu)),
    )
    for bus in (alone, with_dead):
        bus.link.turnaround_ms = 200
        bus.run(2 * HOUR_MS)
    of_nine = counts(alone, range(1, 10), 60_000)
    lost = 1 - counts(with_dead, range(1, 10), 60_000) / of_nine
    print(f"lost {100 * lost:.2f} %, {of_nine} readings")
    assert lost <= 0.02, f"{100 * lost:.2f} %"
    assert [(each.kind, each.subject, each.on) for each in with_dead.happenings] == [("device.silent", "d10", True)]


def test_a_device_is_back_within_one_probe_interval_of_its_return() -> None:
    devices = [device(unit) for unit in range(1, 11)]
    for returns_ms in (600_000, 617_000, 633_000, 1_249_000):
        bus = SimulatedBus(
            line(*devices), lambda unit, pdu, now, at=returns_ms: None if unit == 10 and 60_000 < now < at else answered(unit, pdu)
        )
        bus.link.turnaround_ms = 200
        bus.run(returns_ms)
        interval_ms = bus.runner.figures().devices[9].probe_interval_ms
        bus.run(returns_ms + 150_000)
        back_ms = [each.taken_ms for each in bus.happenings if each.on is False]
        assert 40_000 < interval_ms < 80_000
        assert len(back_ms) == 1
        assert back_ms[0] - returns_ms <= interval_ms
        assert bus.of(100)[-1].value == value(10, 0)


def test_a_device_dead_for_a_day_is_told_twice() -> None:
    dead = device(1, period_ms=60_000, points=3)
    day = 24 * HOUR_MS
    bus = SimulatedBus(line(dead), lambda unit, pdu, now: None if HOUR_MS < now < day + HOUR_MS else answered(unit, pdu))
    bus.run(day + 2 * HOUR_MS)
    assert [(each.kind, each.on, each.reason) for each in bus.happenings] == [
        ("device.silent", True, "timeout"),
        ("device.silent", False, ""),
    ]


def functions(bus: SimulatedBus) -> list[tuple[int, int]]:
    return [(pdu[0], int.from_bytes(pdu[1:3], "big")) for _, _, pdu in bus.link.asked]


def test_set_up_is_written_at_the_start_and_after_a_silence() -> None:
    setup = (Step("holding", 900, (1,), 100, 6), Step("holding", 901, count=0, function=3))
    bus = SimulatedBus(line(device(1, setup=setup)), lambda unit, pdu, now: None if 3000 < now < 20_000 else answered(unit, pdu))
    bus.run(2900)
    assert functions(bus) == [(6, 900), (3, 901), (3, 0), IDENTIFY, (3, 0), (3, 0)]
    assert bus.link.asked[1][0] - bus.link.asked[0][0] >= 100
    bus.run(120_000)
    silent_ms, back_ms = (each.taken_ms for each in bus.happenings)
    after = [(pdu[0], int.from_bytes(pdu[1:3], "big")) for at, _, pdu in bus.link.asked if at > silent_ms]
    first = after.index((3, 901))
    assert after[: first + 2] == [(6, 900)] * first + [(3, 901), (3, 0)], "nothing is read before it is set up"
    assert after.count((3, 901)) == 1
    assert back_ms < 120_000


def test_a_refused_set_up_is_the_devices_failure() -> None:
    setup = (Step("holding", 900, (1,), 0, 6),)
    refuse = lambda unit, pdu, _now: b"\x86\x02" if pdu[0] == 6 else answered(unit, pdu)  # noqa: E731
    bus = SimulatedBus(line(device(1, setup=setup)), refuse)
    bus.run(10_000)
    assert {reading.value for reading in bus.readings} == {None}
    assert [(each.kind, each.on, each.reason) for each in bus.happenings] == [
        ("device.silent", True, "exception 2 (setup, holding 900)")
    ]
    assert {pdu[0] for _, _, pdu in bus.link.asked} == {6}


def test_woken_after_a_rest_even_though_it_does_not_answer_that() -> None:
    wake = (Step("holding", 900, (1,), 50, 6),)
    sleepy = device(1, period_ms=30_000, wake=wake, wake_after_ms=10_000, timeout_ms=200)
    bus = SimulatedBus(line(sleepy), lambda unit, pdu, _now: None if pdu[0] == 6 else answered(unit, pdu))
    bus.run(70_000)
    assert [reading.value for reading in bus.of(10)] == [value(1, 0)] * 3
    assert [function for function, _ in functions(bus) if function == 6] == [6] * 3
    woken = [after[0] - wake[0] for wake, after in pairwise(bus.link.asked) if wake[2][0] == 6]
    assert min(woken) >= 200 + 50, "it is given the time to wake up although it said nothing"
    assert bus.happenings == []


def test_a_dead_device_with_a_long_warm_up_costs_its_neighbour_no_warm_up() -> None:
    setup = (Step("holding", 900, (1,), 40_000, 6),)
    probe, neighbour = device(1, period_ms=10_000, setup=setup), device(2)
    bus = SimulatedBus(line(probe, neighbour), lambda unit, pdu, now: None if unit == 1 else answered(unit, pdu))
    bus.run(HOUR_MS // 2)
    assert len(bus.of(20)) >= 0.97 * HOUR_MS / 2 / 1000


def test_a_trigger_goes_before_each_cycle() -> None:
    bus = SimulatedBus(line(device(1, points=2, trigger=(Step("holding", 1, (15,), 300, 16),))), answered)
    bus.run(3500)
    assert functions(bus) == [(16, 1), (3, 0), IDENTIFY, (3, 50), *[(16, 1), (3, 0), (3, 50)] * 3]


def test_a_device_that_needs_a_master_is_asked_in_time() -> None:
    """The drive wants to be asked each 3 s; its own period is a minute, and a dead neighbour takes 2 s at a time."""
    drive, dead = device(1, period_ms=60_000, keepalive_ms=5000), device(2, period_ms=100)
    bus = SimulatedBus(line(drive, dead), lambda unit, pdu, now: None if unit == 2 and now > 30_000 else answered(unit, pdu))
    bus.run(300_000)
    at = [when for when, unit, _ in bus.link.asked if unit == 1]
    assert max(b - a for a, b in pairwise(at)) <= 5000
    assert len(bus.of(10)) <= 6, "values come at the point's own period"


def test_a_latched_point_is_read_in_its_own_turn_alone_and_not_again() -> None:
    points = (
        Point(1, "d1", "latch", "holding", 7, "u16", period_ms=5000, latched=True),
        Point(2, "d1", "flow", "holding", 8, "u16", period_ms=1000),
    )
    latched = Device("d1", 1, points, retries=2)
    bus = SimulatedBus(line(latched), lambda unit, pdu, now: None if pdu[1:3] == b"\0\7" and now > 20_000 else answered(unit, pdu))
    bus.run(60_000)
    asked = [(at, int.from_bytes(pdu[1:3], "big"), pdu[4]) for at, _, pdu in bus.link.asked if pdu[0] == 3]
    touching = [at for at, address, count in asked if address <= 7 < address + count]
    assert [reading.value for reading in bus.of(1)].count(value(1, 7)) == sum(at < 20_000 for at in touching) >= 4
    assert sum(20_000 < at < 37_000 for at in touching) == 3, "three turns that fail, and no retry in them"
    assert not any(at > 37_000 for at in touching), "then once a minute"


def test_link_series_come_once_a_minute() -> None:
    lossy = device(1, period_ms=1000, link_series=70, retries=1)
    asked = [0]

    def answer(unit: int, pdu: bytes, _now_ms: float) -> bytes | None:
        asked[0] += 1
        return None if asked[0] % 10 == 0 else b"\x83\x04" if asked[0] % 10 == 5 else answered(unit, pdu)

    bus = SimulatedBus(line(lossy), answer)
    bus.run(185_000)
    told = {name: bus.of(70 + number) for number, name in enumerate(LINK_POINTS)}
    assert {len(readings) for readings in told.values()} == {3}
    silent, refused = (sum(1 for n in range(1, asked[0] + 1) if n % 10 == rest) for rest in (0, 5))
    figures = bus.runner.figures().devices[0]
    assert told["link-timeouts"][-1].value in (silent - 1, silent)
    assert told["link-exceptions"][-1].value in (refused - 1, refused)
    assert told["link-errors"][-1].value == figures.errors == 0
    assert told["link-turnaround"][-1].value == figures.turnaround_p50_ms
    assert {reading.quality for readings in told.values() for reading in readings} == {Quality.GOOD}


def test_a_device_that_answered_nothing_has_no_turnaround() -> None:
    bus = SimulatedBus(line(device(1, link_series=70)), lambda *_: None)
    bus.run(61_500)
    assert [(r.value, r.quality) for r in bus.of(73)] == [(None, Quality.BAD_COMM)]
    assert isinstance(bus.of(70)[-1].value, int)
    assert bus.of(70)[-1].value > 0


def test_a_bus_that_answers_at_once_gives_no_two_readings_one_instant() -> None:
    """The first turn is taken at once, wherever its grid stands: right before an instant of it two come within a millisecond."""
    for tenth in range(0, 1000, 3):
        devices = (device(1, period_ms=100), device(2, period_ms=100))
        bus = SimulatedBus(Bus("lan", Tcp("near", 502, 500), "tcp", devices, 1.0), answered)
        bus.clock.now = tenth / 10
        bus.run(350)
        for unit in (1, 2):
            instants = [reading.taken_ms for reading in bus.of(10 * unit)]
            assert len(instants) >= 3
            assert instants == sorted(set(instants)), f"began at {tenth / 10} ms: {instants}"
