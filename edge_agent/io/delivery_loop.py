"""Does I/O: the thread that owns the Courier: events in from buses, link, clock and outbox; actions out to link and outbox."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from edge_agent.common.clock import Clock
from edge_agent.contract.topics import Kind
from edge_agent.delivery.courier import Courier
from edge_agent.delivery.machine import (
    Action,
    Event,
    Fetch,
    Figures,
    Happened,
    Key,
    Publish,
    Report,
    Start,
    Stop,
    Taken,
    Tick,
    WakeAt,
    Write,
    WriteFailed,
    Written,
)
from edge_agent.io.inbox import Inbox
from edge_agent.io.logs import logger, say
from edge_agent.io.outbox_writer import OutboxWriter
from edge_agent.model.reading import Happening, Reading

ROOM_READINGS = 20_000
"""So many readings may wait before the courier; then the buses wait too."""
LONGEST_REST_S = 1.0


class Sender(Protocol):
    """The link, as far as delivery needs it."""

    def publish(self, kind: Kind, payload: bytes, key: Key | None = None) -> bool:
        """False when it cannot be sent now. key: of a sequenced message; one that waits already is not queued again."""
        ...


class DeliveryLoop:
    """One gateway's delivery, running. on_readings counts what the buses gave; any thread may call the methods named so."""

    def __init__(self, courier: Courier, clock: Clock, writer_of: Callable[[Callable[[Event], None]], OutboxWriter]) -> None:
        self._courier = courier
        self._clock = clock
        self._inbox: Inbox[Event] = Inbox(ROOM_READINGS)
        self._writer = writer_of(self._inbox.force)
        self._sender: Sender | None = None
        self._wake_ms = 0
        self._writes_open = 0
        self._stopping = False
        self._figures: Figures | None = None
        self._moved_ms = clock.monotonic_ms()
        self._over = threading.Event()
        self._log = logger("delivery")
        self._thread = threading.Thread(target=self._run, name="delivery", daemon=True)

    def start(self, first: Start, sender: Sender) -> None:
        """Begins with `first`."""
        self._sender = sender
        self._writer.start()
        self._inbox.force(first)
        self._thread.start()

    # --- for any thread ----------------------------------------------------------------------------------------------

    def take(self, readings: Sequence[Reading]) -> None:
        """Readings of a bus; waits while delivery is behind."""
        if readings:
            self._inbox.put(Taken(readings), len(readings))

    def tell(self, events: Sequence[Happening]) -> None:
        """Events of the agent; never waits."""
        if events:
            self._inbox.force(Happened(events))

    def must(self, event: Event) -> None:
        """An event that comes once."""
        self._inbox.force(event)

    def may(self, event: Event) -> bool:
        """An event that its sender will say again; False when there is no room."""
        return self._inbox.offer(event)

    @property
    def figures(self) -> Figures | None:
        """As of the last step; None before the first."""
        return self._figures

    @property
    def moved_ms(self) -> int:
        """Monotonic time of the last completed round."""
        return self._moved_ms

    @property
    def refused(self) -> int:
        """Messages from the network for which there was no room."""
        return self._inbox.refused

    # --- the end -----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Says Stop: open batches are closed, written and sent."""
        self._inbox.force(Stop())

    def drained(self) -> bool:
        """True when everything has its receipt."""
        figures = self._figures
        return figures is not None and figures.depth == 0 and figures.depth_readings == 0

    def finish(self, timeout_s: float) -> bool:
        """Waits for the last write and ends both threads; False if that took longer."""
        self._stopping = True
        self._inbox.force(Tick())
        self._thread.join(timeout_s)
        return self._writer.stop(1.0) and not self._thread.is_alive()

    # --- the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            rest_s = min(LONGEST_REST_S, (self._wake_ms - self._clock.monotonic_ms()) / 1000)
            for event in self._inbox.take(rest_s) or [Tick()]:
                if isinstance(event, Written | WriteFailed):
                    self._writes_open -= 1
                now_ms = self._clock.monotonic_ms()
                for action in self._courier.step(now_ms, event):
                    self._carry_out(action)
            self._moved_ms = self._clock.monotonic_ms()
            self._figures = self._courier.figures(self._moved_ms)
            if self._stopping and self._writes_open == 0:
                return

    def _carry_out(self, action: Action) -> None:
        match action:
            case Write():
                self._writes_open += 1
                self._writer.order(action)
            case Fetch():
                self._writer.order(action)
            case Publish():
                self._publish(action)
            case WakeAt():
                self._wake_ms = action.mono_ms
            case Report():
                say(self._log, logging.WARNING if action.warns else logging.INFO, action.id, action.text)

    def _publish(self, action: Publish) -> None:
        if self._sender is None:
            return
        self._sender.publish(Kind.DATA, action.payload, action.key)
        if action.retained_birth:
            self._sender.publish(Kind.BIRTH, action.payload, action.key)
