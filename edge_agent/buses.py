"""Does I/O: the threads of the buses: started, stopped, watched."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from edge_agent.common.clock import Clock
from edge_agent.model.points import Bus
from edge_agent.model.reading import Happening, Reading

GRACE_MS = 60_000
"""A bus that has nothing to do before its next period plus this, and does not look at the clock, hangs."""

Readings = Callable[[Sequence[Reading]], None]
Happenings = Callable[[Sequence[Happening]], None]


class Runner(Protocol):
    """What reads one bus."""

    def run(self, stop: threading.Event) -> None:
        """Reads until `stop` is set."""
        ...

    def figures(self) -> Any:
        """The state of the bus and its devices, for people."""
        ...


MakeRunner = Callable[[Bus, Clock, Readings, Happenings], Runner]


class WatchedClock:
    """The clock of one bus thread; it knows when that thread last looked at it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.seen_ms = clock.monotonic_ms()

    def monotonic_ms(self) -> int:
        """As the clock behind it."""
        self.seen_ms = self._clock.monotonic_ms()
        return self.seen_ms

    def utc_ms(self) -> int:
        """As the clock behind it."""
        return self._clock.utc_ms()


class Buses:
    """All buses of a site. on_readings may wait: that is the back-pressure."""

    def __init__(self, make: MakeRunner, clock: Clock, on_readings: Readings, on_happenings: Happenings) -> None:
        self._make = make
        self._clock = clock
        self._on_readings = on_readings
        self._on_happenings = on_happenings
        self._stop = threading.Event()
        self._running: dict[str, tuple[Runner, WatchedClock, threading.Thread, int]] = {}
        self._counts: dict[int, int] = {}
        self._lock = threading.Lock()

    def start(self, buses: Sequence[Bus]) -> None:
        """One thread for each bus."""
        self._stop = threading.Event()
        for bus in buses:
            clock = WatchedClock(self._clock)
            runner = self._make(bus, clock, self._taken, self._on_happenings)
            thread = threading.Thread(target=runner.run, args=(self._stop,), name=f"bus-{bus.id}", daemon=True)
            periods = [point.period_ms for device in bus.devices for point in device.points]
            self._running[bus.id] = (runner, clock, thread, GRACE_MS + max(periods, default=0))
        for _, _, thread, _ in self._running.values():
            thread.start()

    def stop(self, timeout_s: float) -> list[str]:
        """Stops all; gives the buses that did not end in time."""
        self._stop.set()
        until_ms = self._clock.monotonic_ms() + int(timeout_s * 1000)
        for _, _, thread, _ in self._running.values():
            thread.join(max(0.0, (until_ms - self._clock.monotonic_ms()) / 1000))
        late = [id for id, (_, _, thread, _) in self._running.items() if thread.is_alive()]
        self._running = {}
        return late

    def hanging(self) -> list[str]:
        """Buses whose thread has ended or stands still."""
        now_ms = self._clock.monotonic_ms()
        return [
            id
            for id, (_, clock, thread, limit_ms) in self._running.items()
            if not thread.is_alive() or now_ms - clock.seen_ms > limit_ms
        ]

    def figures(self) -> Mapping[str, Any]:
        """By bus."""
        return {id: runner.figures() for id, (runner, *_) in self._running.items()}

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
