"""Pure. What the standards say of a reply, written apart from the product: which bytes are a frame, and what it says.

MODBUS Application Protocol V1.1b3, 6; MODBUS over Serial Line V1.02, 2.5.1 and 2.5.2; MODBUS Messaging on TCP/IP V1.0b, 3.1.3.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

FUNCTION_OF = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
_ASCII = re.compile(rb":((?:[0-9A-F]{2}){4,255})\r\n")


class Wanted(NamedTuple):
    """A question: what its answer must be."""

    unit: int
    function: int
    """1-4, 23: reads. 5, 6, 15, 16, 22: writes."""
    size: int = 0
    """Registers or bits that are read."""
    echo: bytes = b""
    """What a write's answer repeats behind the function."""


def _crc_table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0xA001 if value & 1 else 0)
        table.append(value)
    return table


_CRC = _crc_table()


def crc(body: bytes) -> bytes:
    """CRC-16/MODBUS as sent."""
    value = 0xFFFF
    for byte in body:
        value = _CRC[(value ^ byte) & 0xFF] ^ (value >> 8)
    return struct.pack("<H", value)


def rtu(unit: int, pdu: bytes) -> bytes:
    """The RTU frame."""
    body = bytes((unit,)) + pdu
    return body + crc(body)


def lrc(body: bytes) -> int:
    """The two's complement of the sum, 8 bits."""
    return (256 - sum(body) % 256) % 256


def characters(unit: int, pdu: bytes) -> bytes:
    """The ASCII frame."""
    body = bytes((unit,)) + pdu
    return b":" + b"".join(b"%02X" % byte for byte in (*body, lrc(body))) + b"\r\n"


def tcp(transaction: int, unit: int, pdu: bytes) -> bytes:
    """The TCP frame."""
    return struct.pack(">HHHB", transaction, 0, 1 + len(pdu), unit) + pdu


def says(wanted: Wanted, pdu: bytes) -> tuple[int, ...] | None:
    """What a PDU answers to a question: words or bits, () for a write; None: it is no answer to it, or an exception."""
    if not pdu or pdu[0] != wanted.function:
        return None
    if wanted.function in (5, 6, 15, 16, 22):
        return () if pdu[1:] == wanted.echo else None
    length = (wanted.size + 7) // 8 if wanted.function < 3 else 2 * wanted.size
    if len(pdu) != 2 + length or pdu[1] != length:
        return None
    if wanted.function < 3:
        return tuple((pdu[2 + i // 8] >> (i % 8)) & 1 for i in range(wanted.size))
    return struct.unpack(f">{wanted.size}H", pdu[2:])


def refuses(wanted: Wanted, pdu: bytes) -> int | None:
    """The code of an exception to a question; None: it is none."""
    return pdu[1] if len(pdu) == 2 and pdu[0] == wanted.function + 128 else None


def rtu_pdus(stream: bytes, unit: int, length: int) -> Iterator[bytes]:
    """PDUs of this length in all RTU frames of a unit that a stream holds, wherever they begin."""
    for at in range(len(stream) - length - 2):
        frame = stream[at : at + length + 3]
        if frame[0] == unit and crc(frame[:-2]) == frame[-2:]:
            yield frame[1:-2]


def ascii_pdus(stream: bytes, unit: int) -> Iterator[bytes]:
    """PDUs of all ASCII frames of a unit that a stream holds."""
    for found in _ASCII.finditer(stream):
        frame = bytes.fromhex(found[1].decode())
        if frame[0] == unit and lrc(frame[:-1]) == frame[-1]:
            yield frame[1:-1]


def tcp_pdus(stream: bytes, transaction: int, unit: int) -> Iterator[bytes]:
    """PDUs under this transaction in the TCP frames that a stream is made of, up to the first that is none."""
    at = 0
    while len(stream) - at >= 8:
        number, protocol, length, from_unit = struct.unpack_from(">HHHB", stream, at)
        if protocol or not 3 <= length <= 254:
            return
        if number == transaction and from_unit == unit and len(stream) >= at + 6 + length:
            yield stream[at + 7 : at + 6 + length]
        at += 6 + length


def length_of(wanted: Wanted) -> int:
    """Bytes of the PDU that answers."""
    if wanted.echo:
        return 1 + len(wanted.echo)
    return 2 + ((wanted.size + 7) // 8 if wanted.function < 3 else 2 * wanted.size)
