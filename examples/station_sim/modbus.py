"""Pure. The server side of Modbus, reading only: RTU and TCP frames, functions 1-4, exceptions.

MODBUS Application Protocol V1.1b3; MODBUS over Serial Line V1.02. Written apart from the product's own codec on purpose.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

Words = list[int]
Read = Callable[[int, int, int], "Words | int"]
"""(function, address, count) -> words (bits as 0/1), or an exception code."""


def crc16(frame: bytes) -> bytes:
    """CRC-16/MODBUS as sent: low byte first."""
    register = 0xFFFF
    for byte in frame:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ 0xA001 if register & 1 else register >> 1
    return bytes((register & 0xFF, register >> 8))


def answer(pdu: bytes, read: Read) -> bytes:
    """The reply PDU to a request PDU."""
    function = pdu[0]
    if function not in (1, 2, 3, 4):
        return bytes((function | 0x80, 1))
    if len(pdu) != 5:
        return bytes((function | 0x80, 3))
    address, count = struct.unpack(">HH", pdu[1:])
    if not 1 <= count <= (2000 if function < 3 else 125):
        return bytes((function | 0x80, 3))
    words = read(function, address, count)
    if isinstance(words, int):
        return bytes((function | 0x80, words))
    if function < 3:
        packed = bytearray((count + 7) // 8)
        for i, bit in enumerate(words):
            packed[i // 8] |= (bit & 1) << (i % 8)
        return bytes((function, len(packed))) + bytes(packed)
    return bytes((function, 2 * count)) + struct.pack(f">{count}H", *words)


class RtuRequests:
    """Finds requests in the bytes of a line; slides over what is none."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def clear(self) -> None:
        """Silence, a break or a change of speed: what was begun is void."""
        self._buffer.clear()

    def feed(self, chunk: bytes) -> list[tuple[int, bytes, int]]:
        """(unit, PDU, length on the wire) of each whole request with a right CRC."""
        self._buffer += chunk
        found = []
        while len(self._buffer) >= 4:
            length = (
                8
                if self._buffer[1] <= 6
                else 7
                if self._buffer[1] == 43
                else 10
                if self._buffer[1] == 22
                else (9 + self._buffer[6] if len(self._buffer) > 6 else 9)
            )
            if self._buffer[1] not in (1, 2, 3, 4, 5, 6, 15, 16, 22, 43):
                length = 4 if crc16(bytes(self._buffer[:2])) == bytes(self._buffer[2:4]) else 0
            if length and len(self._buffer) < length:
                break
            frame = bytes(self._buffer[:length])
            if length and crc16(frame[:-2]) == frame[-2:]:
                found.append((frame[0], frame[1:-2], length))
                del self._buffer[:length]
            else:
                del self._buffer[:1]
        return found


class TcpRequests:
    """Finds requests in a Modbus TCP stream. Raises ValueError where the stream is no Modbus."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, chunk: bytes) -> list[tuple[int, int, bytes]]:
        """(transaction, unit, PDU) of each whole request."""
        self._buffer += chunk
        found = []
        while len(self._buffer) >= 8:
            transaction, protocol, length, unit = struct.unpack(">HHHB", self._buffer[:7])
            if protocol != 0 or not 2 <= length <= 254:
                raise ValueError("no Modbus TCP")
            if len(self._buffer) < 6 + length:
                break
            found.append((transaction, unit, bytes(self._buffer[7 : 6 + length])))
            del self._buffer[: 6 + length]
        return found


def tcp_frame(transaction: int, unit: int, pdu: bytes) -> bytes:
    """A Modbus TCP frame."""
    return struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu


def rtu_frame(unit: int, pdu: bytes) -> bytes:
    """A Modbus RTU frame."""
    frame = bytes((unit,)) + pdu
    return frame + crc16(frame)
