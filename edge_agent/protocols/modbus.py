"""Pure. Modbus sessions: reads with their checks and repeats, writes, device identification. RTU, ASCII, TCP, RTU over TCP.

MODBUS Application Protocol V1.1b3. What is asked stands in modbus_pdus.py, frames in modbus_frames.py and modbus_ascii.py; here is
what is accepted as a reply, and what happens after a failure. On a serial line a reply carries no number, so a reply that comes
later than its window could be taken for the answer to the next request. Therefore what is owed is remembered (modbus_debts.py), and
before a device is asked for anything of the same function and length again, a question of another length goes first. A device of
which nothing else may be asked is asked for its identification, which every device answers or refuses; one that says nothing to
that is left alone for a while. TCP replies carry numbers, but cheap gateways hand on a serial reply that comes late under the
newest one: so the same is done there.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

from edge_agent.model.points import Framing
from edge_agent.protocols.modbus_ascii import CHARACTER_MS, AsciiWindow, ascii_frame
from edge_agent.protocols.modbus_debts import Debts, Doubts, shape_of
from edge_agent.protocols.modbus_frames import Expected, RtuWindow, TcpStream, Unreadable, rtu_frame, tcp_frame
from edge_agent.protocols.modbus_pdus import (
    Span,
    mask_request,
    read_expected,
    read_request,
    read_words,
    read_write_expected,
    read_write_request,
    read_write_words,
    write_expected,
    write_request,
)
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

__all__ = [
    "CONFIGURATION_CODES",
    "Ask",
    "Master",
    "Span",
    "Tally",
    "mask_request",
    "read_expected",
    "read_request",
    "read_words",
    "write_expected",
    "write_request",
]

CONFIGURATION_CODES = frozenset((1, 2, 3))
"""Exceptions that asking again cannot change: illegal function, address, value."""
_LATER_CODES = frozenset((5, 6))
_GATEWAY_CODES = frozenset((10, 11))
"""Said by a gateway, not by the device: its own answer may still come."""
_BUSY_PAUSE_MS = 200
_BUSY_REPEATS = 3
_SETTLING_QUESTIONS = 3
_REST_MS = 10_000
"""After so long nothing is feared of a device of which nothing else may be read."""
_IDENTIFY = b"\x2b\x0e\x01"
_IDENTIFICATION_BYTES = 120
"""What the reply to it may take on the wire, about."""
_MAX_PARTS = 8
_HEARD_BYTES = 512
"""A line that babbles is not listened to any further."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One read of one device. retries: how often it is asked again when nothing or nonsense comes."""

    unit: int
    span: Span
    timeout_ms: int = 1000
    pause_ms: int = 0
    retries: int = 1
    others: tuple[Span, ...] = ()
    """What else may be read of this device."""
    is_apart: bool = False
    """Reading the span clears something: no part of it may be read in passing."""
    rested_ms: int = 0
    """For so long nothing was said to the device."""


@dataclass(slots=True)
class Tally:
    """Counts since start."""

    requests: int = 0
    timeouts: int = 0
    crc_errors: int = 0
    exceptions: int = 0
    retries: int = 0


class Master:
    """The asking side of one line or connection: transaction numbers, what is owed, counts. Not shared between threads."""

    def __init__(self, framing: Framing, idle_ms: int = 50, first_transaction: int = 1, listen_ms: int = 120) -> None:
        """idle_ms: silence after which a damaged reply is given up before its window ends. listen_ms: how long the line is listened
        to behind the first answers of a device, so that a second one with the same address is heard."""
        self.tally = Tally()
        self._framing = framing
        self._idle_ms = idle_ms
        self._listen_ms = listen_ms
        self._transaction = first_transaction - 1
        self._stream = TcpStream()
        self._debts = Debts()
        self._doubts = Doubts()
        self._unheard: set[int] = set()
        """Units that have said nothing to a question for their identification, perhaps because they said nothing at all."""
        self._mute: set[int] = set()
        """Units that answer, but never that."""
        self._line_echoes = False
        """An adapter gives back what is sent: the first copy of a request is never its answer."""

    def connected(self) -> None:
        """To be called after the link was opened: nothing of before can still come in the middle of a frame."""
        self._stream.clear()

    def rested(self, unit: int) -> None:
        """To be called when a device was left alone for half a minute: of what it owes, the newest alone is still feared."""
        self._debts.rested(unit)

    def read(self, ask: Ask) -> Session[tuple[int, ...]]:
        """The words of a span. Raises Silence, Garbled, Refused; LinkDown comes from the link."""
        pdu = yield from self._repeated(ask)
        return read_words(ask.span, pdu)

    def read_write(
        self, unit: int, span: Span, address: int, words: Sequence[int], timeout_ms: int, pause_ms: int = 0
    ) -> Session[tuple[int, ...]]:
        """Writes registers, then reads holding registers, in one request (function 23). Never repeated. Raises as `read`."""
        request = read_write_request(span, address, words)
        pdu = yield from self._exchange(unit, request, read_write_expected(span), timeout_ms, pause_ms)
        return read_write_words(span, pdu)

    def write(self, unit: int, request: bytes, timeout_ms: int, pause_ms: int = 0) -> Session[None]:
        """Sends a write (`write_request`, `mask_request`) once. Raises as `read`.

        Never repeated: after a failure nobody knows whether the device took it; that is for the caller to find out by reading.
        """
        yield from self._exchange(unit, request, write_expected(request), timeout_ms, pause_ms)

    def ask(self, unit: int, request: bytes, expected: Expected, timeout_ms: int, pause_ms: int = 0) -> Session[bytes]:
        """The reply to any request, sent once. Raises as `read`."""
        return (yield from self._exchange(unit, request, expected, timeout_ms, pause_ms))

    def identify(self, unit: int, timeout_ms: int) -> Session[dict[int, str]]:
        """Texts of device identification, function 43/14: 0 vendor, 1 product, 2 revision. Raises as `read`."""
        texts: dict[int, str] = {}
        first = 0
        for _ in range(_MAX_PARTS):
            pdu = yield from self._exchange(unit, _IDENTIFY + bytes((first,)), Expected(_IDENTIFY, 0), timeout_ms, 0)
            texts.update(_objects(pdu))
            if pdu[4] != 0xFF or pdu[5] <= first:
                break
            first = pdu[5]
        return texts

    # --- repeats, and what is owed

    def _repeated(self, ask: Ask) -> Session[bytes]:
        request, expected = read_request(ask.span), read_expected(ask.span)
        failures = repeats = 0
        while True:
            try:
                if self._debts.any(ask.unit):
                    yield from self._settle(ask, 0 if failures + repeats else ask.rested_ms)
                pdu = yield from self._exchange(ask.unit, request, expected, ask.timeout_ms, ask.pause_ms)
                if ask.unit in self._unheard:
                    self._unheard.discard(ask.unit)
                    self._mute.add(ask.unit)
                return pdu
            except (Silence, Garbled):
                failures += 1
                if failures > ask.retries:
                    raise
            except Refused as refused:
                failures += refused.code in _GATEWAY_CODES
                repeats += refused.code in _LATER_CODES
                if failures > ask.retries:
                    raise Silence from refused
                if refused.code not in _LATER_CODES | _GATEWAY_CODES or repeats > _BUSY_REPEATS:
                    raise
                yield Pause(_BUSY_PAUSE_MS)
            self.tally.retries += 1

    def _settle(self, ask: Ask, rested_ms: int) -> Session[None]:
        """Makes sure that no reply is owed that could be taken for the one wanted. Raises Silence where that cannot be had.

        rested_ms: for so long nothing was said to the device.
        """
        wanted = shape_of(read_expected(ask.span))
        other = _alternative(ask)
        for _ in range(_SETTLING_QUESTIONS):
            if not self._debts.includes(ask.unit, wanted):
                return
            if other is None:
                yield from self._settle_alone(ask, rested_ms)
                continue
            try:
                yield from self._exchange(ask.unit, read_request(other), read_expected(other), ask.timeout_ms, ask.pause_ms)
            except Refused as refused:  # an answer as good as any, where the device itself says so
                if refused.code in _GATEWAY_CODES:
                    raise
        if self._debts.includes(ask.unit, wanted):
            raise Silence

    def _settle_alone(self, ask: Ask, rested_ms: int) -> Session[None]:
        """For a device of which nothing else may be read."""
        if ask.unit in self._mute or rested_ms >= _REST_MS:
            self._debts.forgive(ask.unit)
            if rested_ms < ask.timeout_ms:
                yield Pause(ask.timeout_ms - rested_ms)
            return
        timeouts, exceptions = self.tally.timeouts, self.tally.exceptions
        try:
            yield from self._exchange(ask.unit, _IDENTIFY + b"\0", Expected(_IDENTIFY, 0), ask.timeout_ms, ask.pause_ms)
        except Refused as refused:
            if refused.code in _GATEWAY_CODES:
                raise
            self.tally.exceptions = exceptions  # no fault of the device: few have an identification
        except (Silence, Garbled):  # its window is over, which is rest enough for one that is mute
            self.tally.timeouts = timeouts
            self._debts.forgive(ask.unit)
            self._unheard.add(ask.unit)

    # --- one exchange

    def _exchange(self, unit: int, request: bytes, expected: Expected, timeout_ms: int, pause_ms: int) -> Session[bytes]:
        self.tally.requests += 1
        if pause_ms:
            yield Pause(pause_ms)
        shape = shape_of(expected)
        try:
            if self._framing == "tcp":
                pdu = yield from self._over_tcp(unit, request, expected, timeout_ms)
            else:
                pdu = yield from self._over_line(unit, request, expected, timeout_ms)
        except (
            Silence,
            Garbled,
            GeneratorExit,
        ) as failure:  # closed by its driver: the link is gone, the reply may come all the same
            self._debts.missed(unit, shape)
            self.tally.timeouts += isinstance(failure, Silence)
            raise
        is_exception = pdu[0] == expected.exception
        self.tally.exceptions += is_exception
        if not is_exception:
            self._debts.answered(unit, shape)
        elif pdu[1] in _GATEWAY_CODES:
            self._debts.missed(unit, shape)
        else:
            self._debts.excepted(unit, shape)
        if self._doubts.is_doubted(unit):
            raise TwoAnswers(pdu)
        if is_exception:
            raise Refused(pdu[1])
        return pdu

    def _over_line(self, unit: int, request: bytes, expected: Expected, timeout_ms: int) -> Session[bytes]:
        yield Flush()
        window = self._window(unit, request, expected)
        yield self._sending(unit, request, expected, timeout_ms)
        is_own_answer = expected.accepts(request) and not self._line_echoes
        pdu: bytes | None = None
        while chunk := (yield self._receiving(window, is_ended=bool(window.mismatches or (window.repeats and is_own_answer)))):
            pdu = window.feed(chunk)
            if pdu is not None:
                break
        if not expected.accepts(request) and (pdu is not None or window.repeats):
            self._line_echoes = window.repeats > 0
        if pdu is None and window.repeats and is_own_answer:
            pdu = request
        if pdu is None:
            self.tally.crc_errors += window.mismatches
            raise Garbled(window.came) if window.came else Silence
        yield from self._listen(unit, window, pdu)
        return pdu

    def _listen(self, unit: int, window: RtuWindow | AsciiWindow, pdu: bytes) -> Generator[Action, bytes, None]:
        """Hears whether a second, different answer follows, where that has to be feared. Raises TwoAnswers."""
        if self._debts.any(unit):  # two answers may be two questions'
            return
        is_listened = self._doubts.is_listened(unit)
        chunk, heard = window.left, 0
        while chunk or (
            is_listened and heard < _HEARD_BYTES and (chunk := (yield Receive(self._listen_ms, least_ms=self._listen_ms)))
        ):
            heard += len(chunk)
            second = window.feed(chunk)
            if second is not None and second != pdu:
                self._doubts.contradicted(unit)
                raise TwoAnswers(window.came)
            chunk = window.left
        if is_listened:
            self._doubts.clean(unit)

    def _window(self, unit: int, request: bytes, expected: Expected) -> RtuWindow | AsciiWindow:
        if self._framing == "ascii":
            return AsciiWindow(unit, expected, ascii_frame(unit, request))
        return RtuWindow(unit, expected, rtu_frame(unit, request))

    def _sending(self, unit: int, request: bytes, expected: Expected, timeout_ms: int) -> Send:
        length = expected.length or _IDENTIFICATION_BYTES
        if self._framing == "ascii":
            return Send(ascii_frame(unit, request), timeout_ms, 2 * (length + 2) + 3)
        return Send(rtu_frame(unit, request), timeout_ms, length + 3)

    def _receiving(self, window: RtuWindow | AsciiWindow, *, is_ended: bool) -> Receive:
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
            for transaction, from_unit, pdu in frames:
                if transaction != self._transaction:
                    continue
                if from_unit == unit and expected.accepts(pdu):
                    return pdu
                yield from self._lost(chunk)
        raise Silence

    def _lost(self, chunk: bytes) -> Generator[Action, bytes, None]:
        self._stream.clear()
        yield Reopen()
        raise Garbled(chunk)


def _alternative(ask: Ask) -> Span | None:
    """The shortest span that may be asked of the device and is answered by another length than the one wanted."""
    wanted = shape_of(read_expected(ask.span))
    spans = [
        *(() if ask.is_apart else (replace(ask.span, count=1),)),
        *ask.others,
        *(replace(other, count=1) for other in ask.others),
    ]
    options = [span for span in spans if shape_of(read_expected(span)) != wanted]
    return min(options, key=lambda span: read_expected(span).length, default=None)


def _objects(pdu: bytes) -> dict[int, str]:
    texts, at = {}, 7
    for _ in range(pdu[6]):
        number, length = pdu[at], pdu[at + 1]
        texts[number] = pdu[at + 2 : at + 2 + length].decode("utf-8", "replace")
        at += 2 + length
    return texts
