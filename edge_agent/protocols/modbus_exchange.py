"""Pure. One Modbus exchange: a request goes out, and a reply that fits it in every field comes, or a failure. RTU, ASCII, TCP.

What else comes on a serial line is not thrown away unread: late replies pay what is owed, and an answer that nobody owes is a sign
of a second device with the same address (modbus_debts.py).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass

from edge_agent.model.points import Framing
from edge_agent.protocols.modbus_ascii import CHARACTER_MS, AsciiWindow, ascii_frame, ascii_replies
from edge_agent.protocols.modbus_debts import Memory, is_of_gateway
from edge_agent.protocols.modbus_frames import Expected, RtuWindow, TcpStream, Unreadable, rtu_frame, rtu_replies, tcp_frame
from edge_agent.protocols.session import (
    Action,
    Flush,
    Garbled,
    Pause,
    Receive,
    Refused,
    Reopen,
    Send,
    Session,
    Silence,
    TwoAnswers,
)

_IDENTIFICATION_BYTES = 120
"""What the reply to a question for the identification may take on the wire, about."""
_HEARD_BYTES = 512
"""A line that babbles is not listened to any further."""
_Window = RtuWindow | AsciiWindow


@dataclass(slots=True)
class Tally:
    """Counts since start."""

    requests: int = 0
    timeouts: int = 0
    crc_errors: int = 0
    exceptions: int = 0
    retries: int = 0


class Exchanges:
    """Those of one line or connection, one after the other, and what has to be remembered from one to the next."""

    def __init__(self, framing: Framing, idle_ms: int, listen_ms: int, first_transaction: int) -> None:
        self.tally = Tally()
        self.memory = Memory()
        self._framing = framing
        self._idle_ms = idle_ms
        self._listen_ms = listen_ms
        self._transaction = first_transaction - 1
        self._stream = TcpStream()
        self._answered = (-1, 0, b"")
        """Over TCP, the newest answer: transaction, unit, PDU."""
        self._line_echoes = False
        """An adapter gives back what is sent: the first copy of a request is never its answer."""

    def connected(self) -> None:
        """Nothing of before can still come in the middle of a frame."""
        self._stream.clear()

    def hear(self) -> Session[None]:
        """Takes note of what has come unasked. Over TCP that is part of a stream, and comes in its turn."""
        if self._framing == "tcp":
            return
        if stale := (yield Flush()):
            self.memory.overheard(self._replies(stale))

    def exchange(self, unit: int, request: bytes, expected: Expected, timeout_ms: int, pause_ms: int) -> Session[bytes]:
        """The reply's PDU. Raises Silence, Garbled, Refused."""
        self.tally.requests += 1
        if pause_ms:
            yield Pause(pause_ms)
        memory, shape = self.memory, expected.shape
        memory.asked(unit, shape)
        try:
            if self._framing == "tcp":
                pdu = yield from self._over_tcp(unit, request, expected, timeout_ms)
            else:
                pdu = yield from self._over_line(unit, request, expected, timeout_ms)
        except Silence as silence:
            if silence.is_early:
                memory.given_up(unit, shape)
            else:
                memory.missed(unit, shape)
            self.tally.timeouts += 1
            raise
        except (Garbled, GeneratorExit):  # the latter: the link went in the middle, and the reply may come all the same
            memory.given_up(unit, shape)
            raise
        is_exception = pdu[0] == expected.exception
        self.tally.exceptions += is_exception
        if is_of_gateway(pdu):
            memory.given_up(unit, shape)
        else:
            memory.answered(unit, shape, pdu)
        if memory.doubts.is_doubted(unit):
            raise TwoAnswers(pdu)
        if is_exception:
            raise Refused(pdu[1])
        return pdu

    def _over_line(self, unit: int, request: bytes, expected: Expected, timeout_ms: int) -> Session[bytes]:
        yield from self.hear()
        window = self._window(unit, request, expected)
        yield self._sending(unit, request, expected, timeout_ms)
        is_own_answer = expected.is_repeated_by(request) and not self._line_echoes
        pdu: bytes | None = None
        while chunk := (yield self._receiving(window, is_ended=bool(window.mismatches or (window.repeats and is_own_answer)))):
            pdu = window.feed(chunk)
            if pdu is not None:
                break
        if not expected.is_repeated_by(request) and (pdu is not None or window.repeats):
            self._line_echoes = window.repeats > 0
        if pdu is None and window.repeats and is_own_answer:
            pdu = request
        if pdu is not None and not is_of_gateway(pdu):
            yield from self._listen(unit, window, pdu)
        beside = [reply for reply in self._replies(window.came) if reply[0] != unit or not expected.shape.fits(reply[1])]
        self.memory.overheard(beside)
        if pdu is None:
            self.tally.crc_errors += window.mismatches
            raise Garbled(window.came) if window.came else Silence(is_early=bool(window.mismatches or window.repeats))
        return pdu

    def _listen(self, unit: int, window: _Window, pdu: bytes) -> Generator[Action, bytes, None]:
        """Hears whether a second, different answer follows, where that has to be feared. Raises TwoAnswers."""
        doubts = self.memory.doubts
        is_owing = self.memory.debts.includes_function(unit, pdu[0] & 0x7F)  # two answers may be two questions'
        is_suspected = doubts.is_suspected(unit)
        is_listened = not is_owing and (is_suspected or doubts.is_listened(unit))
        listening = Receive() if is_suspected else Receive(self._listen_ms, least_ms=self._listen_ms)
        chunk, heard = window.left, 0
        while chunk or (is_listened and heard < _HEARD_BYTES and (chunk := (yield listening))):
            heard += len(chunk)
            second = window.feed(chunk)
            if second is not None and second != pdu and not is_owing and not is_of_gateway(second):
                if is_suspected:
                    raise Garbled(window.came)
                doubts.contradicted(unit)
                raise TwoAnswers(window.came)
            chunk = window.left
        if not is_owing:
            doubts.passed(unit, self._listen_ms)
            doubts.heard_out(unit)

    def _replies(self, stream: bytes) -> list[tuple[int, bytes]]:
        if self._framing == "ascii":
            return ascii_replies(stream, self.memory.shapes)
        return rtu_replies(stream, self.memory.shapes)

    def _window(self, unit: int, request: bytes, expected: Expected) -> _Window:
        if self._framing == "ascii":
            return AsciiWindow(unit, expected, ascii_frame(unit, request))
        return RtuWindow(unit, expected, rtu_frame(unit, request))

    def _sending(self, unit: int, request: bytes, expected: Expected, timeout_ms: int) -> Send:
        length = expected.length or _IDENTIFICATION_BYTES
        if self._framing == "ascii":
            return Send(ascii_frame(unit, request), timeout_ms, 2 * (length + 2) + 3)
        return Send(rtu_frame(unit, request), timeout_ms, length + 3)

    def _receiving(self, window: _Window, *, is_ended: bool) -> Receive:
        if window.has_begun:
            return Receive(least_ms=CHARACTER_MS)
        return Receive(self._idle_ms if is_ended else None)

    def _over_tcp(self, unit: int, request: bytes, expected: Expected, timeout_ms: int) -> Session[bytes]:
        self._transaction = (self._transaction + 1) & 0xFFFF
        yield Send(tcp_frame(self._transaction, unit, request), timeout_ms)
        while chunk := (yield Receive()):
            try:
                frames = self._stream.feed(chunk)
            except Unreadable:
                yield from self._lost(chunk)
            found = list(self._own(frames, unit))
            if any(not expected.accepts(pdu) for pdu in found[:1]):
                yield from self._lost(chunk)
            if found:
                return self._single(unit, found, chunk)
        raise Silence

    def _own(self, frames: Iterable[tuple[int, int, bytes]], unit: int) -> Iterator[bytes]:
        """What is marked as an answer to the newest question, first come first. A unit that is not the one asked gives b""."""
        for transaction, from_unit, pdu in frames:
            if (transaction, from_unit) == self._answered[:2] and self._is_other(pdu, self._answered[2]):
                self.memory.doubts.contradicted(from_unit)
            if transaction != self._transaction:
                continue
            yield pdu if from_unit == unit else b""

    def _single(self, unit: int, found: Sequence[bytes], chunk: bytes) -> bytes:
        """The answer, where no other one came with it. Raises TwoAnswers."""
        if any(self._is_other(pdu, found[0]) for pdu in found[1:]):
            self.memory.doubts.contradicted(unit)
            raise TwoAnswers(chunk)
        self.memory.doubts.heard_out(unit)
        self._answered = (self._transaction, unit, found[0])
        return found[0]

    @staticmethod
    def _is_other(pdu: bytes, answer: bytes) -> bool:
        """True for a second answer that only another device can have given."""
        return bool(pdu) and pdu != answer and not is_of_gateway(pdu) and not is_of_gateway(answer)

    def _lost(self, chunk: bytes) -> Generator[Action, bytes, None]:
        self._stream.clear()
        yield Reopen()
        raise Garbled(chunk)
