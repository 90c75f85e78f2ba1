"""Pure. Modbus frames: RTU with its CRC, TCP with its header, and finding the one acceptable reply in what comes.

    RTU   unit(1) PDU(1-253) CRC(2, low byte first)                     MODBUS over Serial Line V1.02, 2.5.1
    TCP   transaction(2) 0000(2) length(2) unit(1) PDU(1-253)           MODBUS Messaging on TCP/IP V1.0b, 3.1.3

A window accepts one thing alone: a frame of the unit asked, with the function asked and the length that the request implies, or
that unit's exception to that function. Noise, echoes, and replies to others or to earlier requests pass by.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

MAX_RTU = 256
MAX_PDU = 253
_KEPT = 4 * MAX_RTU
"""Bytes of one window that are kept; a line that babbles beyond it has nothing acceptable to say."""


def _table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        register = byte
        for _ in range(8):
            register = (register >> 1) ^ 0xA001 if register & 1 else register >> 1
        table.append(register)
    return tuple(table)


_CRC = _table()


def crc16(frame: bytes) -> bytes:
    """CRC-16/MODBUS of a frame without its CRC, as it is sent: low byte first."""
    register = 0xFFFF
    for byte in frame:
        register = (register >> 8) ^ _CRC[(register ^ byte) & 0xFF]
    return register.to_bytes(2, "little")


def rtu_frame(unit: int, pdu: bytes) -> bytes:
    """The RTU frame of a PDU."""
    body = bytes((unit,)) + pdu
    return body + crc16(body)


def tcp_frame(transaction: int, unit: int, pdu: bytes) -> bytes:
    """The TCP frame of a PDU."""
    return struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu


class Shape(NamedTuple):
    """What tells one reply of a device from another where replies have no number."""

    function: int
    length: int
    """Bytes of the PDU; 0: told by the PDU itself (function 43)."""

    def fits(self, pdu: bytes) -> bool:
        """True for a PDU of this shape, or an exception to this function."""
        if len(pdu) == 2:
            return pdu[0] == self.function | 0x80
        if pdu[:1] != bytes((self.function,)) or len(pdu) != (self.length or identification_length(pdu)):
            return False
        return self.function > 4 or pdu[1] == self.length - 2


@dataclass(frozen=True, slots=True)
class Expected:
    """The reply PDU that a request implies: how it begins, and its length."""

    head: bytes
    """First bytes: function, and byte count or echoed fields."""
    length: int
    """Bytes of the whole PDU; 0: told by the PDU itself (function 43)."""

    @property
    def exception(self) -> int:
        """First byte of the exception to this request."""
        return self.head[0] | 0x80

    @property
    def shape(self) -> Shape:
        """That of the reply."""
        return Shape(self.head[0], self.length)

    def is_repeated_by(self, request: bytes) -> bool:
        """True where the request itself is the answer, in every byte: writes of one value."""
        return len(self.head) == self.length and request == self.head

    def length_of(self, pdu: bytes) -> int | None:
        """Length of the acceptable PDU that `pdu` begins; 0 while that cannot be told yet; None if it begins none."""
        if pdu[:1] == bytes((self.exception,)):
            return 2
        if pdu[: len(self.head)] != self.head[: len(pdu)]:
            return None
        return self.length or identification_length(pdu)

    def accepts(self, pdu: bytes) -> bool:
        """True for a whole PDU that may answer the request."""
        return self.length_of(pdu) == len(pdu) > 1


def identification_length(pdu: bytes) -> int:
    """Length of a reply to 43/14 (2B 0E code conformity more next count, then objects id, length, text); 0: not known yet."""
    if len(pdu) < 7:
        return 0
    end = 7
    for _ in range(pdu[6]):
        if len(pdu) < end + 2:
            return 0
        end += 2 + pdu[end + 1]
    return end


class RtuWindow:
    """Looks for the acceptable reply in the bytes that come after one request, however they are cut.

    Byte after byte, a frame is taken at the moment at which it is whole, so that chunks make no difference. Bytes equal to the
    request are an adapter's echo and void with everything before them. A reply that equals the beginning of its request (one value
    at a few hundred of the possible requests) cannot be told from an echo that has begun, and is not taken. Writes of one value are
    answered by the request itself: its second copy is the answer; whether the first one is, only `repeats` and the line can tell.
    """

    def __init__(self, unit: int, expected: Expected, request: bytes) -> None:
        self._unit = unit
        self._expected = expected
        self._request = request
        self._came = bytearray()
        self._starts: dict[int, int] = {}
        """Where a frame may begin, and where it is to be looked at again."""
        self._echoed = 0
        self.left = b""
        """What came in the same chunk behind the reply."""
        self.repeats = 0
        """How often the request itself came."""
        self.mismatches = 0
        """Frames of the right shape whose CRC was wrong."""

    def feed(self, chunk: bytes) -> bytes | None:
        """The reply's PDU as soon as it is whole, else None."""
        for at, byte in enumerate(chunk, 1):
            if len(self._came) < _KEPT:
                pdu = self._next(byte)
                if pdu is not None:
                    self.left = chunk[at:]
                    return pdu
        self.left = b""
        return None

    @property
    def came(self) -> bytes:
        """Everything that came and is not an echo."""
        return bytes(self._came[self._echoed :])

    @property
    def has_begun(self) -> bool:
        """No pause may stand inside a frame: what has begun need not be waited for longer than what has not."""
        return False

    def _next(self, byte: int) -> bytes | None:
        self._came.append(byte)
        end = len(self._came)
        if byte == self._unit:
            self._starts[end - 1] = end + 1
        if byte == self._request[-1] and self._came.endswith(self._request):
            self._starts.clear()
            self._echoed = end
            self.repeats += 1
            pdu = self._request[1:-2]
            return pdu if self.repeats > 1 and self._expected.is_repeated_by(pdu) else None
        for start in [start for start, due in self._starts.items() if due <= end]:
            frame = bytes(self._came[start:])
            length = self._expected.length_of(frame[1:])
            if length is None or length > MAX_PDU:
                del self._starts[start]
            elif length and len(frame) == length + 3:
                del self._starts[start]
                if frame[-2:] != crc16(frame[:-2]):
                    self.mismatches += 1
                elif not self._request.startswith(frame):
                    return frame[1:-2]
            else:
                self._starts[start] = start + length + 3 if length and end > start + len(self._expected.head) else end + 1
        return None


def rtu_replies(stream: bytes, shapes: Mapping[int, Iterable[Shape]]) -> list[tuple[int, bytes]]:
    """(unit, PDU) of each frame that has one of the shapes of its unit, or is an exception to it, in order."""
    found, at = [], 0
    while at < len(stream) - 4:
        frame = _frame_at(stream, at, shapes.get(stream[at], ()))
        if frame:
            found.append((frame[0], frame[1:-2]))
        at += len(frame) or 1
    return found


def _frame_at(stream: bytes, at: int, shapes: Iterable[Shape]) -> bytes:
    for shape in shapes:
        if stream[at + 1] & 0x7F != shape.function:
            continue
        length = 2 if stream[at + 1] & 0x80 else shape.length or identification_length(stream[at + 1 : at + 1 + MAX_PDU])
        frame = stream[at : at + length + 3]
        if len(frame) == length + 3 and shape.fits(frame[1:-2]) and crc16(frame[:-2]) == frame[-2:]:
            return frame
    return b""


class Unreadable(Exception):
    """A TCP stream that is no Modbus, or whose frame contradicts itself: it cannot be followed any further."""


class TcpStream:
    """The frames of one TCP connection. Kept over requests, because a late reply may be cut anywhere."""

    def __init__(self) -> None:
        self._came = bytearray()

    def clear(self) -> None:
        """A new connection."""
        self._came.clear()

    def feed(self, chunk: bytes) -> list[tuple[int, int, bytes]]:
        """(transaction, unit, PDU) of each frame that is whole now. Raises Unreadable."""
        self._came += chunk
        frames = []
        while len(self._came) >= 7:
            transaction, protocol, length, unit = struct.unpack_from(">HHHB", self._came)
            if protocol != 0 or not 3 <= length <= MAX_PDU + 1:
                raise Unreadable
            if len(self._came) < 6 + length:
                break
            frames.append((transaction, unit, bytes(self._came[7 : 6 + length])))
            del self._came[: 6 + length]
        return frames
