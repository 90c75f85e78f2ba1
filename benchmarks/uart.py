"""Does I/O: a serial line on a pty, in a process of its own, that keeps byte times and observes silence; instruments with faults.

What a master writes begins on the wire when it is seen here, and takes its time; each byte of a reply is handed over when its last
bit would have come. A master that begins less than 3.5 characters after the last byte that it could see has broken the silence.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import select
import struct
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from examples.station_sim.modbus import crc16, rtu_frame

UNITS, BLOCKS, COUNT = (1, 2, 3), (0, 200), 10
"""Each unit is asked for ten holding registers at both addresses: two requests whose replies look alike."""
DEAD = 4
TURNAROUND_S = 0.005
LATE_S = (1.02, 3.4)
FAULTS = ("none", "dead device", "crc errors", "late replies", "foreign replies")
_SHARE = 0.05
_SPIN_S = 0.0003


def register(unit: int, address: int) -> int:
    """What the instruments hold."""
    return (unit * 4001 + address * 13 + 5) & 0xFFFF


def character_s(baudrate: int) -> float:
    """8N1."""
    return 10 / baudrate


def silence_s(baudrate: int) -> float:
    """3.5 characters; 1.75 ms above 19200 (MODBUS over Serial Line V1.02, 2.5.1.1)."""
    return 3.5 * character_s(baudrate) if baudrate <= 19_200 else 0.00175


def bound_s(baudrate: int) -> float:
    """The least time of one exchange: request, turn-around, reply, silence."""
    return (8 + 5 + 2 * COUNT) * character_s(baudrate) + max(TURNAROUND_S, silence_s(baudrate)) + silence_s(baudrate)


@dataclass
class Seen:
    """What the line saw."""

    begun_s: list[float] = field(default_factory=list)
    """Of each request of a living instrument that was answered well."""
    requests: int = 0
    broken: int = 0
    shortest_s: float = 9.0
    """The shortest silence before a request."""


class _Line:
    def __init__(self, near: int, baudrate: int, fault: str) -> None:
        self.seen = Seen()
        self._near, self._fault = near, fault
        self._byte_s, self._silence_s = character_s(baudrate), silence_s(baudrate)
        self._chance = random.Random(7)
        self._last_s = 0.0
        self._coming: list[tuple[float, bytes]] = []
        """(when its last bit has come, byte) in order."""

    def serve(self, stop: Connection) -> None:
        buffer = b""
        while not stop.poll(0):
            chunk = self._wait()
            if chunk:
                now_s = time.perf_counter()
                if not buffer:
                    self._begin(now_s)
                    begun_s = now_s
                buffer += chunk
            if len(buffer) >= 8:
                request, buffer = buffer[:8], b""
                self._answer(request, begun_s)

    def _begin(self, now_s: float) -> None:
        silence = now_s - self._last_s
        self.seen.requests += 1
        self.seen.broken += silence < self._silence_s
        self.seen.shortest_s = min(self.seen.shortest_s, silence)

    def _wait(self) -> bytes:
        """What the master wrote; hands over what is due meanwhile."""
        until_s = min(self._coming[0][0] if self._coming else 9e9, time.perf_counter() + 0.05)
        while (left_s := until_s - time.perf_counter()) > 0:
            if select.select([self._near], [], [], max(0.0, left_s - _SPIN_S))[0]:
                return os.read(self._near, 4096)
        while self._coming and self._coming[0][0] <= time.perf_counter():
            self._last_s = time.perf_counter()  # before the write, which may hand the processor to the master
            os.write(self._near, self._coming.pop(0)[1])
        return b""

    def _answer(self, request: bytes, begun_s: float) -> None:
        sent_s = begun_s + 8 * self._byte_s
        self._last_s = max(self._last_s, sent_s)
        unit, function, address, count = struct.unpack(">BBHH", request[:6])
        if crc16(request[:6]) != request[6:] or unit not in UNITS:
            return
        words = [register(unit, address + i) for i in range(count)]
        frame = rtu_frame(unit, bytes((function, 2 * count)) + struct.pack(f">{count}H", *words))
        at_s, is_hit = sent_s + max(TURNAROUND_S, self._silence_s), self._chance.random() < _SHARE
        if self._fault == "crc errors" and is_hit:
            hurt = bytearray(frame)
            hurt[self._chance.randrange(len(hurt))] ^= self._chance.randint(1, 255)
            frame = bytes(hurt)
        elif self._fault == "late replies" and is_hit:
            at_s = sent_s + self._chance.uniform(*LATE_S)
        elif self._fault == "foreign replies" and is_hit:
            other = unit % 3 + 1, function, address
            if self._chance.random() < 0.5:
                other = unit, 7 - function, address  # the input registers instead of the holding ones
            words = [register(other[0], other[2] + i) ^ 0x5555 for i in range(count)]
            frame = rtu_frame(other[0], bytes((other[1], 2 * count)) + struct.pack(f">{count}H", *words))
        else:
            self.seen.begun_s.append(begun_s)
        step = 1 if self._byte_s > 0.0005 else 4
        at_s = max(at_s, self._coming[-1][0] if self._coming else 0.0)
        for start in range(0, len(frame), step):
            piece = frame[start : start + step]
            self._coming.append((at_s + (start + len(piece)) * self._byte_s, piece))


def _run(near: int, baudrate: int, fault: str, stop: Connection) -> None:
    line = _Line(near, baudrate, fault)
    line.serve(stop)
    stop.recv()
    stop.send(line.seen)


class Uart:
    """A running line; `path` is the port to open."""

    def __init__(self, path: str, ours: Connection) -> None:
        self.path = path
        self._ours = ours

    def end(self) -> Seen:
        """Ends it."""
        self._ours.send(None)
        seen: Seen = self._ours.recv()
        return seen


@contextmanager
def uart(baudrate: int, fault: str) -> Iterator[Uart]:
    """A line for one run."""
    near, far = os.openpty()
    tty.setraw(near)
    tty.setraw(far)
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_run, args=(near, baudrate, fault, theirs))
    process.start()
    try:
        yield Uart(os.ttyname(far), ours)
    finally:
        process.terminate()
        process.join()
        os.close(near)
        os.close(far)
