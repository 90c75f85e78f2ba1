"""A bus in its thread against instruments on a pty and on TCP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from edge_agent.bus import BusRunner
from edge_agent.bus_visit import Found, read_once, scan
from edge_agent.common.problem import ProblemError
from edge_agent.contract.quality import Quality
from edge_agent.io.link import Link
from edge_agent.model.points import Bus, Device, Framing, Point, Serial, Tcp
from edge_agent.model.reading import Happening, Reading
from tests.support.instrument import CLOCK, Behaviour, PtyInstrument, TcpInstrument
from tests.support.ports import free_port, wait_until


class Running:
    """A bus in its thread and what it told."""

    def __init__(self, bus: Bus, link: Link | None = None) -> None:
        self.readings: list[Reading] = []
        self.happenings: list[Happening] = []
        self.runner = BusRunner(bus, CLOCK, self.readings.extend, self.happenings.extend, seed=1, link=link)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.runner.run, args=(self.stop,))

    def of(self, series: int) -> list[Reading]:
        return [reading for reading in list(self.readings) if reading.series == series]

    def told(self, kind: str) -> list[tuple[str, bool | None]]:
        return [(happening.subject, happening.on) for happening in list(self.happenings) if happening.kind == kind]


@contextmanager
def running(bus: Bus, link: Link | None = None) -> Iterator[Running]:
    made = Running(bus, link)
    made.thread.start()
    try:
        yield made
    finally:
        made.stop.set()
        made.thread.join(timeout=2)
        assert not made.thread.is_alive()


def device(name: str, unit: int, first_series: int, *addresses: int, **fields: object) -> Device:
    points = tuple(
        Point(first_series + i, name, f"p{at}", "holding", at, "u16", scale=0.1, decimals=1, period_ms=50)
        for i, at in enumerate(addresses)
    )
    return Device(name, unit, points, **{"timeout_ms": 100, "turnaround_ms": 1, **fields})


def serial_bus(port: str, *devices: Device, budget: float = 1.0) -> Bus:
    return Bus("line", Serial(port, 115200), "rtu", devices, budget)


def tcp_bus(port: int, *devices: Device, framing: Framing = "tcp") -> Bus:
    return Bus("lan", Tcp("127.0.0.1", port, 500), framing, devices, 1.0)


def registers(count: int) -> dict[int, int]:
    return {at: 2257 + at for at in range(count)}


def test_readings_from_a_line_share_their_instant() -> None:
    with PtyInstrument(Behaviour({1: registers(10)})) as line, running(serial_bus(line.path, device("d", 1, 5, 0, 3))) as bus:
        wait_until(lambda: len(bus.of(6)) >= 5, what="five readings")
        wait_until(lambda: bus.runner.figures().readings >= 4, what="figures")
        figures = bus.runner.figures()
    assert {reading.value for reading in bus.of(5)} == {225.7}
    assert {reading.value for reading in bus.of(6)} == {226.0}
    assert [reading.taken_ms for reading in bus.of(5)] == [reading.taken_ms for reading in bus.of(6)]
    assert bus.happenings == []
    assert figures.devices[0].state == "ok"
    assert (figures.timeouts, figures.crc_errors, figures.exceptions, figures.retries) == (0, 0, 0, 0)
    assert figures.devices[0].turnaround_p50_ms is not None


def test_a_device_falls_silent_and_returns_while_the_other_is_read() -> None:
    with PtyInstrument(Behaviour({1: registers(4), 2: registers(4)})) as line:
        bus = serial_bus(line.path, device("a", 1, 0, 0), device("b", 2, 1, 0), budget=0.5)
        with running(bus) as run:
            wait_until(lambda: run.of(1), what="a reading of b")
            line.behaviour.silent.add(2)
            wait_until(lambda: run.told("device.silent") == [("b", True)], what="b silent")
            assert run.of(1)[-1] == replace(run.of(1)[-1], value=None, quality=Quality.BAD_COMM)
            before = len(run.of(0))
            wait_until(lambda: len(run.of(0)) >= before + 10, what="readings of a")
            assert run.runner.figures().devices[1].state == "silent"
            line.behaviour.silent.clear()
            wait_until(lambda: run.told("device.silent") == [("b", True), ("b", False)], what="b back")
            wait_until(lambda: run.of(1)[-1].value == 225.7, what="a value of b")
    bad = [reading for reading in run.of(1) if reading.quality != Quality.GOOD]
    assert len(bad) == 1


def test_a_refused_block_is_split_until_the_bad_point_is_alone() -> None:
    holds = registers(4) | {5: 7, 6: 8}
    with PtyInstrument(Behaviour({1: holds})) as line, running(serial_bus(line.path, device("d", 1, 0, 0, 3, 4, 6))) as run:
        wait_until(lambda: run.told("point.refused") == [("d.p4", True)], what="p4 refused")
        wait_until(lambda: run.of(0) and run.of(1) and run.of(3), what="the other points")
        wait_until(lambda: run.runner.figures().devices[0].refused == ("p4",), what="figures")
    assert [(reading.value, reading.quality) for reading in run.of(2)] == [(None, Quality.BAD_CONFIG)]
    assert run.told("device.silent") == []


def test_a_device_that_reports_a_fault_is_not_silent() -> None:
    with PtyInstrument(Behaviour({1: registers(4)}, busy={1})) as line, running(serial_bus(line.path, device("d", 1, 0, 0))) as run:
        wait_until(lambda: run.of(0), what="a reading")
        wait_until(lambda: run.runner.figures().devices[0].state == "ok", what="figures")
    assert [(reading.value, reading.quality) for reading in run.of(0)] == [(None, Quality.BAD_SENSOR)]
    assert [(each.kind, each.subject, each.on, each.reason) for each in run.happenings] == [
        ("point.bad", "d.p0", True, "exception 4")
    ]


def test_damaged_replies_give_no_value() -> None:
    with (
        PtyInstrument(Behaviour({1: registers(4)}, damage=True)) as line,
        running(serial_bus(line.path, device("d", 1, 0, 0, 1))) as run,
    ):
        wait_until(lambda: run.told("device.silent"), what="silent")
        wait_until(lambda: run.runner.figures().crc_errors > 0, what="crc errors")
    assert {reading.value for reading in run.readings} == {None}
    assert run.happenings[0].reason == "garbled"


def test_an_adapter_that_echoes() -> None:
    with (
        PtyInstrument(Behaviour({1: registers(4)}, echo=True)) as line,
        running(serial_bus(line.path, device("d", 1, 0, 0))) as run,
    ):
        wait_until(lambda: len(run.of(0)) >= 3, what="readings")
    assert {reading.value for reading in run.of(0)} == {225.7}


@pytest.mark.parametrize("framing", ["tcp", "rtu-over-tcp"])
@pytest.mark.parametrize("close_after_each", [False, True])
def test_readings_over_tcp(framing: Framing, close_after_each: bool) -> None:
    behaviour = Behaviour({1: registers(4)}, close_after_each=close_after_each and framing == "tcp")
    with (
        TcpInstrument(behaviour, framing=framing) as panel,
        running(tcp_bus(panel.port, device("d", 1, 0, 0), framing=framing)) as run,
    ):
        wait_until(lambda: len(run.of(0)) >= 8, what="readings")
        happenings = list(run.happenings)
    assert {reading.value for reading in run.of(0)} == {225.7}
    assert happenings == []
    assert (behaviour.connections > 1) == behaviour.close_after_each


def test_a_link_that_is_down_is_opened_again() -> None:
    port = free_port()
    with running(tcp_bus(port, device("d", 1, 0, 0))) as run:
        wait_until(lambda: run.told("bus.down") == [("lan", True)], what="down")
        wait_until(lambda: run.runner.figures().state == "down", what="figures")
        with TcpInstrument(Behaviour({1: registers(4)}), port):
            wait_until(lambda: run.told("bus.down") == [("lan", True), ("lan", False)], what="up")
            wait_until(lambda: run.of(0) and run.of(0)[-1].value == 225.7, what="a reading")
        wait_until(lambda: len(run.told("bus.down")) == 3, what="down again")


def test_progress_goes_on_without_any_answer() -> None:
    with PtyInstrument(Behaviour()) as line, running(serial_bus(line.path, device("d", 1, 0, 0))) as run:
        wait_until(lambda: run.told("device.silent"), what="silent")
        at = run.runner.figures().last_progress_ms
        wait_until(lambda: run.runner.figures().last_progress_ms > at, what="progress")


def test_stop_ends_an_exchange_that_waits() -> None:
    with PtyInstrument(Behaviour()) as line:
        run = Running(serial_bus(line.path, device("d", 1, 0, 0, timeout_ms=30_000)))
        run.thread.start()
        wait_until(lambda: line.behaviour.asked, what="a request")
        run.stop.set()
        run.thread.join(timeout=2)
        assert not run.thread.is_alive()


def test_a_defect_propagates() -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError

    with PtyInstrument(Behaviour({1: registers(1)})) as line:
        runner = BusRunner(serial_bus(line.path, device("d", 1, 0, 0)), CLOCK, broken, broken, 1)
        with pytest.raises(ZeroDivisionError):
            runner.run(threading.Event())


def test_read_once_gives_every_point_and_every_problem() -> None:
    with PtyInstrument(Behaviour({1: registers(2)})) as line:
        bus = serial_bus(line.path, device("a", 1, 0, 0, 1, 3), device("b", 2, 3, 0), device("c", 1, 4, 0))
        visit = read_once(bus, ["a", "b"], CLOCK)
    values = [(point.device, point.id, reading.value, str(reading.quality)) for point, reading in visit.readings]
    assert sorted(values) == [
        ("a", "p0", 225.7, "good"),
        ("a", "p1", 225.8, "good"),
        ("a", "p3", None, "bad:config"),
        ("b", "p0", None, "bad:comm"),
    ]
    assert [problem.code for problem in visit.problems] == ["BUS104", "BUS102"]


def test_a_damaged_line_is_a_problem_with_what_came() -> None:
    with PtyInstrument(Behaviour({1: registers(2)}, damage=True)) as line:
        visit = read_once(serial_bus(line.path, device("a", 1, 0, 0)), None, CLOCK)
    assert [problem.code for problem in visit.problems] == ["BUS103"]
    assert "came: 01 03 02" in visit.problems[0].detail


def test_a_scan_finds_what_answers() -> None:
    seen: list[tuple[int, int]] = []
    with PtyInstrument(Behaviour({3: registers(1), 5: {9: 1}})) as line:
        found = scan(serial_bus(line.path, device("any", 0, 0, timeout_ms=60)), range(1, 7), CLOCK, lambda *done: seen.append(done))
    assert found == [Found(3, "answered"), Found(5, "exception")]
    assert seen == [(i, 6) for i in range(7)]


def test_a_port_that_is_not_there_is_a_problem() -> None:
    for call in (lambda b: read_once(b, None, CLOCK), lambda b: scan(b, [1], CLOCK, lambda *_: None)):
        with pytest.raises(ProblemError) as caught:
            call(serial_bus("/dev/no-such-port", device("a", 1, 0, 0)))
        assert caught.value.problems[0].code == "BUS101"


def test_one_refusal_does_not_split_a_block() -> None:
    behaviour = Behaviour({1: registers(4)}, refuse_once=True)
    with PtyInstrument(behaviour) as line, running(serial_bus(line.path, device("d", 1, 0, 0, 3))) as run:
        wait_until(lambda: len(run.of(1)) >= 3, what="readings")
    assert [reading.taken_ms for reading in run.of(0)] == [reading.taken_ms for reading in run.of(1)]
    assert run.happenings == []


def test_half_a_frame_of_a_lost_connection_is_forgotten() -> None:
    with TcpInstrument(Behaviour({1: registers(4)})) as panel, running(tcp_bus(panel.port, device("d", 1, 0, 0))) as run:
        wait_until(lambda: run.of(0), what="a reading")
        panel.behaviour.cut_once = True
        wait_until(lambda: panel.behaviour.connections == 2, what="a second connection")
        before = len(run.of(0))
        wait_until(lambda: len(run.of(0)) >= before + 8, what="readings")
        figures = run.runner.figures()
    assert (figures.retries, figures.timeouts) == (0, 0)
    assert run.happenings == []


def test_a_silent_device_is_asked_within_the_budget_alone() -> None:
    with PtyInstrument(Behaviour({1: registers(1)})) as line:
        bus = serial_bus(line.path, device("a", 1, 0, 0), device("b", 2, 1, 0), budget=0.02)
        with running(bus) as run:
            wait_until(lambda: run.told("device.silent"), what="silent")
            before = sum(unit == 2 for unit, _ in line.behaviour.asked)
            good = len(run.of(0))
            wait_until(lambda: len(run.of(0)) >= good + 16, what="readings of a")
            assert sum(unit == 2 for unit, _ in line.behaviour.asked) - before <= 3
            assert run.runner.figures().devices[1].probe_interval_ms >= 5000
