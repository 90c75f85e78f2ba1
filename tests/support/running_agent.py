"""Does I/O: an `Agent` on a thread of the test, with buses whose readings the test knows."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from edge_agent.agent import Agent, Folders, Machine, Wish
from edge_agent.buses import MakeRunner
from edge_agent.common.clock import Clock, SystemClock
from edge_agent.contract.message import BirthBody, Series
from edge_agent.io.service import Systemd
from edge_agent.model.lessons import LessonsOf
from edge_agent.model.loaded import LoadedSite
from edge_agent.model.points import Broker, Bus, Delivery, Device, Point, Site, Tcp
from edge_agent.model.reading import Happening, Reading


def point(series: int, device: str, name: str, address: int, period_ms: int = 100) -> Point:
    """A plain u16 holding register."""
    return Point(series, device, name, "holding", address, "u16", period_ms=period_ms)


def site(port: int, version: Any, tcp_port: int = 502, **delivery: Any) -> LoadedSite:
    """Station-1/gw-1 with one TCP bus, one device, two points."""
    points = (point(0, "meter", "a", 0), point(1, "meter", "b", 1))
    bus = Bus("tcp-1", Tcp("127.0.0.1", tcp_port), "tcp", (Device("meter", 1, points, timeout_ms=500),))
    settings = Delivery(**{"batch_ms": 200, "window_ms": 500, "resend_ms": 1000, "receipt_hold_ms": 50, **delivery})
    resolved = Site("station-1", "gw-1", (Broker("127.0.0.1", port, version),), (bus,), settings)
    birth = BirthBody("edge-agent test", [Series(p.series, p.device, p.id, period_ms=p.period_ms) for p in points])
    return LoadedSite(resolved, birth)


@dataclass(frozen=True)
class Moved:
    """Figures of a bus that says only that it moves."""

    last_progress_ms: int
    failed: int = 0


class CountingRunner:
    """Gives the readings 1, 2, 3, ... of every point of its bus until it is stopped; `given` keeps them."""

    def __init__(self, bus: Bus, clock: Clock, taken: Callable[..., None], happened: Callable[..., None], given: list[Any]) -> None:
        self._points = [p for device in bus.devices for p in device.points]
        self._clock, self._taken, self._happened, self._given = clock, taken, happened, given

    def run(self, stop: threading.Event) -> None:
        number = 0
        while not stop.wait(0.02):
            number += 1
            now_ms = self._clock.monotonic_ms()
            self._given += [(p.device, p.id, number) for p in self._points]
            self._taken([Reading(p.series, now_ms, number) for p in self._points])
            if number == 3:
                self._happened([Happening("device.silent", now_ms, on=True, subject="meter", reason="timeout")])
            if number == 6:
                self._happened([Happening("device.silent", now_ms, on=False, subject="meter")])

    def figures(self) -> Moved:
        return Moved(self._clock.monotonic_ms())

    def remember(self, lessons: LessonsOf) -> None:
        """It learns nothing."""

    def lessons(self) -> LessonsOf:
        return {}


@dataclass
class FixedKernel:
    """A kernel clock as the test says."""

    within_ms: int | None = 5
    rtc: bool = False

    def synchronised_within_ms(self) -> int | None:
        return self.within_ms

    def set_by_rtc(self) -> bool:
        return self.rtc


@dataclass
class RunningAgent:
    """Starts with `start`, ends with `stop`; a failure of the agent is raised by `stop`. As a context it is started, and never
    outlives a test that failed."""

    loaded: LoadedSite
    folder: Path
    kernel: FixedKernel = field(default_factory=FixedKernel)
    make: MakeRunner | None = None
    given: list[tuple[str, str, int]] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)

    def start(self) -> RunningAgent:
        self.wishes: queue.SimpleQueue[Wish] = queue.SimpleQueue()
        self.failure: list[BaseException] = []
        self.next_site: LoadedSite | Exception = self.loaded
        make = self.make or (lambda *parts: CountingRunner(*parts, self.given))
        machine = Machine(SystemClock(), self.kernel, Systemd(self.environment), make, self._load)
        self.agent = Agent(self.loaded, Folders(self.folder / "state", self.folder / "run"), machine)
        self.thread = threading.Thread(target=self._run, name="agent")
        self.thread.start()
        return self

    def __enter__(self) -> RunningAgent:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.thread.is_alive():
            self.stop()

    def stop(self, timeout_s: float = 10.0) -> None:
        self.wishes.put(Wish.STOP)
        self.thread.join(timeout_s)
        assert not self.thread.is_alive(), "the agent did not stop in time"
        if self.failure:
            raise self.failure[0]

    def reload(self, loaded: LoadedSite | Exception) -> None:
        self.next_site = loaded
        self.wishes.put(Wish.RELOAD)

    def _load(self) -> LoadedSite:
        if isinstance(self.next_site, Exception):
            raise self.next_site
        return self.next_site

    def _wait(self, seconds: float) -> Wish | None:
        try:
            return self.wishes.get(timeout=min(seconds, 0.1))
        except queue.Empty:
            return None

    def _run(self) -> None:
        try:
            self.agent.run(self._wait)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - raised again by `stop`
            self.failure.append(error)


def with_points(loaded: LoadedSite, names: Sequence[str]) -> LoadedSite:
    """The same site with other points."""
    bus = loaded.site.buses[0]
    points = tuple(point(i, "meter", name, i) for i, name in enumerate(names))
    device = replace(bus.devices[0], points=points)
    birth = BirthBody("edge-agent test", [Series(p.series, p.device, p.id, period_ms=p.period_ms) for p in points])
    return LoadedSite(replace(loaded.site, buses=(replace(bus, devices=(device,)),)), birth)
