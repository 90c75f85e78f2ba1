"""Does I/O: knocks at the brokers that are preferred to the one that serves, and says when one opens.

A knock is a TCP connection that is closed at once, some 400 bytes on the air. Whether the broker then takes the session shows
only in going back; where it does not, the caller waits longer before the next knock.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence

from edge_agent.io.air import Air, AirMeter, refused_connect
from edge_agent.model.points import Broker

KNOCK_TIMEOUT_S = 5.0


class Knocking:
    """Runs beside one session. `go_back` is called once, on a thread of its own, while `is_up` is true."""

    def __init__(self, brokers: Sequence[Broker], every_s: float, is_up: Callable[[], bool], go_back: Callable[[], None]) -> None:
        self._brokers = brokers
        self._every_s = every_s
        self._is_up = is_up
        self._go_back = go_back
        self._stopping = threading.Event()
        self.air = Air()
        """What the knocks put on the air."""
        self._thread = threading.Thread(target=self._run, name="mqtt-knock", daemon=True)

    def start(self) -> None:
        """Begins, where there is anybody to prefer."""
        if self._brokers:
            self._thread.start()

    def stop(self) -> None:
        """Knocks no more. A knock under way ends by itself."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.wait(self._every_s):
            if self._is_up() and any(self._opens(broker) for broker in self._brokers):
                if self._is_up() and not self._stopping.is_set():
                    self._go_back()
                return

    def _opens(self, broker: Broker) -> bool:
        try:
            with socket.create_connection((broker.host, broker.port), KNOCK_TIMEOUT_S) as connection:
                meter = AirMeter(connection, tls=False)
                meter.close()
                self.air += meter.read()
                return True
        except OSError as error:
            self.air += refused_connect(timed_out=isinstance(error, TimeoutError))
            return False
