"""Pure. What a device wants to be told before a request: wake-up, set-up and trigger steps.

wake     nothing was said to the device for wake_after_ms
setup    the device begins to answer: at the start, after a silence, after the link was opened
trigger  what the request reads was read since the device last measured, or it measured more than half a cycle ago
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Literal

from edge_agent.model.points import Device, Step

Why = Literal["wake", "setup", "trigger"]


def steps_of(device: Device) -> dict[Why, tuple[Step, ...]]:
    """Every step of a device, by what it is for."""
    return {"wake": device.wake, "setup": device.setup, "trigger": device.trigger}


@dataclass(frozen=True, slots=True)
class Ahead:
    """One step, and what it is for."""

    why: Why
    step: Step

    @property
    def must_work(self) -> bool:
        """False for a wake-up: a device that sleeps does not answer it, and the request that follows shows whether it woke."""
        return self.why != "wake"

    def failure(self, word: str) -> str:
        """The reason that a device's failure carries."""
        return f"{word} ({self.why}, {self.step.table} {self.step.address})"


class Preparation:
    """Of one device."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._half_cycle_ms = min((point.period_ms for point in device.points), default=1000) // 2
        self._is_set_up = False
        self._measured_ms: int | None = None
        self._read: set[Hashable] = set()
        """Requests that were read since the device measured."""

    def lost(self) -> None:
        """The device fell silent, or the link was opened anew: who knows what it forgot."""
        self._is_set_up = False
        self._measured_ms = None

    def ahead(self, request: Hashable, spoken_ms: int | None, now_ms: int) -> tuple[Ahead, ...]:
        """The steps before a request. spoken_ms: when something was last said to the device; None: never."""
        device = self._device
        steps: list[Ahead] = []
        if device.wake and (spoken_ms is None or now_ms - spoken_ms >= device.wake_after_ms):
            steps += [Ahead("wake", step) for step in device.wake]
        if not self._is_set_up:
            steps += [Ahead("setup", step) for step in device.setup]
        if device.trigger and self._must_measure(request, now_ms):
            steps += [Ahead("trigger", step) for step in device.trigger]
        return tuple(steps)

    def done(self, steps: tuple[Ahead, ...], now_ms: int) -> None:
        """All of these were taken."""
        self._is_set_up = True
        if any(each.why == "trigger" for each in steps):
            self._measured_ms = now_ms
            self._read.clear()

    def read(self, request: Hashable) -> None:
        """The request gave what the device measured."""
        self._read.add(request)

    def _must_measure(self, request: Hashable, now_ms: int) -> bool:
        if self._measured_ms is None or request in self._read:
            return True
        return now_ms - self._measured_ms > self._half_cycle_ms
