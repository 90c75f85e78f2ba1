"""Does I/O: the threads of the buses: started, stopped, watched."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from edge_agent.common.clock import Clock
from edge_agent.model.lessons import LessonsOf
from edge_agent.model.points import Bus
from edge_agent.model.reading import Happening, Reading

LIMIT_MS = 60_000
"""A bus thread completes a turn several times a second, or after one request with its retries; longer than this it hangs."""

Readings = Callable[[Sequence[Reading]], None]
Happenings = Callable[[Sequence[Happening]], None]


class Progress(Protocol):
    """The state of a bus and its devices, for people, and one thing for the watchdog."""

    @property
    def last_progress_ms(self) -> int:
        """Monotonic time of the last turn."""
        ...

    @property
    def failed(self) -> int:
        """Exchanges since start that gave nothing."""
        ...


class Runner(Protocol):
    """What reads one bus."""

    def run(self, stop: threading.Event) -> None:
        """Reads until `stop` is set."""
        ...

    def figures(self) -> Progress:
        """The state now."""
        ...

    def remember(self, lessons: LessonsOf) -> None:
        """Before it runs: what earlier runs learned of its devices."""
        ...

    def lessons(self) -> LessonsOf:
        """What is known of its devices, for later runs."""
        ...


MakeRunner = Callable[[Bus, Clock, Readings, Happenings], Runner]


class Buses:
    """All buses of a site. on_readings may wait: that is the back-pressure."""

    def __init__(self, make: MakeRunner, clock: Clock, on_readings: Readings, on_happenings: Happenings) -> None:
        self._make = make
        self._clock = clock
        self._on_readings = on_readings
        self._on_happenings = on_happenings
        self._stop = threading.Event()
        self._running: dict[str, tuple[Runner, threading.Thread]] = {}
        self._counts: dict[int, int] = {}
        self._lock = threading.Lock()
        self._ended: dict[str, Progress] = {}
        self._learned: dict[str, LessonsOf] = {}

    def prepare(self, buses: Sequence[Bus]) -> dict[str, Runner]:
        """The runners of these buses, not yet running. Raises ProblemError where a bus cannot be read as it is described."""
        return {bus.id: self._make(bus, self._clock, self._taken, self._on_happenings) for bus in buses}

    def lessons(self) -> dict[str, LessonsOf]:
        """What is known of the devices, by bus; of stopped buses as they ended."""
        return dict(self._learned) if not self._running else {id: runner.lessons() for id, (runner, _) in self._running.items()}

    def start(self, runners: Mapping[str, Runner], lessons: Mapping[str, LessonsOf]) -> None:
        """One thread for each. lessons: of earlier runs, by bus."""
        for id, runner in runners.items():
            if known := lessons.get(id):
                runner.remember(known)
        self._stop = threading.Event()
        self._running = {
            id: (runner, threading.Thread(target=runner.run, args=(self._stop,), name=f"bus-{id}", daemon=True))
            for id, runner in runners.items()
        }
        for _, thread in self._running.values():
            thread.start()

    def stop(self, timeout_s: float) -> list[str]:
        """Stops all; gives the buses that did not end in time."""
        self._stop.set()
        until_ms = self._clock.monotonic_ms() + int(timeout_s * 1000)
        for _, thread in self._running.values():
            thread.join(max(0.0, (until_ms - self._clock.monotonic_ms()) / 1000))
        late = [id for id, (_, thread) in self._running.items() if thread.is_alive()]
        self._ended = {id: runner.figures() for id, (runner, _) in self._running.items()}
        self._learned = self.lessons()
        self._running = {}
        return late

    def hanging(self) -> list[str]:
        """Buses whose thread has ended or stands still."""
        now_ms = self._clock.monotonic_ms()
        return [
            id
            for id, (runner, thread) in self._running.items()
            if not thread.is_alive() or now_ms - runner.figures().last_progress_ms > LIMIT_MS
        ]

    def figures(self) -> Mapping[str, Progress]:
        """By bus; of stopped buses as they ended."""
        return {**self._ended} if not self._running else {id: runner.figures() for id, (runner, _) in self._running.items()}

    def counts(self) -> dict[int, int]:
        """Readings handed over since the start, by series index."""
        with self._lock:
            return dict(self._counts)

    def forget_counts(self) -> None:
        """The series table is another one now."""
        with self._lock:
            self._counts.clear()

    def _taken(self, readings: Sequence[Reading]) -> None:
        self._on_readings(readings)
        with self._lock:
            for reading in readings:
                self._counts[reading.series] = self._counts.get(reading.series, 0) + 1
