"""Pure. Instruments whose every word says whose it is, where it stands and in answer to which question: nothing foreign, late or
stale can pass for right."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from random import Random

_MOST_WAITING = 16
"""A device with so many questions does not take another one."""
_WRITES = {5: 5, 6: 5, 15: 5, 16: 5, 22: 7}
"""By function: how many bytes of a write its answer repeats."""
_STEP = 40503
"""Odd: the words of one register differ over 65,536 questions."""


def _mixed(number: int) -> int:
    number = (number ^ (number >> 16)) * 0x45D9F3B & 0xFFFFFFFF
    number = (number ^ (number >> 16)) * 0x45D9F3B & 0xFFFFFFFF
    return number ^ (number >> 16)


@dataclass
class Instrument:
    """One device. It works its questions off in order."""

    unit: int
    place: int
    """Tells two devices with one address apart."""
    turnaround_ms: tuple[float, float]
    oldest_ms: float
    """An answer that would come later after its question does not come at all."""
    is_mute: bool = False
    """Says nothing to questions for its identification."""
    free_ms: float = 0.0
    waiting_ms: list[float] = field(default_factory=list)
    """When the answers come that have not come yet."""
    asked: int = 0
    answered: dict[int, bytes] = field(default_factory=dict)
    """By the number of the question on the line: the PDU that answers it."""

    def word(self, function: int, address: int) -> int:
        """What a register holds at this question."""
        base = _mixed(self.place << 28 | self.unit << 20 | function << 17 | address)
        return (base + _STEP * self.asked) & 0xFFFF

    def bit(self, function: int, address: int) -> int:
        """What a coil or input says at this question."""
        return _mixed((self.place << 28 | self.unit << 20 | function << 17 | address) + 7919 * self.asked) & 1

    def reply(self, pdu: bytes) -> bytes | None:
        """The answer to a question; None: nothing."""
        self.asked += 1
        function = pdu[0]
        if function in _WRITES:
            return pdu[: _WRITES[function]]
        if function not in (1, 2, 3, 4, 23):
            return None if self.is_mute else bytes((function | 0x80, 1))
        address, count = struct.unpack(">HH", pdu[1:5])
        if function > 2:
            return struct.pack(f">BB{count}H", function, 2 * count, *(self.word(function, address + i) for i in range(count)))
        packed = bytearray((count + 7) // 8)
        for i in range(count):
            packed[i // 8] |= self.bit(function, address + i) << i % 8
        return bytes((function, len(packed))) + bytes(packed)

    def ready_ms(self, now_ms: float, late_ms: float, chance: Random) -> float | None:
        """When the answer to a question of now comes; None: never."""
        self.waiting_ms = [at for at in self.waiting_ms if at > now_ms]
        at_ms = max(now_ms, self.free_ms) + chance.uniform(*self.turnaround_ms) + late_ms
        if at_ms - now_ms > self.oldest_ms or len(self.waiting_ms) >= _MOST_WAITING:
            return None
        self.free_ms = at_ms
        self.waiting_ms.append(at_ms)
        return at_ms
