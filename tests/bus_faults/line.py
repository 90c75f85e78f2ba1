"""Pure. Lines in simulated time, with faults, under the real Driver: a serial one, and a TCP connection to a gateway.

What is on the wire at one time collides: bytes that overlap are garbled. Everything that reaches the asking side behind its last
question is kept in `heard`, every frame that was put on the wire in `frames`: so it can be said afterwards where a value was from.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import Protocol

from edge_agent.model.points import Framing
from edge_agent.protocols.session import LinkDown
from tests.bus_faults import reference
from tests.bus_faults.instrument import Instrument

MS_PER_CHARACTER = 10_000.0
"""Times the speed: ten bits."""


_KEPT_BYTES = 600


@dataclass(eq=False)
class Frame:
    """Bytes on the wire. made: as they were meant."""

    made: bytes
    data: bytearray
    times_ms: list[float]
    """When each byte has arrived."""

    @property
    def is_intact(self) -> bool:
        """False where anything happened to it."""
        return bytes(self.data) == self.made


class SimulatedClock:
    """Time that passes only where somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic_ms(self) -> int:
        return int(self.now)

    def utc_ms(self) -> int:
        return int(self.now)


class NeverStop(threading.Event):
    """Waiting for it lets time pass."""

    def __init__(self, clock: SimulatedClock) -> None:
        super().__init__()
        self._clock = clock

    def is_set(self) -> bool:
        return False

    def wait(self, timeout: float | None = None) -> bool:
        self._clock.now += 1000 * (timeout or 0)
        return False


@dataclass
class Question:
    """One question as it went over the line."""

    number: int
    transaction: int
    unit: int
    pdu: bytes
    sent_ms: float
    raw: bytes


class Server(Protocol):
    """What answers."""

    def __call__(self, line: Line, question: Question) -> None:
        """Puts on the wire what comes of a question."""

    def put_held(self, line: Line, until_ms: float) -> None:
        """Puts on the wire what came from behind a gateway until then."""


@dataclass(eq=False)
class Line:
    """What all lines have. A link for the Driver."""

    clock: SimulatedClock
    framing: Framing
    chance: Random
    instruments: Sequence[Instrument]
    serve: Server
    byte_ms: float
    timeout_ms: float
    connections: int = 1
    place: str = "simulated"
    questions: int = 0
    faulty: int = 0
    """Questions with which at least one fault was planted."""
    heard: bytearray = field(default_factory=bytearray)
    frames: list[Frame] = field(default_factory=list)
    last: Question | None = None
    _coming: list[tuple[float, int, Frame, int, int]] = field(default_factory=list)
    _order: int = 0
    _active_ms: float = -1000.0

    # --- the asking side

    def open(self) -> None:
        """It is."""

    def close(self) -> None:
        """A serial line stays as it is."""

    def wire_ms(self, count: int) -> int:
        return int(count * self.byte_ms) + 1

    def flush(self) -> bytes:
        return self._take(self.clock.now)

    def receive(self, timeout_ms: int) -> bytes:
        until_ms = self.clock.now + timeout_ms
        if self._coming and self._coming[0][0] <= until_ms:
            self.clock.now = max(self.clock.now, self._coming[0][0])
            chunk = self._take(self.clock.now)
            self.heard += chunk
            return chunk
        self.clock.now = until_ms
        return b""

    def send(self, payload: bytes) -> None:
        self._await_silence()
        begun_ms = self.clock.now
        self.clock.now += len(payload) * self.byte_ms
        self._active_ms = self.clock.now
        question = self._asked(payload)
        if self._collides(begun_ms, self.clock.now) and self.chance.random() < 0.8:
            return
        self.serve(self, question)

    def _asked(self, payload: bytes) -> Question:
        self.questions += 1
        if self.framing == "tcp":  # a frame may have begun before the question: half of an old one, and then the answer
            del self.heard[:-_KEPT_BYTES]
        else:
            self.heard.clear()
        if self.framing == "tcp":
            transaction, unit, pdu = int.from_bytes(payload[:2], "big"), payload[6], payload[7:]
        elif self.framing == "ascii":
            body = bytes.fromhex(payload[1:-2].decode())
            transaction, unit, pdu = 0, body[0], body[1:-1]
        else:
            transaction, unit, pdu = 0, payload[0], payload[1:-2]
        self.last = Question(self.questions, transaction, unit, pdu, self.clock.now, payload)
        return self.last

    def _await_silence(self) -> None:
        """As SerialLink does: what comes while the silence is waited for is heard out and thrown away."""
        silence_ms = 3.5 * self.byte_ms
        until_ms = self.clock.now + 1000
        while True:
            self.clock.now = max(self.clock.now, self._active_ms + silence_ms)
            if not self._take(self.clock.now) or self.clock.now > until_ms:
                return

    def _take(self, until_ms: float) -> bytes:
        taken = bytearray()
        while self._coming and self._coming[0][0] <= until_ms:
            at_ms, _, frame, first, end = heapq.heappop(self._coming)
            taken += frame.data[first:end]
            self._active_ms = max(self._active_ms, at_ms)
        return bytes(taken)

    def _collides(self, begun_ms: float, end_ms: float) -> bool:
        met = False
        for frame in {id(item[2]): item[2] for item in self._coming}.values():
            met |= self._garble(frame, begun_ms, end_ms)
        return met

    def _garble(self, frame: Frame, begun_ms: float, end_ms: float) -> bool:
        hit = [i for i, at in enumerate(frame.times_ms) if begun_ms < at <= end_ms + self.byte_ms]
        for i in hit:
            frame.data[i] &= self.chance.randrange(256)
        return bool(hit)

    # --- the answering side

    def framed(self, question: Question, pdu: bytes, unit: int | None = None) -> bytes:
        """A reply as it goes over this line."""
        unit = question.unit if unit is None else unit
        if self.framing == "ascii":
            return reference.characters(unit, pdu)
        if self.framing == "tcp":
            return reference.tcp(question.transaction, unit, pdu)
        return reference.rtu(unit, pdu)

    def put(self, at_ms: float, made: bytes, data: bytes, gaps: dict[int, float] | None = None) -> Frame:
        """Bytes on the wire from at_ms on. made: as they were meant. gaps: pauses before bytes, by their number; no byte twice."""
        times, now_ms = [], max(at_ms, self.clock.now)
        for i in range(len(data)):
            now_ms += self.byte_ms + (gaps.get(i, 0.0) if gaps else 0.0)
            times.append(now_ms)
        frame = Frame(made, bytearray(data), times)
        if data:
            self._meet(frame)
            self.frames.append(frame)
            cuts = [0, *sorted(gaps or ()), len(data)]
            for first, end in pairwise(cuts):
                if end > first:
                    self._order += 1
                    heapq.heappush(self._coming, (times[end - 1], self._order, frame, first, end))
        return frame

    def give_back(self, raw: bytes) -> None:
        """An adapter's echo: it is there when the question has left."""
        frame = Frame(raw, bytearray(raw), [self.clock.now] * len(raw))
        self.frames.append(frame)
        self._order += 1
        heapq.heappush(self._coming, (self.clock.now, self._order, frame, 0, len(raw)))

    def _meet(self, frame: Frame) -> None:
        """On one pair of wires, what is sent at one time is garbled."""
        begun_ms, end_ms = frame.times_ms[0] - self.byte_ms, frame.times_ms[-1]
        for other in {id(item[2]): item[2] for item in self._coming}.values():
            if other.times_ms[0] - self.byte_ms < end_ms and begun_ms < other.times_ms[-1]:
                first_ms = max(begun_ms, other.times_ms[0] - self.byte_ms)
                last_ms = min(end_ms, other.times_ms[-1])
                self._garble(other, first_ms, last_ms)
                self._garble(frame, first_ms, last_ms)


@dataclass(eq=False)
class Connection(Line):
    """A TCP connection: nothing collides, the other side may end it."""

    quiet_ms: float = 0.0
    """As TcpLink waits for RTU over TCP."""
    is_open: bool = True
    held: list[tuple[float, Question, bytes, list[str]]] = field(default_factory=list)
    """What will come from behind a gateway that mixes numbers: when, to which question, PDU, faults."""
    ends_ms: float | None = None
    """When the other side ends the connection."""

    def open(self) -> None:
        if not self.is_open:
            self.is_open, self.ends_ms = True, None
            self.connections += 1
            self._coming.clear()

    def close(self) -> None:
        self.is_open = False
        self._coming.clear()

    def receive(self, timeout_ms: int) -> bytes:
        if not self.is_open:
            raise LinkDown("not connected")
        self.serve.put_held(self, self.clock.now + timeout_ms)
        ends_ms = self.ends_ms
        due_ms = self._coming[0][0] if self._coming else None
        if ends_ms is not None and ends_ms <= self.clock.now + timeout_ms and (due_ms is None or due_ms > ends_ms):
            self.clock.now = max(self.clock.now, ends_ms)
            self.close()
            raise LinkDown("closed by the other side")
        return super().receive(timeout_ms)

    def send(self, payload: bytes) -> None:
        self.serve.put_held(self, self.clock.now)
        if self.is_open and self.ends_ms is not None and self.ends_ms <= self.clock.now:
            self.close()
        self.open()
        if self.quiet_ms:
            self._await_silence()
        self.serve(self, self._asked(payload))

    def _await_silence(self) -> None:
        while self._coming and self._coming[0][0] <= max(self.clock.now, self._active_ms + self.quiet_ms):
            self.clock.now = max(self.clock.now, self._coming[0][0])
            self._take(self.clock.now)
        self.clock.now = max(self.clock.now, self._active_ms + self.quiet_ms)

    def _meet(self, frame: Frame) -> None:
        """Nothing does."""
