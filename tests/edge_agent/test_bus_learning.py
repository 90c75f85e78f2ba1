"""The real bus in simulated time: holes are found, handed on, and forgotten with the firmware that the device tells."""

from __future__ import annotations

import struct
from dataclasses import replace

from edge_agent.cli.status import _span
from edge_agent.cli.status_buses import bus_lines
from edge_agent.contract.quality import Quality
from edge_agent.model.lessons import Hole, Lessons, LessonsOf, Refusal
from edge_agent.model.points import Device, Point
from tests.edge_agent.cli.test_status_buses import body
from tests.edge_agent.test_bus_faults import answered, line
from tests.support.simulated_bus import SimulatedBus

IDENTIFY = 43
POINTS = tuple(Point(i, "d1", f"p{i}", "holding", 4 * i, "u16") for i in range(8))
DEVICE = Device("d1", 1, POINTS, turnaround_ms=20, identifies=True)


class Instrument:
    """Refuses registers 9 and 20; says its revision, or that it knows no such function."""

    def __init__(self, revision: str = "1.0", missing: tuple[int, ...] = (9, 20)) -> None:
        self.revision, self.missing = revision, missing
        self.refused: list[tuple[int, int]] = []
        self.identified = 0

    def __call__(self, unit: int, pdu: bytes, now_ms: float) -> bytes | None:
        if pdu[0] == IDENTIFY:
            self.identified += 1
            if not self.revision:
                return bytes((IDENTIFY | 0x80, 1))
            objects = b"".join(bytes((n, len(text))) + text for n, text in enumerate((b"acme", b"m1", self.revision.encode())))
            return b"\x2b\x0e\x01\x01\x00\x00\x03" + objects
        first, count = struct.unpack(">HH", pdu[1:5])
        if any(first <= at < first + count for at in self.missing):
            self.refused.append((first, count))
            return b"\x83\x02"
        return answered(unit, pdu)


def ran(
    instrument: Instrument, lessons: LessonsOf | None = None, device: Device = DEVICE, until_ms: float = 130_000
) -> SimulatedBus:
    bus = SimulatedBus(line(device), instrument)
    if lessons is not None:
        bus.runner.remember(lessons)
    bus.run(until_ms)
    return bus


LEARNED = Lessons("acme m1 1.0", (Hole("holding", 9, 12),), (Refusal("p5", "holding", 20, 2),))


def test_what_one_run_learned_the_next_one_knows() -> None:
    first = Instrument()
    assert ran(first).runner.lessons() == {"d1": LEARNED}
    assert first.identified == 1
    assert len(first.refused) > 6
    second = Instrument()
    bus = ran(second, {"d1": LEARNED})
    assert set(second.refused) <= {(20, 1)}
    assert bus.runner.lessons() == {"d1": LEARNED}
    told = bus.of(5)
    assert [(reading.value, reading.quality) for reading in told] == [(None, Quality.BAD_CONFIG)]
    assert [(each.kind, each.subject, each.on) for each in bus.happenings] == [("point.refused", "d1.p5", True)]
    assert all(len(bus.of(series)) > 100 for series in range(8) if series != 5)
    assert ", 1 hole learned, " in bus_lines(body(bus), _span)[1]
    shown = bus.runner.figures().devices[0]
    assert (shown.holes, shown.refused, shown.firmware) == (("holding 9-11",), ("p5",), "acme m1 1.0")


def test_another_firmware_is_found_out_at_once_and_its_points_are_read() -> None:
    instrument = Instrument("1.1", ())
    bus = ran(instrument, {"d1": LEARNED}, until_ms=20_000)
    assert len(bus.of(5)) > 15
    assert [(each.kind, each.on) for each in bus.happenings] == [("point.refused", True), ("point.refused", False)]
    bus.run(90_000)
    assert bus.runner.lessons() == {"d1": Lessons("acme m1 1.1")}


def test_a_device_is_asked_who_it_is_after_each_silence_and_where_its_profile_says_that_it_knows() -> None:
    instrument = Instrument()
    bus = SimulatedBus(line(DEVICE), lambda unit, pdu, now: None if 30_000 < now < 60_000 else instrument(unit, pdu, now))
    bus.run(29_000)
    assert instrument.identified == 1
    instrument.revision = "2.0"
    bus.run(150_000)
    assert instrument.identified == 2
    assert bus.runner.figures().devices[0].firmware == "acme m1 2.0"
    mute = Instrument(revision="")
    bus = ran(mute, {"d1": LEARNED})
    assert (mute.identified, bus.runner.lessons()) == (1, {"d1": LEARNED})
    plain = Instrument()
    ran(plain, device=replace(DEVICE, identifies=False))
    assert plain.identified == 0


def test_one_that_does_not_answer_the_question_is_not_taken_for_silent() -> None:
    bus = SimulatedBus(line(DEVICE), lambda unit, pdu, now: None if pdu[0] == IDENTIFY else answered(unit, pdu))
    bus.run(60_000)
    assert bus.happenings == []
    assert sum(pdu[0] == IDENTIFY for _, _, pdu in bus.link.asked) == 1
    assert len(bus.of(0)) >= 58
