"""Does I/O: what a bus is reached by, and the driving of a session on it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from edge_agent.common.clock import Clock
from edge_agent.model.points import Bus, Serial
from edge_agent.protocols.session import Flush, Pause, Receive, Reopen, Send, Session

Result = TypeVar("Result")
NO_SERIAL_PORT = "it is no serial port"
"""What LinkDown says of a file that no line settings can be given to."""
PORT_IN_USE = "another program uses it"
"""What LinkDown says of a port that is locked."""
_SLICE_MS = 100
"""A stop is noticed within this time."""
_OVERTIME_MS = 10_000
"""A window that is held open by what comes in it ends at last so long after its time."""


class Link(Protocol):
    """A port or connection. Every method but `close` raises LinkDown where it is gone."""

    @property
    def connections(self) -> int:
        """How often it was opened."""
        ...

    @property
    def place(self) -> str:
        """Where it was opened last, in words: the device file and its adapter, or host and port; empty before."""
        ...

    @property
    def note(self) -> str:
        """What is peculiar about the other side, in words; empty: nothing."""
        ...

    def open(self) -> None:
        """Opens it; nothing where it is open."""
        ...

    def close(self) -> None:
        """Closes it; nothing where it is closed."""
        ...

    def send(self, payload: bytes) -> None:
        """Sends all of it after the silence that the line needs; returns when it is on the wire. Opens the link if need be."""
        ...

    def receive(self, timeout_ms: int) -> bytes:
        """What has come, as soon as something has; b"" after timeout_ms."""
        ...

    def flush(self) -> bytes:
        """Takes away what has come."""
        ...

    def wire_ms(self, count: int) -> int:
        """How long `count` bytes take on the wire."""
        ...


class Stopped(Exception):
    """The exchange was given up because the program ends."""


@dataclass(slots=True)
class Watch:
    """What the driver saw of one session."""

    turnaround_ms: int | None = None
    """From the last byte of the last request to the first byte that came."""
    arrived_ms: int = 0
    """Monotonic time at which the last bytes came."""
    sent_ms: int = 0
    """Monotonic time at which the last byte of the last request was on the wire."""


class Driver:
    """Carries out the actions of sessions on one link."""

    def __init__(self, link: Link, clock: Clock, stop: threading.Event, on_opened: Callable[[], None]) -> None:
        """on_opened: called after the link was opened and before anything of the new connection is read."""
        self._link = link
        self._clock = clock
        self.stop = stop
        self._on_opened = on_opened
        self._connections = link.connections
        self._deadline_ms = 0
        self._sent_ms = 0

    def run(self, session: Session[Result], watch: Watch) -> Result:
        """The result of the session. Raises what the session or the link raises, and Stopped."""
        answer = b""
        try:
            while True:
                action = session.send(answer) if answer else next(session)
                answer = b""
                match action:
                    case Send():
                        self._send(action)
                        watch.turnaround_ms, watch.sent_ms = None, self._sent_ms
                    case Receive():
                        answer = self._receive(action, watch)
                    case Flush():
                        self._link.open()
                        answer = self._link.flush()
                    case Pause():
                        if self.stop.wait(action.pause_ms / 1000):
                            raise Stopped
                    case Reopen():
                        self._link.close()
        except StopIteration as end:
            result: Result = end.value
            return result
        finally:
            session.close()

    def _send(self, action: Send) -> None:
        begun_ms = self._clock.monotonic_ms()
        self._link.send(action.payload)
        if self._link.connections != self._connections:
            self._connections = self._link.connections
            self._on_opened()
        self._sent_ms = max(self._clock.monotonic_ms(), begun_ms + self._link.wire_ms(len(action.payload)))
        self._deadline_ms = self._sent_ms + action.window_ms + self._link.wire_ms(action.reply_bytes)

    def _receive(self, action: Receive, watch: Watch) -> bytes:
        now_ms = self._clock.monotonic_ms()
        until_ms = self._deadline_ms
        if action.idle_ms is not None:
            until_ms = min(until_ms, now_ms + action.idle_ms)
        if action.least_ms:
            until_ms = max(until_ms, min(now_ms + action.least_ms, self._deadline_ms + _OVERTIME_MS))
        while now_ms < until_ms:
            if self.stop.is_set():
                raise Stopped
            chunk = self._link.receive(min(until_ms - now_ms, _SLICE_MS))
            now_ms = self._clock.monotonic_ms()
            if chunk:
                watch.arrived_ms = now_ms
                if watch.turnaround_ms is None:
                    watch.turnaround_ms = max(0, now_ms - self._sent_ms)
                return chunk
        return b""


def open_link(bus: Bus) -> Link:
    """The link of a bus, not opened yet."""
    if isinstance(bus.link, Serial):
        from edge_agent.io.serial_link import SerialLink

        return SerialLink(bus.link)
    from edge_agent.io.tcp_link import TcpLink

    return TcpLink(bus.link)
