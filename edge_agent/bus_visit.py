"""Does I/O: single visits to a bus for the command line - reading every point once, and searching for devices."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from edge_agent.bus_framing import answers_in, other_framing
from edge_agent.bus_problems import device_problem, framing_problem, link_problem, refused_problem, step_problem
from edge_agent.common.clock import Clock
from edge_agent.common.problem import Problem, ProblemError
from edge_agent.contract.message import Value
from edge_agent.contract.quality import Quality
from edge_agent.io.link import Driver, Link, Watch, open_link
from edge_agent.model.health import no_value
from edge_agent.model.plan import Block, cost_of, halves, plan
from edge_agent.model.points import Bus, Device, Point, Table, Tcp
from edge_agent.model.preparation import Preparation
from edge_agent.model.reading import Reading
from edge_agent.model.reply import readings_of
from edge_agent.model.writing import Change, is_as_wanted
from edge_agent.protocols.modbus import CONFIGURATION_CODES, Ask, Master, Span, mask_request, write_request
from edge_agent.protocols.modbus_steps import rest, step
from edge_agent.protocols.session import Failure, Garbled, LinkDown, Refused, Silence

_SCAN_TIMEOUT_MS = 300
_LOOK = Span("holding", 0, 1)


@dataclass(slots=True)
class Visit:
    """What one visit found: readings in the order of the plan, and what went wrong."""

    readings: list[tuple[Point, Reading]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Written:
    """What came of writing one point. before, after: what it said; None where it could not be read."""

    outcome: Literal["written", "differs", "refused", "unknown", "declined"]
    before: Value
    after: Value
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A unit that is on the bus. identification: texts of 43/14 by object number, where the device has it."""

    unit: int
    how: Literal["answered", "exception", "garbled"]
    """`garbled`: something answers, but not in whole frames - two devices with one address, or another speed."""
    identification: dict[int, str] = field(default_factory=dict)
    words: dict[tuple[Table, int], int] = field(default_factory=dict)
    """Registers that tell models apart, by table and address; without those that it refuses."""


def read_once(bus: Bus, device_ids: Sequence[str] | None, clock: Clock, link: Link | None = None) -> Visit:
    """Every point of the devices (None: all) once. A device that fails is a problem and does not keep others from being read.

    link: to be used instead of the bus's own.
    Raises ProblemError BUS101 where the link cannot be opened, BUS110 where points cannot be read as the site file wants.
    """
    found = Visit()
    with Visitor(bus, clock, link) as opened:
        for device in bus.devices:
            if device_ids is None or device.id in device_ids:
                opened.read(device, found)
    return found


def scan(
    bus: Bus, units: Iterable[int], clock: Clock, on_progress: Callable[[int, int], None], telling: Sequence[Span] = ()
) -> list[Found]:
    """The units of a bus that answer anything at all. on_progress(done, total) is called before each unit.

    Asks each for holding register 0, which any Modbus device answers by value or exception, and those that are there for what
    tells models apart (telling). Nothing is written. Raises ProblemError BUS101.
    """
    wanted = list(units)
    timeout_ms = min((device.timeout_ms for device in bus.devices), default=_SCAN_TIMEOUT_MS)
    found = []
    with Visitor(bus, clock) as opened:
        for done, unit in enumerate(wanted):
            on_progress(done, len(wanted))
            seen = opened.look(unit, timeout_ms, telling)
            if seen is not None:
                found.append(seen)
        on_progress(len(wanted), len(wanted))
    return found


class Visitor:
    """A bus for the time of a visit. Kept open over several readings, it knows of replies that may still come late."""

    def __init__(self, bus: Bus, clock: Clock, link: Link | None = None) -> None:
        self._bus = bus
        self._clock = clock
        self._link: Link = open_link(bus) if link is None else link
        self._master = Master(bus.framing)
        self._driver = Driver(self._link, clock, threading.Event(), self._master.connected)
        self._preparations: dict[str, Preparation] = {}
        self._spoken_ms: dict[str, int] = {}
        self._was_answering = False
        """An answer came since the link was last lost."""
        self._is_other_tried = False
        """Something answered, or the other framing was tried in vain."""

    def __enter__(self) -> Visitor:
        self.open()
        return self

    def open(self) -> None:
        """Opens the link; nothing where it is open. Raises ProblemError BUS101."""
        try:
            self._link.open()
        except LinkDown as down:
            raise ProblemError(link_problem(self._bus, down)) from down

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the link; nothing where it is closed."""
        self._link.close()

    def read(self, device: Device, found: Visit) -> None:
        """Adds a device's readings and problems."""
        blocks = list(plan(device, cost_of(self._bus)))
        others = tuple(Span.of(block) for block in blocks)
        while blocks:
            block = blocks.pop(0)
            try:
                if unready := self._prepare(device, block):
                    raise _Unready(unready)
                self._read_block(device, block, others, found)
                self._preparations[device.id].read(Span.of(block))
            except Refused as failure:
                parts = halves(block)
                if failure.code in CONFIGURATION_CODES and len(parts) > 1:
                    blocks[:0] = parts
                    continue
                self._without_value(block, Quality.BAD_CONFIG, found)
                found.problems.append(refused_problem(self._bus, device, block, failure))
            except (Failure, _Unready) as failure:
                for left in (block, *blocks):
                    self._without_value(left, Quality.BAD_COMM, found)
                if isinstance(failure, _Unready):
                    found.problems.append(failure.problem)
                else:
                    found.problems.append(self._problem_of(device, block, failure))
                return

    def _problem_of(self, device: Device, block: Block, failure: Failure) -> Problem:
        """What is said of a device that fails: BUS107 where it answers in the other framing."""
        other = other_framing(self._bus)
        if other is None or self._is_other_tried or block.is_latched:
            return device_problem(self._bus, device, failure)
        span, timeout_ms = Span.of(block), device.timeout_ms
        if answers_in(other, self._link, self._clock, threading.Event(), device.unit, span, timeout_ms):
            return framing_problem(self._bus, f'bus "{self._bus.id}" / device "{device.id}" (unit {device.unit})', other)
        self._is_other_tried = True
        return device_problem(self._bus, device, failure)

    def _asked(self, ask: Ask, watch: Watch) -> tuple[int, ...]:
        """The words of a read. A gateway that closes after each request may do so as the next one is sent: once more."""
        try:
            words = self._driver.run(self._master.read(ask), watch)
        except LinkDown:
            if not self._was_answering or not isinstance(self._bus.link, Tcp):
                raise
            self._was_answering = False
            words = self._driver.run(self._master.read(ask), watch)
        except Refused:
            self._was_answering = self._is_other_tried = True
            raise
        self._was_answering = self._is_other_tried = True
        return words

    def _prepare(self, device: Device, block: Block) -> Problem | None:
        """The steps that the device wants before a request, as the running agent takes them; gives why one does not work."""
        preparation = self._preparations.setdefault(device.id, Preparation(device))
        now_ms = self._clock.monotonic_ms()
        steps = preparation.ahead(Span.of(block), self._spoken_ms.get(device.id), now_ms)
        for ahead in steps:
            try:
                self._driver.run(step(self._master, device.unit, ahead.step, device.timeout_ms, device.pause_ms), Watch())
            except LinkDown:
                raise
            except Failure as failure:
                if ahead.must_work:
                    return step_problem(self._bus, device, ahead, failure)
                self._driver.run(rest(ahead.step), Watch())
        now_ms = self._clock.monotonic_ms()
        self._spoken_ms[device.id] = now_ms
        preparation.done(steps, now_ms)
        return None

    def value_of(self, device: Device, point: Point) -> Value:
        """What a point says now; None where it cannot be read, has no value, or is cleared by reading. Raises BUS101."""
        block = next((block for block in plan(device, cost_of(self._bus)) if point in block.points), None)
        words = self._words(device, block) if block is not None and not point.latched else None
        if block is None or words is None:
            return None
        readings = readings_of(block, words, self._clock.monotonic_ms())
        return next(reading.value for reading in readings if reading.series == point.series)

    def write(self, device: Device, point: Point, change: Change, before: Value) -> Written:
        """Writes once and reads back. before: what the point said. Raises ProblemError BUS101 where the link ends before that."""
        try:
            request = _request_of(change)
            self._driver.run(self._master.write(device.unit, request, device.timeout_ms, device.pause_ms), Watch())
        except Refused as failure:
            return Written("refused", before, None, str(failure))
        except (Silence, Garbled, LinkDown) as failure:
            return Written("unknown", before, None, str(failure))
        after = self.value_of(device, point)
        if after is None and before is None:
            return Written("written", before, None)
        return Written("written" if is_as_wanted(point, change, after) else "differs", before, after)

    def _words(self, device: Device, block: Block) -> tuple[int, ...] | None:
        span = Span.of(block)
        ask = Ask(device.unit, span, device.timeout_ms, device.pause_ms, device.retries)
        try:
            if self._prepare(device, block) is not None:
                return None
            return self._asked(ask, Watch())
        except LinkDown as down:
            raise ProblemError(link_problem(self._bus, down)) from down
        except Failure:
            return None

    def look(self, unit: int, timeout_ms: int, telling: Sequence[Span] = ()) -> Found | None:
        """What is at a unit; None: nothing answers. telling: what else is read of a device that is there."""
        ask = Ask(unit, _LOOK, timeout_ms, retries=0)
        try:
            self._asked(ask, Watch())
            how: Literal["answered", "exception"] = "answered"
        except Refused:
            how = "exception"
        except Garbled:
            return Found(unit, "garbled")
        except Silence:
            return None
        except LinkDown as down:
            raise ProblemError(link_problem(self._bus, down)) from down
        return Found(unit, how, self._identification(unit, timeout_ms), self._told(unit, timeout_ms, telling))

    def _told(self, unit: int, timeout_ms: int, telling: Sequence[Span]) -> dict[tuple[Table, int], int]:
        """What a device says of these; a device that falls silent at one of them is not asked for more."""
        words: dict[tuple[Table, int], int] = {}
        for span in telling:
            try:
                read = self._asked(Ask(unit, span, timeout_ms, retries=0), Watch())
            except Refused:
                continue
            except (Garbled, Silence):
                break
            except LinkDown as down:
                raise ProblemError(link_problem(self._bus, down)) from down
            words.update({(span.table, span.address + i): word for i, word in enumerate(read)})
        return words

    def _identification(self, unit: int, timeout_ms: int) -> dict[int, str]:
        try:
            return self._driver.run(self._master.identify(unit, timeout_ms), Watch())
        except (Refused, Garbled, Silence):
            return {}
        except LinkDown as down:
            raise ProblemError(link_problem(self._bus, down)) from down

    def _read_block(self, device: Device, block: Block, spans: tuple[Span, ...], found: Visit) -> None:
        span = Span.of(block)
        others = tuple(other for other in spans if other != span)
        watch = Watch()
        ask = Ask(device.unit, span, device.timeout_ms, device.pause_ms, device.retries, others)
        words = self._asked(ask, watch)
        found.readings += zip(block.points, readings_of(block, words, watch.arrived_ms), strict=True)

    def _without_value(self, block: Block, quality: Quality, found: Visit) -> None:
        found.readings += zip(block.points, no_value(block.points, self._clock.monotonic_ms(), quality), strict=True)


class _Unready(Exception):
    """A device could not be prepared."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.what)
        self.problem = problem


def _request_of(change: Change) -> bytes:
    if change.mask is not None:
        return mask_request(change.address, change.mask, change.words[0])
    return write_request(change.function, change.address, change.words)
