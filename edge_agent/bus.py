"""Does I/O: the thread of one bus. Asks what the schedule says, hands on readings and events, keeps the link open."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from edge_agent.common.clock import Clock
from edge_agent.contract.quality import Quality
from edge_agent.io.link import Driver, Link, Stopped, Watch, open_link
from edge_agent.model.bus_figures import BusFigures, Busy, DeviceFigures, percentile
from edge_agent.model.health import DeviceHealth, Told, accepted_again, refused
from edge_agent.model.plan import Block, Cost, cost_of, halves, plan
from edge_agent.model.points import Bus, Device, Point, Tcp
from edge_agent.model.reading import Happening, Reading
from edge_agent.model.scaling import values_of
from edge_agent.model.schedule import Due, Schedule, Wait
from edge_agent.protocols.modbus import CONFIGURATION_CODES, Ask, Master, Span
from edge_agent.protocols.session import Garbled, LinkDown, Refused, Silence

OnReadings = Callable[[Sequence[Reading]], None]
OnHappenings = Callable[[Sequence[Happening]], None]

_IDLE_MS = 200
"""The longest wait between two looks at the clock."""
_BACKOFF_FIRST_MS, _BACKOFF_MOST_MS = 1000, 30_000
_RESTED_MS = 30_000
_REFUSED_PERIOD_MS = 3_600_000
"""How often a refused point is tried again."""
_FAILING_PERIOD_MS = 60_000
"""How often a request is made that fails while its device answers others."""
_SNAPSHOT_MS = 500
_SILENCES_TO_REOPEN = 3


@dataclass(slots=True)
class _Request:
    """One request of the plan, as it stands."""

    device: _Device
    block: Block
    refusals: int = 0
    set_aside: bool = False
    slowed: bool = False


@dataclass(slots=True)
class _Device:
    """One device, as it stands."""

    settings: Device
    health: DeviceHealth
    failures: int = 0
    """Requests without answer since the last answer."""
    spoken_ms: int = 0
    turnarounds_ms: deque[int] = field(default_factory=lambda: deque(maxlen=200))


class BusRunner:
    """Runs one bus: `run` in its own thread, `figures` from any."""

    def __init__(self, bus: Bus, clock: Clock, on_readings: OnReadings, on_happenings: OnHappenings, seed: int) -> None:
        """seed: of the jitter of probes. Raises ProblemError BUS110 where points cannot be read as the site file wants."""
        now_ms = clock.monotonic_ms()
        self._bus = bus
        self._clock = clock
        self._on_readings = on_readings
        self._on_happenings = on_happenings
        self._link: Link = open_link(bus)
        self._master = Master(bus.framing)
        self._cost: Cost = cost_of(bus)
        self._schedule: Schedule[int] = Schedule(bus.probe_budget, seed, now_ms)
        self._devices = [_Device(device, DeviceHealth(device, now_ms)) for device in bus.devices]
        self._requests: dict[int, _Request] = {}
        self._numbers = 0
        for device in self._devices:
            for block in plan(device.settings, self._cost):
                self._add(_Request(device, block), now_ms)
        self._down = ""
        self._retry_ms = now_ms
        self._backoff_ms = _BACKOFF_FIRST_MS
        self._silences = 0
        self._was_answering = False
        """An answer came since the link was last lost."""
        self._readings = 0
        self._busy = Busy(now_ms)
        self._progress_ms = now_ms
        self._shown_ms = now_ms
        self._figures = self._snapshot(now_ms)

    def run(self, stop: threading.Event) -> None:
        """Reads until `stop`; an exchange under way is given up. A defect propagates."""
        driver = Driver(self._link, self._clock, stop, self._master.connected)
        try:
            while not stop.is_set():
                stop.wait(self._turn(driver) / 1000)
        except Stopped:
            return
        finally:
            self._link.close()

    def figures(self) -> BusFigures:
        """The state half a second ago at most, while the bus runs."""
        return replace(self._figures, last_progress_ms=self._progress_ms)

    def _turn(self, driver: Driver) -> int:
        """One request, or none where nothing is due; how long to wait before the next turn, ms."""
        now_ms = self._clock.monotonic_ms()
        self._progress_ms = now_ms
        if now_ms - self._shown_ms >= _SNAPSHOT_MS:
            self._shown_ms = now_ms
            self._figures = self._snapshot(now_ms)
        if not self._is_up(now_ms):
            return _IDLE_MS
        due = self._schedule.next(now_ms)
        if isinstance(due, Wait):
            return max(1, min(due.until_ms - now_ms, _IDLE_MS))
        self._ask(driver, due, now_ms)
        return 0

    # --- the link

    def _is_up(self, now_ms: int) -> bool:
        if not self._down:
            return True
        if now_ms < self._retry_ms:
            return False
        try:
            self._link.open()
        except LinkDown as down:
            self._fell(str(down), now_ms)
            return False
        self._down, self._backoff_ms = "", _BACKOFF_FIRST_MS
        self._on_happenings([Happening("bus.down", now_ms, False, self._bus.id)])
        for device in self._devices:
            self._schedule.resume(device.settings.id, now_ms)
        return True

    def _fell(self, reason: str, now_ms: int) -> None:
        """The link is down, or still is."""
        was, self._down = self._down, reason
        self._retry_ms = now_ms + self._backoff_ms
        self._backoff_ms = min(2 * self._backoff_ms, _BACKOFF_MOST_MS)
        if not was:
            self._on_happenings([Happening("bus.down", now_ms, True, self._bus.id, reason)])
        for device in self._devices:
            self._tell(device.health.failed(now_ms, LinkDown.word))

    # --- one request

    def _ask(self, driver: Driver, due: Due[int], begun_ms: int) -> None:
        request = self._requests[due.request]
        device = request.device
        if begun_ms - device.spoken_ms > _RESTED_MS:
            self._master.rested(device.settings.unit)
        watch = Watch()
        retries = 0 if due.is_probe or device.failures else device.settings.retries
        try:
            words = driver.run(self._master.read(self._ask_of(request, retries)), watch)
        except Refused as failure:
            self._answered(device)
            self._refused(due.request, request, failure.code)
        except (Silence, Garbled) as failure:
            self._failed(due.request, request, failure.word)
        except LinkDown as failure:
            self._lost(due.request, request, failure)
        else:
            self._answered(device)
            if watch.turnaround_ms is not None:
                device.turnarounds_ms.append(watch.turnaround_ms)
            self._worked(due.request, request, words, watch.arrived_ms)
        now_ms = self._clock.monotonic_ms()
        device.spoken_ms = now_ms
        self._busy.add(now_ms - begun_ms, now_ms)
        if due.is_probe:
            self._schedule.spent(device.settings.id, now_ms - begun_ms)

    def _lost(self, number: int, request: _Request, failure: LinkDown) -> None:
        """The link ended in the middle. Gateways that close after each request may do so as the next one is sent: once more."""
        now_ms = self._clock.monotonic_ms()
        if self._was_answering and isinstance(self._bus.link, Tcp):
            self._was_answering = False
            self._schedule.add(number, request.device.settings.id, request.block.period_ms, now_ms)
            return
        self._fell(str(failure), now_ms)

    def _ask_of(self, request: _Request, retries: int) -> Ask:
        settings, block = request.device.settings, request.block
        others = tuple(
            _span(other.block)
            for other in self._requests.values()
            if other.device is request.device and other is not request and not other.set_aside
        )
        return Ask(settings.unit, _span(block), settings.timeout_ms, settings.pause_ms, retries, others)

    def _worked(self, number: int, request: _Request, words: Sequence[int], taken_ms: int) -> None:
        device, block = request.device, request.block
        request.refusals = 0
        device.health.request_worked(number)
        if request.set_aside or request.slowed:
            if request.set_aside:
                for point in block.points:
                    self._tell(accepted_again(point, taken_ms))
            request.set_aside = request.slowed = False
            self._schedule.add(number, device.settings.id, block.period_ms, taken_ms + block.period_ms)
        readings = readings_of(block, words, taken_ms)
        self._readings += len(readings)
        self._on_readings(readings)

    def _answered(self, device: _Device) -> None:
        now_ms = self._clock.monotonic_ms()
        device.failures = self._silences = 0
        self._was_answering = True
        self._tell(device.health.answered(now_ms))
        self._schedule.resume(device.settings.id, now_ms)

    def _failed(self, number: int, request: _Request, reason: str) -> None:
        now_ms = self._clock.monotonic_ms()
        device = request.device
        device.failures += 1
        self._tell(device.health.failed(now_ms, reason))
        self._failed_turn(number, request, Quality.BAD_COMM, now_ms)
        if device.health.state == "silent":
            cost_ms = self._cost.request_us(request.block.table, request.block.count, device.settings.timeout_ms) / 1000
            self._schedule.suspend(device.settings.id, int(cost_ms) + device.settings.pause_ms, now_ms)
        elif device.failures > 1:
            self._schedule.skip(device.settings.id, now_ms)
        self._silences += 1
        if isinstance(self._bus.link, Tcp) and self._silences >= _SILENCES_TO_REOPEN:
            self._silences = 0
            self._link.close()

    def _failed_turn(self, number: int, request: _Request, quality: Quality, now_ms: int) -> None:
        """One request of a device that otherwise answers; from the third time on it is made less often."""
        if request.set_aside:
            return
        told = request.device.health.request_failed(number, request.block.points, now_ms, quality)
        if told.readings:
            self._tell(told)
            self._slow(number, request, _FAILING_PERIOD_MS, now_ms)
            request.slowed = True

    def _refused(self, number: int, request: _Request, code: int) -> None:
        """Exceptions 1-3, said twice: the block is split until the bad point is alone. Others: a turn without values."""
        now_ms = self._clock.monotonic_ms()
        if code not in CONFIGURATION_CODES:
            self._failed_turn(number, request, Quality.BAD_SENSOR, now_ms)
            return
        if request.set_aside:
            return
        request.refusals += 1
        device = request.device
        if request.refusals < 2:
            self._schedule.add(number, device.settings.id, request.block.period_ms, now_ms)
            return
        parts = halves(request.block)
        if len(parts) == 1:
            request.set_aside = True
            for point in request.block.points:
                self._tell(refused(point, now_ms, code))
            self._slow(number, request, _REFUSED_PERIOD_MS, now_ms)
            return
        self._schedule.remove(number)
        del self._requests[number]
        for part in parts:
            self._add(_Request(device, part), now_ms)

    def _slow(self, number: int, request: _Request, least_ms: int, now_ms: int) -> None:
        period_ms = max(request.block.period_ms, least_ms)
        self._schedule.add(number, request.device.settings.id, period_ms, now_ms + period_ms)

    def _add(self, request: _Request, first_ms: int) -> None:
        self._numbers += 1
        self._requests[self._numbers] = request
        self._schedule.add(self._numbers, request.device.settings.id, request.block.period_ms, first_ms)

    def _tell(self, told: Told) -> None:
        if told.happenings:
            self._on_happenings(told.happenings)
        if told.readings:
            self._on_readings(told.readings)

    def _snapshot(self, now_ms: int) -> BusFigures:
        tally = self._master.tally
        return BusFigures(
            id=self._bus.id,
            state="down" if self._down else "ok",
            reason=self._down,
            requests=tally.requests,
            timeouts=tally.timeouts,
            crc_errors=tally.crc_errors,
            exceptions=tally.exceptions,
            retries=tally.retries,
            readings=self._readings,
            missed=self._schedule.missed,
            busy_share=self._busy.share(now_ms),
            devices=tuple(self._device_figures(device) for device in self._devices),
            last_progress_ms=self._progress_ms,
        )

    def _device_figures(self, device: _Device) -> DeviceFigures:
        health, id = device.health, device.settings.id
        aside = [r for r in self._requests.values() if r.set_aside and r.device is device]
        return DeviceFigures(
            id=id,
            state=health.state,
            since_ms=health.since_ms,
            reason=health.reason,
            turnaround_p50_ms=percentile(device.turnarounds_ms, 0.5),
            turnaround_p95_ms=percentile(device.turnarounds_ms, 0.95),
            refused=tuple(point.id for request in aside for point in request.block.points),
            probe_interval_ms=self._schedule.probe_interval_ms(id),
        )


def readings_of(block: Block, words: Sequence[int], taken_ms: int) -> list[Reading]:
    """The readings of one reply; they share their instant."""
    values = values_of(block.points, [words_of(block, point, words) for point in block.points])
    return [Reading(point.series, taken_ms, *got) for point, got in zip(block.points, values, strict=True)]


def words_of(block: Block, point: Point, words: Sequence[int]) -> Sequence[int]:
    """The words of one point in the reply to its block."""
    start = point.address - block.address
    return words[start : start + point.span]


def _span(block: Block) -> Span:
    return Span(block.table, block.address, block.count)
