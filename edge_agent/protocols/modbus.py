"""Pure. Modbus sessions: one read with its checks and retries, and device identification. RTU, TCP, RTU over TCP.

MODBUS Application Protocol V1.1b3. The data of requests and replies are coded by pymodbus; frames, what is accepted as a reply,
and what happens after a failure are here. On an RTU line a reply carries no number, so a reply that comes later than its window
could be taken for the answer to the next request. Therefore a request whose reply is still owed is remembered, and before the
device is asked for anything of the same function and length again, a question of another length goes first: devices answer in
order, so once that is answered nothing older can come. A device of which nothing else may be asked is left alone for a while.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple

from pymodbus.pdu import DecodePDU, bit_message, register_message

from edge_agent.model.points import Framing, Table
from edge_agent.protocols.modbus_frames import Expected, RtuWindow, TcpStream, Unreadable, rtu_frame, tcp_frame
from edge_agent.protocols.session import Action, Flush, Garbled, Pause, Receive, Refused, Reopen, Send, Session, Silence

FUNCTIONS: dict[Table, int] = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
MAX_BITS, MAX_REGISTERS = 2000, 125
CONFIGURATION_CODES = frozenset((1, 2, 3))
"""Exceptions that asking again cannot change: illegal function, address, value."""
MASK_WRITE = 22
_LATER_CODES = frozenset((5, 6))
_GATEWAY_CODES = frozenset((10, 11))
_BUSY_PAUSE_MS = 200
_BUSY_REPEATS = 3
_OWED_KEPT = 32
_SETTLING_QUESTIONS = 3
_IDENTIFICATION = 0x2B
_MAX_PARTS = 8

_READ_REQUESTS = {
    1: bit_message.ReadCoilsRequest,
    2: bit_message.ReadDiscreteInputsRequest,
    3: register_message.ReadHoldingRegistersRequest,
    4: register_message.ReadInputRegistersRequest,
}
_replies = DecodePDU(is_server=False)


@dataclass(frozen=True, slots=True)
class Span:
    """Neighbouring registers or bits of one table."""

    table: Table
    address: int
    count: int

    @property
    def is_bits(self) -> bool:
        """True for coils and discrete inputs."""
        return self.table in ("coil", "discrete")


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


def read_request(span: Span) -> bytes:
    """The PDU that asks for a span. Raises ValueError beyond the protocol's limits."""
    function = FUNCTIONS[span.table]
    if span.address + span.count > 0x10000:
        raise ValueError(f"{span.table} {span.address}+{span.count} goes beyond address 65535")
    return bytes((function,)) + bytes(_READ_REQUESTS[function](address=span.address, count=span.count).encode())


def read_expected(span: Span) -> Expected:
    """The reply that a span implies: function, byte count, data."""
    data = (span.count + 7) // 8 if span.is_bits else 2 * span.count
    return Expected(bytes((FUNCTIONS[span.table], data)), 2 + data)


def read_words(span: Span, pdu: bytes) -> tuple[int, ...]:
    """Registers (0-65535) or bits (0/1) of a reply that `read_expected` accepts."""
    reply = _replies.decode(pdu)
    if reply is None or not read_expected(span).accepts(pdu):
        raise ValueError("no reply to this request")
    if span.is_bits:
        return tuple(int(bit) for bit in reply.bits[: span.count])
    return tuple(reply.registers)


def write_request(function: int, address: int, values: Sequence[int]) -> bytes:
    """The PDU that writes coils (functions 5, 15) or registers (6, 16). Raises ValueError beyond the protocol's limits."""
    bits = [bool(value) for value in values]
    if function in (5, 6) and len(values) != 1:
        raise ValueError(f"function {function} writes one value")
    match function:
        case 5:
            body = bit_message.WriteSingleCoilRequest(address=address, bits=bits).encode()
        case 6:
            body = register_message.WriteSingleRegisterRequest(address=address, registers=list(values)).encode()
        case 15:
            body = bit_message.WriteMultipleCoilsRequest(address=address, bits=bits).encode()
        case 16:
            body = register_message.WriteMultipleRegistersRequest(address=address, registers=list(values)).encode()
        case _:
            raise ValueError(f"function {function} writes nothing")
    return bytes((function,)) + bytes(body)


def mask_request(address: int, mask: int, word: int) -> bytes:
    """The PDU that changes the bits of `mask` in one register to those of `word` (function 22), all others stay."""
    return bytes((MASK_WRITE,)) + b"".join(number.to_bytes(2, "big") for number in (address, ~mask & 0xFFFF, word & mask))


def write_expected(request: bytes) -> Expected:
    """The reply to a write: its first five bytes again; of a mask write all seven."""
    length = 7 if request[0] == MASK_WRITE else 5
    return Expected(request[:length], length)


class Master:
    """The asking side of one line or connection: transaction numbers, what is owed, counts. Not shared between threads."""

    def __init__(self, framing: Framing, idle_ms: int = 50, first_transaction: int = 1) -> None:
        """idle_ms: silence after which a damaged reply is given up before its window ends."""
        self.tally = Tally()
        self._framing = framing
        self._idle_ms = idle_ms
        self._transaction = first_transaction - 1
        self._stream = TcpStream()
        self._owed: dict[int, list[_Shape]] = {}
        self._line_echoes = False
        """An adapter gives back what is sent: the first copy of a request is never its answer."""

    def connected(self) -> None:
        """To be called after the link was opened: nothing of before can still come in the middle of a frame."""
        self._stream.clear()

    def rested(self, unit: int) -> None:
        """To be called when a device was left alone for half a minute: of what it owes, the newest alone is still feared."""
        if unit in self._owed:
            self._owed[unit] = self._owed[unit][-1:]

    def read(self, ask: Ask) -> Session[tuple[int, ...]]:
        """The words of a span. Raises Silence, Garbled, Refused; LinkDown comes from the link."""
        pdu = yield from self._repeated(ask)
        return read_words(ask.span, pdu)

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
            request = bytes((_IDENTIFICATION, 0x0E, 1, first))
            pdu = yield from self._exchange(unit, request, Expected(request[:3], 0), timeout_ms, 0)
            texts.update(_objects(pdu))
            if pdu[4] != 0xFF or pdu[5] <= first:
                break
            first = pdu[5]
        return texts

    def _repeated(self, ask: Ask) -> Session[bytes]:
        request, expected = read_request(ask.span), read_expected(ask.span)
        failures = repeats = 0
        while True:
            try:
                if self._framing != "tcp" and self._owed.get(ask.unit):
                    yield from self._settle(ask, ask.timeout_ms - (0 if failures + repeats else ask.rested_ms))
                return (yield from self._exchange(ask.unit, request, expected, ask.timeout_ms, ask.pause_ms))
            except (Silence, Garbled):
                failures += 1
                if failures > ask.retries:
                    raise
            except Refused as refused:
                repeats += 1
                if refused.code in _GATEWAY_CODES and repeats > ask.retries:
                    raise Silence from refused
                if refused.code not in _LATER_CODES | _GATEWAY_CODES or repeats > _BUSY_REPEATS:
                    raise
                yield Pause(_BUSY_PAUSE_MS)
            self.tally.retries += 1

    def _settle(self, ask: Ask, quiet_ms: int) -> Session[None]:
        """Makes sure that no reply is owed that could be taken for the one wanted. Raises Silence where that cannot be had.

        quiet_ms: for so long the device is left alone where nothing else can be asked of it.
        """
        wanted = _shape(read_expected(ask.span))
        other = _alternative(ask)
        for _ in range(_SETTLING_QUESTIONS):
            if wanted not in self._owed[ask.unit]:
                return
            if other is None:
                self._owed[ask.unit].clear()
                if quiet_ms > 0:
                    yield Pause(quiet_ms)
                return
            with suppress(Refused):  # an answer as good as any
                yield from self._exchange(ask.unit, read_request(other), read_expected(other), ask.timeout_ms, ask.pause_ms)
        if wanted in self._owed[ask.unit]:
            raise Silence

    def _exchange(self, unit: int, request: bytes, expected: Expected, timeout_ms: int, pause_ms: int) -> Session[bytes]:
        self.tally.requests += 1
        if pause_ms:
            yield Pause(pause_ms)
        try:
            if self._framing == "tcp":
                pdu = yield from self._over_tcp(unit, request, expected, timeout_ms)
            else:
                pdu = yield from self._over_rtu(unit, request, expected, timeout_ms)
        except Silence:
            self.tally.timeouts += 1
            raise
        if pdu[0] == expected.exception:
            self.tally.exceptions += 1
            raise Refused(pdu[1])
        return pdu

    def _over_rtu(self, unit: int, request: bytes, expected: Expected, timeout_ms: int) -> Session[bytes]:
        frame, shape, owed = rtu_frame(unit, request), _shape(expected), self._owed.setdefault(unit, [])
        yield Flush()
        window = RtuWindow(unit, expected, frame)
        yield Send(frame, timeout_ms, expected.length + 3)
        is_own_answer = expected.accepts(request) and not self._line_echoes
        pdu: bytes | None = None
        while chunk := (yield Receive(self._idle_ms if window.mismatches or (window.repeats and is_own_answer) else None)):
            pdu = window.feed(chunk)
            if pdu is not None:
                break
        self._line_echoes = self._line_echoes or (window.repeats > 0 and not expected.accepts(request)) or window.repeats > 1
        if pdu is None and window.repeats and is_own_answer:
            pdu = request
        if pdu is not None:
            self._owed[unit] = _still_owed(owed, shape, is_exception=pdu[0] == expected.exception)
            return pdu
        self.tally.crc_errors += window.mismatches
        self._owed[unit] = [*owed, shape][-_OWED_KEPT:]
        raise Garbled(window.came) if window.came else Silence

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


class _Shape(NamedTuple):
    """What tells one reply of a device from another on a line without transaction numbers."""

    function: int
    length: int


def _shape(expected: Expected) -> _Shape:
    return _Shape(expected.head[0], expected.length)


def _still_owed(owed: list[_Shape], shape: _Shape, *, is_exception: bool) -> list[_Shape]:
    """What may still come after an answer, replies coming in the order of their requests. owed: before this request.

    An answer of this shape is the first one owed, or this request's: all that was asked before that one has come or never will.
    An exception may be anybody's: then the oldest debt is paid, and this request's answer is owed instead.
    """
    if not owed:
        return []
    if is_exception:
        return [*owed[1:], shape]
    return [*owed[owed.index(shape) + 1 :], shape] if shape in owed else []


def _alternative(ask: Ask) -> Span | None:
    """The shortest span that may be asked of the device and is answered by another length than the one wanted."""
    wanted = _shape(read_expected(ask.span))
    spans = [
        *(() if ask.is_apart else (replace(ask.span, count=1),)),
        *ask.others,
        *(replace(other, count=1) for other in ask.others),
    ]
    options = [span for span in spans if _shape(read_expected(span)) != wanted]
    return min(options, key=lambda span: read_expected(span).length, default=None)


def _objects(pdu: bytes) -> dict[int, str]:
    texts, at = {}, 7
    for _ in range(pdu[6]):
        number, length = pdu[at], pdu[at + 1]
        texts[number] = pdu[at + 2 : at + 2 + length].decode("utf-8", "replace")
        at += 2 + length
    return texts
