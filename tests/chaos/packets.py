"""Pure. MQTT control packets cut out of a stream by their fixed headers (MQTT 5, 2.1; as in 3.1.1), and what a PUBLISH carries."""

from __future__ import annotations

from collections.abc import Iterator

CONNECT, PUBLISH = 1, 3


class Packets:
    """Takes chunks, gives whole packets."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Every packet that is whole now."""
        self._rest += chunk
        while (length := _length(self._rest)) is not None and len(self._rest) >= length:
            packet, self._rest = self._rest[:length], self._rest[length:]
            yield packet


def kind_of(packet: bytes) -> int:
    """Its type, 1-15."""
    return packet[0] >> 4


def protocol_level(connect: bytes) -> int:
    """4 or 5, from a CONNECT."""
    at = _header(connect)
    return connect[at + 2 + int.from_bytes(connect[at : at + 2], "big")]


def published(packet: bytes, level: int) -> tuple[str, bytes]:
    """Topic and payload of a PUBLISH."""
    at = _header(packet)
    size = int.from_bytes(packet[at : at + 2], "big")
    topic = packet[at + 2 : at + 2 + size].decode()
    at += 2 + size + (2 if packet[0] & 0b0110 else 0)
    if level >= 5:
        length, used = _varint(packet, at) or (0, 1)
        at += used + length
    return topic, packet[at:]


def _header(packet: bytes) -> int:
    """Bytes of the fixed header."""
    return 1 + (_varint(packet, 1) or (0, 1))[1]


def _length(stream: bytes) -> int | None:
    """Bytes of the first packet; None while its header is not whole."""
    found = _varint(stream, 1) if len(stream) > 1 else None
    return None if found is None else 1 + found[1] + found[0]


def _varint(stream: bytes, at: int) -> tuple[int, int] | None:
    value = 0
    for n in range(4):
        if at + n >= len(stream):
            return None
        value |= (stream[at + n] & 0x7F) << 7 * n
        if not stream[at + n] & 0x80:
            return value, n + 1
    raise ValueError("no MQTT: a length of more than four bytes")
