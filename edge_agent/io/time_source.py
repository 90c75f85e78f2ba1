"""Does I/O: decides from where UTC is known, and says so to the delivery machine.

In order of trust: the kernel's clock kept by NTP; the machine's clock on the owner's word (`run --trust-clock`); the collector's
answer on topic `time`, bounded by the round trip; the clock as an RTC set it at the boot. Until one is there, readings wait in the
outbox with their monotonic time. Steps of the machine's clock are events; stamps that were given never change.
"""

from __future__ import annotations

import secrets
import threading
from collections import deque
from dataclasses import dataclass

from edge_agent.common.clock import Clock
from edge_agent.contract.message import VERSION, TimeAsk, TimeTell
from edge_agent.delivery.machine import ClockSet
from edge_agent.io.kernel_clock import ClockState
from edge_agent.model.reading import Happening

BUILD_MS = 1_767_225_600_000
"""2026-01-01: the software did not exist before; whoever says so is wrong."""
LATEST_MS = BUILD_MS + 40 * 365 * 86_400_000
STEP_MS = 1000
ASK_MS = 3000
"""Between questions until the first answer ..."""
ASK_AGAIN_MS = 600_000
"""... and afterwards."""
ANSWER_MS = 10_000
"""An older answer says too little."""
RTC_AFTER_MS = 20_000
"""So long a better source is waited for."""
RTC_BOUND_MS = 60_000
TRUSTED_BOUND_MS = 1000
_TRUST = {"": 0, "rtc": 1, "collector": 2, "manual": 3, "ntp": 4}


@dataclass(frozen=True, slots=True)
class ClockFigures:
    """What `edge-agent status` shows of the clock."""

    source: str = ""
    bound_ms: int = 0
    steps: int = 0
    refused: int = 0
    """Answers that were late, unasked or absurd."""


class TimeSource:
    """`poll` belongs to one thread; `told` may come from any."""

    def __init__(self, clock: Clock, kernel: ClockState, *, trust_clock: bool = False) -> None:
        self._clock = clock
        self._kernel = kernel
        self._trust_clock = trust_clock
        self._began_ms = clock.monotonic_ms()
        self._offset_ms = clock.utc_ms() - self._began_ms
        self._told: ClockSet | None = None
        self._asked: dict[str, int] = {}
        self._ask_at_ms = self._began_ms
        self._answers: deque[tuple[TimeTell, int]] = deque(maxlen=16)
        self._lock = threading.Lock()
        self._steps = self._refused = 0

    @property
    def figures(self) -> ClockFigures:
        """The state of the clock now."""
        told = self._told
        return ClockFigures(told.source if told else "", told.bound_ms if told else 0, self._steps, self._refused)

    def utc_ms(self) -> int | None:
        """UTC now, ms, as it was told last; None while it is unknown."""
        told = self._told
        return None if told is None else told.utc_ms + self._clock.monotonic_ms() - told.mono_ms

    def told(self, answer: TimeTell) -> None:
        """An answer of the collector has just arrived."""
        with self._lock:
            self._answers.append((answer, self._clock.monotonic_ms()))

    def poll(self, *, link_up: bool) -> list[ClockSet | Happening | TimeAsk]:
        """To be called about once a second: what to tell the delivery machine, what to ask the collector."""
        now_ms, utc_ms = self._clock.monotonic_ms(), self._clock.utc_ms()
        found: list[ClockSet | Happening | TimeAsk] = [*self._stepped(now_ms, utc_ms)]
        for best in (self._machine(now_ms, utc_ms), self._collector()):
            if best is not None and self._is_news(best):
                self._told = best
                found.append(best)
        if link_up and now_ms >= self._ask_at_ms and self._trust() < _TRUST["manual"]:
            found.append(self._ask(now_ms))
        return found

    def _trust(self) -> int:
        return _TRUST[self._told.source] if self._told else 0

    def _stepped(self, now_ms: int, utc_ms: int) -> list[Happening]:
        offset = utc_ms - now_ms
        step, self._offset_ms = offset - self._offset_ms, offset
        if abs(step) <= STEP_MS:
            return []
        self._steps += 1
        return [Happening("clock.step", now_ms, about=(("step_ms", step),))]

    def _machine(self, now_ms: int, utc_ms: int) -> ClockSet | None:
        if not BUILD_MS <= utc_ms <= LATEST_MS:
            return None
        bound_ms = self._kernel.synchronised_within_ms()
        if bound_ms is not None:
            return ClockSet(now_ms, utc_ms, "ntp", bound_ms)
        if self._trust_clock:
            return ClockSet(now_ms, utc_ms, "manual", TRUSTED_BOUND_MS)
        if now_ms - self._began_ms >= RTC_AFTER_MS and self._kernel.set_by_rtc():
            return ClockSet(now_ms, utc_ms, "rtc", RTC_BOUND_MS)
        return None

    def _collector(self) -> ClockSet | None:
        best: ClockSet | None = None
        with self._lock:
            answers = list(self._answers)
            self._answers.clear()
        for answer, arrived_ms in answers:
            asked_ms = self._asked.pop(answer.id, None)
            if asked_ms is None or arrived_ms - asked_ms > ANSWER_MS or not BUILD_MS <= answer.t <= LATEST_MS:
                self._refused += 1
                continue
            half_ms = (arrived_ms - asked_ms + 1) // 2
            best = ClockSet(arrived_ms, answer.t + half_ms, "collector", half_ms + 1)
            self._ask_at_ms = arrived_ms + ASK_AGAIN_MS
        return best

    def _is_news(self, found: ClockSet) -> bool:
        """More trust, or the same source with another time than was told."""
        told = self._told
        if told is None or _TRUST[found.source] > self._trust():
            return True
        drift_ms = (found.utc_ms - found.mono_ms) - (told.utc_ms - told.mono_ms)
        return found.source == told.source and abs(drift_ms) > max(100, found.bound_ms if found.source == "collector" else 0)

    def _ask(self, now_ms: int) -> TimeAsk:
        for id in [id for id, asked_ms in self._asked.items() if now_ms - asked_ms > ANSWER_MS]:
            del self._asked[id]
        ask = TimeAsk(VERSION, secrets.token_hex(8))
        self._asked[ask.id] = now_ms
        self._ask_at_ms = now_ms + ASK_MS
        return ask
