"""Pure. What happens to a question and its answer: faults drawn from one Random, alone or two at once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random

from tests.bus_faults.instrument import Instrument
from tests.bus_faults.line import Connection, Line, Question

SERIAL = {
    "late": 16, "dropped": 6, "lost": 4, "flipped": 14, "truncated": 8, "doubled": 8, "merged": 6, "split": 8, "noise-before": 8,
    "noise-after": 4, "break": 3, "echo": 4, "foreign": 6, "other-function": 4, "other-count": 4, "exception": 6, "gateway": 2,
}  # fmt: skip
NETWORK = {
    "late": 16, "dropped": 6, "lost": 4, "flipped": 5, "truncated": 6, "doubled": 8, "merged": 6, "split": 10, "garbage": 3,
    "other-transaction": 6, "foreign": 6, "other-function": 6, "other-count": 6, "wrong-length": 4, "wrong-protocol": 3,
    "exception": 6, "gateway": 8, "closed-before": 3, "closed-after": 4, "closed-inside": 3,
}  # fmt: skip
STREAM = {**SERIAL, "closed-before": 2, "closed-after": 3, "closed-inside": 2}
_REPEATED = (5, 6, 22)
"""Writes answered by the question itself. An adapter that echoes once in a while makes an answer of each that nobody can tell from
the device's: these are planted on lines alone that echo always."""
_UNASKED_COUNT = 77
"""Nobody asks for so many registers: a reply of this count is told by it."""


@dataclass
class Faults:
    """One line's faults. rate: share of questions that meet one."""

    chance: Random
    kinds: dict[str, int]
    rate: float
    echoes: bool = False
    """The adapter gives back everything."""
    closes: bool = False
    """The gateway ends the connection behind each answer."""
    latest_ms: float = 24_000.0
    """No answer comes later than that."""
    mixes: bool = False
    """The gateway hands on whatever comes from its serial side under the newest number."""
    planted: Counter[str] = field(default_factory=Counter)

    def __call__(self, line: Line, question: Question) -> None:
        """Serves one question."""
        drawn = self._draw()
        if question.pdu[0] in _REPEATED:
            drawn = [fault for fault in drawn if fault != "echo"]
        line.faulty += bool(drawn or self.echoes or self.closes)
        self.planted.update(drawn)
        if self.echoes or "echo" in drawn:
            line.give_back(question.raw)
        if "closed-before" in drawn:
            self._close(line, line.clock.now)
            return
        if "dropped" in drawn:
            return
        for instrument in line.instruments:
            if instrument.unit == question.unit:
                self._answer(line, question, instrument, drawn)

    def _draw(self) -> list[str]:
        if self.chance.random() >= self.rate:
            return []
        count = 2 if self.chance.random() < 0.2 else 1
        return self.chance.choices(list(self.kinds), list(self.kinds.values()), k=count)

    def _answer(self, line: Line, question: Question, instrument: Instrument, drawn: list[str]) -> None:
        chance = self.chance
        pdu = instrument.reply(question.pdu)
        late_ms = 0.0
        if "late" in drawn:
            most_ms = chance.choice((2 * line.timeout_ms, 2 * line.timeout_ms, 12_000, self.latest_ms))
            late_ms = chance.uniform(0.8 * line.timeout_ms, most_ms)
        if "exception" in drawn and pdu is not None:
            pdu = bytes((question.pdu[0] | 0x80, chance.randint(1, 6)))
        at_ms = instrument.ready_ms(line.clock.now, late_ms, chance)
        if "gateway" in drawn:
            code = chance.choice((10, 11))
            line.put(
                line.clock.now + chance.uniform(1, line.timeout_ms),
                b"",
                line.framed(question, bytes((question.pdu[0] | 0x80, code))),
            )
            if at_ms is None or chance.random() < 0.4:
                return
            at_ms = instrument.ready_ms(line.clock.now, chance.uniform(0.5 * line.timeout_ms, 3 * line.timeout_ms), chance)
        if pdu is None or at_ms is None or "lost" in drawn:
            return
        instrument.answered[question.number] = pdu
        if self.mixes and isinstance(line, Connection):
            line.held.append((at_ms, question, pdu, drawn))
            return
        self._put(line, question, at_ms, pdu, drawn)

    def put_held(self, line: Line, until_ms: float) -> None:
        """A gateway that mixes numbers hands on what comes from its serial side under the newest one."""
        assert isinstance(line, Connection)
        due = [item for item in line.held if item[0] <= until_ms]
        line.held = [item for item in line.held if item[0] > until_ms]
        for at_ms, question, pdu, drawn in due:
            assert line.last is not None
            newest = Question(0, line.last.transaction, question.unit, question.pdu, 0, b"")
            self._put(line, newest, at_ms, pdu, drawn)

    def _put(self, line: Line, question: Question, at_ms: float, pdu: bytes, drawn: list[str]) -> None:
        chance = self.chance
        made = line.framed(question, pdu)
        data, gaps = made, None
        for fault in drawn:
            match fault:
                case "flipped":
                    data = self._flipped(data)
                case "truncated":
                    data = data[: chance.randrange(len(data) + 1)]
                case "doubled":
                    data = data + data
                    if isinstance(line, Connection) and chance.random() < 0.5:
                        gaps = {len(made): chance.uniform(0, 8)}
                case "merged":
                    data = self._other(line, question, pdu, "foreign") + data + self._noise()
                case "noise-before" | "garbage":
                    data = self._noise() + data
                case "break":
                    data = b"\x00" + data
                case "noise-after":
                    data += self._noise()
                case "foreign" | "other-function" | "other-count" | "other-transaction" | "wrong-length" | "wrong-protocol":
                    other = self._other(line, question, pdu, fault)
                    line.put(at_ms - len(other) * line.byte_ms - 5 * line.byte_ms, b"", other)
                    if isinstance(line, Connection) and chance.random() < 0.5:
                        return
                case "split":
                    gaps = self._gaps(line, len(data))
        if "closed-inside" in drawn:
            data = data[: chance.randrange(len(data) + 1)]
        if gaps:
            gaps = {i: ms for i, ms in gaps.items() if i < len(data)}
        frame = line.put(at_ms, made, data, gaps)
        if self.closes or "closed-after" in drawn or "closed-inside" in drawn:
            self._close(line, (frame.times_ms[-1] if frame.times_ms else at_ms) + chance.choice((0.0, 0.5, 40.0)))

    def _close(self, line: Line, at_ms: float) -> None:
        if isinstance(line, Connection):
            line.ends_ms = at_ms

    def _flipped(self, data: bytes) -> bytes:
        hurt = bytearray(data)
        for _ in range(self.chance.randint(1, 3)):
            if hurt:
                hurt[self.chance.randrange(len(hurt))] ^= 1 << self.chance.randrange(8)
        return bytes(hurt)

    def _noise(self) -> bytes:
        return self.chance.randbytes(self.chance.randint(1, 8))

    def _gaps(self, line: Line, length: int) -> dict[int, float]:
        most_ms = 900.0 if line.framing == "ascii" and self.chance.random() < 0.2 else 30.0
        return {self.chance.randrange(1, length + 2): self.chance.uniform(0, most_ms) for _ in range(self.chance.randint(1, 4))}

    def _other(self, line: Line, question: Question, pdu: bytes, fault: str) -> bytes:
        """A whole frame that is no answer to the question."""
        chance = self.chance
        like = pdu[:2] + chance.randbytes(len(pdu) - 2)
        match fault:
            case "other-function":
                return line.framed(question, bytes((chance.choice((7, 17, 20, 24)),)) + like[1:])
            case "other-count":
                return line.framed(question, bytes((question.pdu[0], 2 * _UNASKED_COUNT)) + chance.randbytes(2 * _UNASKED_COUNT))
            case "other-transaction":
                number = (question.transaction + chance.choice((-2, -1, 1, 2, 256, 32768))) & 0xFFFF
                return line.framed(Question(0, number, question.unit, b"", 0, b""), like)
            case "wrong-length" | "wrong-protocol":
                frame = bytearray(line.framed(question, like))
                at = 5 if fault == "wrong-length" else 3
                frame[at] = (frame[at] + chance.choice((1, 2, 255, 254))) & 0xFF
                return bytes(frame)
        return line.framed(question, like, unit=chance.choice((200, 201, 202)))
