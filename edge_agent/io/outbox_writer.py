"""Does I/O: the thread that writes and reads the outbox file, so that a slow card never delays sending."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

from edge_agent.delivery.machine import Event, Fetch, Fetched, Renewed, TakenUp, Write, WriteFailed, Written
from edge_agent.io.outbox import OutboxFailed, OutboxFile

REST_S = 5.0
"""After a failed read, before the next try."""


class OutboxWriter:
    """Carries out Write and Fetch in order; `on_done` gets what came of each, on this thread."""

    def __init__(self, file: OutboxFile, on_done: Callable[[Event], None]) -> None:
        self._file = file
        self._on_done = on_done
        self._orders: queue.SimpleQueue[Write | Fetch | None] = queue.SimpleQueue()
        self._unread: tuple[float, Fetch] | None = None
        """A read that the medium refused, and when it is tried again (monotonic, s); the courier has one under way at most."""
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def order(self, order: Write | Fetch) -> None:
        """Queues one order. The courier has at most one write under way, so the queue stays short."""
        self._orders.put(order)

    def stop(self, timeout_s: float) -> bool:
        """Finishes what is queued, closes the file; False if that took longer."""
        self._orders.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (order := self._next()) is not None:
            if isinstance(order, Write):
                self._on_done(self._write(order))
            else:
                self._fetch(order)
        self._file.close()

    def _next(self) -> Write | Fetch | None:
        """The next order; a read that was refused when its rest is over, so that writes never wait for it."""
        if self._unread is None:
            return self._orders.get()
        again_s, fetch = self._unread
        try:
            return self._orders.get(timeout=max(0.0, again_s - time.monotonic()))
        except queue.Empty:
            self._unread = None
            return fetch

    def _write(self, order: Write) -> Event:
        try:
            self._file.write(order.add, order.forget, order.anchors, order.run)
        except OutboxFailed as failure:
            return WriteFailed(order.token, str(failure))
        finally:
            self._tell_found()
        return Written(order.token)

    def _tell_found(self) -> None:
        """What came out beside the order."""
        opened = self._file.take_opened()
        if opened is not None:
            self._on_done(TakenUp(opened.stored, opened.anchors, opened.set_aside, opened.shelves, opened.lost, opened.unknown))
        renewed = self._file.take_renewed()
        if renewed:
            self._on_done(Renewed(renewed))

    def _fetch(self, order: Fetch) -> None:
        """A medium that refuses to read is asked again: its messages are neither there nor lost.

        What was forgotten or released between two tries is missing then, and the courier, who released it, takes no notice.
        """
        try:
            stored, missing = self._file.fetch(order.span.each())
            readings = self._file.readings_of(missing)
        except OutboxFailed:
            self._unread = (time.monotonic() + REST_S, order)
            return
        self._tell_found()
        self._on_done(Fetched(stored, missing, readings))
