"""Pure. A bus in simulated time under the real BusRunner: a clock, a link with wire time, instruments that answer or do not."""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from edge_agent.bus import BusRunner
from edge_agent.model.points import Bus, Tcp
from edge_agent.model.reading import Happening, Reading
from examples.station_sim.modbus import crc16, rtu_frame

Answer = Callable[[int, bytes, float], "bytes | None"]
"""(unit, PDU, now in ms) -> reply PDU, or None: nothing comes."""


class SimulatedClock:
    """Time that passes only where somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic_ms(self) -> int:
        return int(self.now)

    def utc_ms(self) -> int:
        return int(self.now)


class SimulatedStop(threading.Event):
    """Set when the time is over; waiting for it lets time pass."""

    def __init__(self, clock: SimulatedClock, end_ms: float) -> None:
        super().__init__()
        self._clock, self._end_ms = clock, end_ms

    def is_set(self) -> bool:
        return self._clock.now >= self._end_ms

    def wait(self, timeout: float | None = None) -> bool:
        self._clock.now += 1000 * (timeout or 0)
        return self.is_set()


@dataclass
class SimulatedLink:
    """An RTU line: bytes take their time, replies come after a turn-around."""

    clock: SimulatedClock
    answer: Answer
    turnaround_ms: float = 20.0
    byte_ms: float = 10 / 9.6
    connections: int = 1
    place: str = "/dev/none"
    note: str = ""
    asked: list[tuple[float, int, bytes]] = field(default_factory=list)
    """(when, unit, PDU)"""
    _reply: bytes = b""
    _at_ms: float = 0.0

    def open(self) -> None:
        """It always is."""

    def close(self) -> None:
        """It never is."""

    def send(self, payload: bytes) -> None:
        assert crc16(payload[:-2]) == payload[-2:]
        self.asked.append((self.clock.now, payload[0], payload[1:-2]))
        self.clock.now += (len(payload) + 3.5) * self.byte_ms
        reply = self.answer(payload[0], payload[1:-2], self.clock.now)
        self._reply = b"" if reply is None else rtu_frame(payload[0], reply)
        self._at_ms = self.clock.now + self.turnaround_ms + len(self._reply) * self.byte_ms

    def receive(self, timeout_ms: int) -> bytes:
        if self._reply and self._at_ms <= self.clock.now + timeout_ms:
            self.clock.now = max(self.clock.now, self._at_ms)
            taken, self._reply = self._reply, b""
            return taken
        self.clock.now += timeout_ms
        return b""

    def flush(self) -> bytes:
        return b""

    def wire_ms(self, count: int) -> int:
        return int(count * self.byte_ms) + 1


class SimulatedTcp(SimulatedLink):
    """Modbus TCP to something near by: a reply comes after 0.2 ms."""

    def send(self, payload: bytes) -> None:
        unit, pdu = payload[6], payload[7:]
        self.asked.append((self.clock.now, unit, pdu))
        reply = self.answer(unit, pdu, self.clock.now)
        self._reply = b"" if reply is None else payload[:4] + struct.pack(">HB", len(reply) + 1, unit) + reply
        self._at_ms = self.clock.now + 0.2

    def wire_ms(self, count: int) -> int:
        return 0


class SimulatedBus:
    """The real runner of a bus on a simulated line, and what it told."""

    def __init__(self, bus: Bus, answer: Answer) -> None:
        self.clock = SimulatedClock()
        link = SimulatedTcp if isinstance(bus.link, Tcp) else SimulatedLink
        self.link = link(self.clock, answer)
        self.readings: list[Reading] = []
        self.happenings: list[Happening] = []
        self.runner = BusRunner(bus, self.clock, self.readings.extend, self.happenings.extend, 1, self.link)

    def run(self, until_ms: float) -> None:
        """Lets time pass to this instant."""
        self.runner.run(SimulatedStop(self.clock, until_ms))

    def of(self, series: int) -> list[Reading]:
        return [reading for reading in self.readings if reading.series == series]
