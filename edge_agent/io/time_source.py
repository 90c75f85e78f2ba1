"""Does I/O: the thin shell of the clock machine (delivery/clock.py): looks at the machine, threads, random questions."""

from __future__ import annotations

import secrets
import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

from edge_agent.common.clock import Clock
from edge_agent.contract.message import TimeAsk, TimeTell
from edge_agent.delivery.clock import (
    Answered,
    AskModem,
    ClockFigures,
    ClockMachine,
    Event,
    Looked,
    Memory,
    ModemTold,
    Remember,
    Settings,
)
from edge_agent.delivery.machine import ClockSet
from edge_agent.delivery.rtc import RtcSeen
from edge_agent.io.clock_memory import MemoryFile
from edge_agent.io.kernel_clock import ClockState
from edge_agent.model.reading import Happening

RTC_LOOK_MS = 60_000


class Modem(Protocol):
    """Asks the cellular network for the time; may take seconds."""

    def ask(self) -> int | None:
        """UTC, ms; None where it is not known."""
        ...


class Rtc(Protocol):
    """The machine's RTC."""

    def look(self) -> RtcSeen | None:
        """None where there is none."""
        ...


class TimeSource:
    """`poll` belongs to one thread; `told` may come from any."""

    def __init__(
        self,
        clock: Clock,
        kernel: ClockState,
        settings: Settings = Settings(),
        *,
        rtc: Rtc | None = None,
        modem: Modem | None = None,
        memory: MemoryFile | None = None,
        certificate_ends_ms: Callable[[], int] = lambda: 0,
    ) -> None:
        """certificate_ends_ms: of our own, as its file is now; 0: none."""
        self._certificate_ends_ms = certificate_ends_ms
        self._clock, self._kernel, self._rtc, self._modem, self._memory = clock, kernel, rtc, modem, memory
        self._machine = ClockMachine(settings, memory.read() if memory is not None else Memory())
        self._came: deque[tuple[int, Event]] = deque(maxlen=16)
        self._rtc_look_at_ms = clock.monotonic_ms()
        self._question: threading.Thread | None = None

    @property
    def figures(self) -> ClockFigures:
        """The state of the clock now."""
        return self._machine.figures(self._clock.monotonic_ms())

    def utc_ms(self) -> int | None:
        """UTC now, ms, as it was told last; None while it is unknown."""
        return self._machine.utc_ms(self._clock.monotonic_ms())

    def certain_ms(self) -> int:
        """UTC that has passed for certain, ms, whatever the machine's clock shows."""
        return self._machine.certain_ms(self._clock.monotonic_ms())

    def told(self, answer: TimeTell) -> None:
        """An answer of the collector has just arrived."""
        self._came.append((self._clock.monotonic_ms(), Answered(answer.id, answer.t, self._certificate_ends_ms())))

    def poll(self, *, link_up: bool) -> list[ClockSet | Happening | TimeAsk]:
        """To be called about once a second: what to tell the delivery machine, what to ask the collector."""
        found: list[ClockSet | Happening | TimeAsk] = []
        while self._came:
            self._take(*self._came.popleft(), found)
        now_ms = self._clock.monotonic_ms()
        self._take(now_ms, self._look(now_ms, link_up), found)
        return found

    def _look(self, now_ms: int, link_up: bool) -> Looked:
        seen = None
        if self._rtc is not None and now_ms >= self._rtc_look_at_ms:
            self._rtc_look_at_ms = now_ms + RTC_LOOK_MS
            seen = self._rtc.look()
        return Looked(
            self._clock.utc_ms(),
            self._kernel.synchronised_within_ms(),
            self._kernel.set_by_rtc(),
            link_up,
            secrets.token_hex(8),
            seen,
        )

    def _take(self, now_ms: int, event: Event, found: list[ClockSet | Happening | TimeAsk]) -> None:
        for action in self._machine.step(now_ms, event):
            match action:
                case AskModem():
                    self._ask_modem()
                case Remember():
                    if self._memory is not None:
                        self._memory.write(action.memory)
                case _:
                    found.append(action)

    def _ask_modem(self) -> None:
        """On a thread of its own: a modem may take its time, the watchdog does not wait."""
        if self._modem is None or (self._question is not None and self._question.is_alive()):
            return
        self._question = threading.Thread(target=self._hear_modem, args=(self._modem,), name="modem-time", daemon=True)
        self._question.start()

    def _hear_modem(self, modem: Modem) -> None:
        asked_ms = self._clock.monotonic_ms()
        utc_ms = modem.ask()
        self._came.append((self._clock.monotonic_ms(), ModemTold(asked_ms, utc_ms)))
