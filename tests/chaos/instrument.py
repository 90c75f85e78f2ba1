"""Does I/O: a Modbus TCP instrument that never gives a value twice and keeps a journal of what it gave, with its own time.

Register pair 2n of an answer holds `number * POINTS + n`, number counting the answers: a value tells which answer and which point
it comes from. `away` lets requests break instead, `silent` leaves them without an answer; what was not answered is in no journal.
"""

from __future__ import annotations

import socketserver
import struct
import threading
import time
from dataclasses import dataclass

POINTS = 8
"""Values in one answer at most."""


def now_ms() -> int:
    """The real time, ms UTC."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Given:
    """One answer. Times in ms UTC of the real clock: when its request had come, and just before it went out."""

    number: int
    unit: int
    first: int
    points: int
    opened_ms: int
    """When its connection had come: it belongs to the agent that lived then."""
    asked_ms: int
    given_ms: int


class Instrument:
    """Everything on one agent's bus: any unit, function 3, on a free port of loopback."""

    def __init__(self) -> None:
        self.journal: list[Given] = []
        self.away = self.silent = False
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Connection)
        self._server.instrument = self
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)

    def __enter__(self) -> Instrument:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def give(self, unit: int, first: int, count: int, opened_ms: int, asked_ms: int) -> list[int]:
        """The registers of the next answer; it stands in the journal before it goes out."""
        with self._lock:
            number = len(self.journal)
            words = [0] * count
            points = 0
            for n in range(first // 2, min((first + count) // 2, POINTS)):
                at = 2 * n - first
                if first % 2 == 0:
                    words[at], words[at + 1] = divmod(number * POINTS + n, 65536)
                    points += 1
            self.journal.append(Given(number, unit, first, points, opened_ms, asked_ms, now_ms()))
        return words


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    instrument: Instrument

    def handle_error(self, *_: object) -> None:
        """A connection whose agent was killed breaks: that is the game."""


class _Connection(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, _Server)
        instrument, opened_ms = self.server.instrument, now_ms()
        while len(head := self.rfile.read(12)) == 12:
            asked_ms = now_ms()
            transaction, _, _, unit, function, first, count = struct.unpack(">HHHBBHH", head)
            while instrument.silent and not instrument.away:
                time.sleep(0.05)
            if instrument.away or function != 3:
                return
            words = instrument.give(unit, first, count, opened_ms, asked_ms)
            body = struct.pack(f">BBB{count}H", unit, function, 2 * count, *words)
            self.wfile.write(struct.pack(">HHH", transaction, 0, len(body)) + body)
