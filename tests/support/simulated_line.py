"""Pure. A Modbus RTU line in simulated time, with an instrument whose replies come late, damaged, twice, among noise, or not.

The instrument works its requests off in order, as real ones do; what it answers for a register is fixed, so that every wrong
value is seen.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass

from edge_agent.protocols.session import Action, Flush, Pause, Receive, Send, Session
from examples.station_sim.modbus import crc16


@dataclass(frozen=True)
class Faults:
    """Share of replies (0-1) that suffer each fault."""

    lost: float = 0.0
    late: float = 0.0
    damaged: float = 0.0
    doubled: float = 0.0
    noise: float = 0.0
    foreign: float = 0.0
    echo: float = 0.0
    busy: float = 0.0


def register(address: int) -> int:
    """What the instrument holds."""
    return (address * 40503 + 7) & 0xFFFF


class SimulatedLine:
    """Drives sessions in simulated time."""

    def __init__(self, faults: Faults, seed: int, answer: Callable[[int], int] = register) -> None:
        self.now_ms = 0.0
        self.damage_unseen = 0
        """Damaged frames that no check can tell: counted apart."""
        self._faults = faults
        self._random = random.Random(seed)
        self._answer = answer
        self._coming: list[tuple[float, bytes]] = []
        self._free_ms = 0.0
        self._deadline_ms = 0.0

    def run(self, session: Session[tuple[int, ...]]) -> tuple[int, ...]:
        """The session's result; raises what it raises."""
        answer = b""
        while True:
            try:
                action = session.send(answer) if answer else next(session)
            except StopIteration as end:
                return tuple(end.value)
            answer = self._do(action)

    def _do(self, action: Action) -> bytes:
        match action:
            case Flush():
                return self._take()
            case Pause():
                self.now_ms += action.pause_ms
            case Send():
                self.now_ms += 10
                self._deadline_ms = self.now_ms + action.window_ms
                self._serve(action.payload)
            case Receive():
                return self._receive(action)
        return b""

    def _receive(self, action: Receive) -> bytes:
        until_ms = self._deadline_ms if action.idle_ms is None else min(self._deadline_ms, self.now_ms + action.idle_ms)
        if self._coming and self._coming[0][0] <= until_ms:
            self.now_ms = max(self.now_ms, self._coming[0][0])
            return self._take()
        self.now_ms = until_ms
        return b""

    def _take(self) -> bytes:
        taken = b""
        while self._coming and self._coming[0][0] <= self.now_ms:
            taken += self._coming.pop(0)[1]
        return taken

    def _serve(self, request: bytes) -> None:
        chance, faults = self._random.random, self._faults
        if chance() < faults.echo:
            self._bring(self.now_ms, request)
        unit, function, address, count = struct.unpack(">BBHH", request[:6])
        if chance() < faults.foreign:
            self._bring(self.now_ms + 1, self._framed(bytes((unit + 1, function, 2 * count)) + bytes(2 * count)))
        if chance() < faults.lost:
            return
        delay_ms = self._random.uniform(1000, 9000) if chance() < faults.late else self._random.uniform(5, 400)
        at_ms = max(self._free_ms, self.now_ms + delay_ms)
        reply = bytes((unit, function | 0x80, 6)) if chance() < faults.busy else self._reply(unit, function, address, count)
        frame = self._framed(reply)
        if chance() < faults.damaged:
            frame = self._damage(frame)
        if chance() < faults.noise:
            self._bring(at_ms - 1, self._random.randbytes(self._random.randint(1, 6)))
        cut = self._random.randint(0, len(frame) - 1)
        self._free_ms = at_ms + self._random.uniform(0, 40)
        self._bring(at_ms, frame[:cut])
        self._bring(self._free_ms, frame[cut:] + (frame if chance() < faults.doubled else b""))

    def _reply(self, unit: int, function: int, address: int, count: int) -> bytes:
        words = [self._answer(address + i) for i in range(count)]
        return bytes((unit, function, 2 * count)) + struct.pack(f">{count}H", *words)

    def _framed(self, body: bytes) -> bytes:
        return body + crc16(body)

    def _damage(self, frame: bytes) -> bytes:
        hurt = bytearray(frame)
        for _ in range(self._random.randint(1, 3)):
            hurt[self._random.randrange(len(hurt))] ^= self._random.randint(1, 255)
        self.damage_unseen += bytes(hurt) != frame and crc16(bytes(hurt[:-2])) == hurt[-2:]
        return bytes(hurt)

    def _bring(self, at_ms: float, chunk: bytes) -> None:
        if chunk:
            self._coming.append((at_ms, chunk))
            self._coming.sort(key=lambda item: item[0])
