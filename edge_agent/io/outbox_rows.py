"""Pure. What stands in a row of the outbox file: its messages, compressed, and a head that tells of them without unpacking.

Head and messages have checksums of their own: where one is damaged the other still tells what the row held.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from edge_agent.delivery.machine import Key, Span, Stored
from edge_agent.delivery.shelf import Shelf, Shelves, shelves_of
from edge_agent.io.outbox_index import spans_of

_Line = tuple[Span, str, str, int, int, int, int, int | None, str, int]
_encoder = msgspec.msgpack.Encoder()
_messages = msgspec.msgpack.Decoder(list[Stored])
_lines = msgspec.msgpack.Decoder(tuple[list[_Line], list[Span]])


@dataclass(frozen=True, slots=True)
class Head:
    """shelves: plain batches. loose: births, and what tells of gaps; these are wanted in memory."""

    shelves: Sequence[Shelf]
    loose: Sequence[Span] = ()

    def spans(self) -> list[Span]:
        """Of everything."""
        return [*(shelf.span for shelf in self.shelves), *self.loose]


def is_loose(stored: Stored) -> bool:
    """True for what may not stand on a shelf."""
    return stored.kind == "birth" or stored.gaps > 0


def head_of(messages: Iterable[Stored]) -> Head:
    """The head of these messages."""
    each = list(messages)
    return Head(shelves_of(m for m in each if not is_loose(m)), spans_of(m.key for m in each if is_loose(m)))


def pack_head(head: Head) -> bytes:
    """As it stands in the file."""
    lines = [
        (s.span, s.birth, s.boot, s.readings, s.cost, s.first_ms, s.last_ms, s.offset_ms, s.clock_source, s.clock_bound_ms)
        for s in head.shelves
    ]
    raw = _encoder.encode((lines, list(head.loose)))
    return zlib.crc32(raw).to_bytes(4, "big") + raw


def unpack_head(packed: bytes | None) -> Head | None:
    """None if it is damaged, or from before heads were written."""
    if packed is None or zlib.crc32(packed[4:]).to_bytes(4, "big") != packed[:4]:
        return None
    try:
        lines, loose = _lines.decode(packed[4:])
    except msgspec.DecodeError:
        return None
    return Head([Shelf(*line) for line in lines], loose)


def pack(messages: Sequence[Stored]) -> tuple[int, bytes]:
    """Checksum and bytes of a row's messages."""
    packed = zlib.compress(_encoder.encode(list(messages)), 6)
    return zlib.crc32(packed), packed


def is_sound(crc: int, packed: bytes) -> bool:
    """True if these are the bytes that were written."""
    return zlib.crc32(packed) == crc


def unpack(crc: int, packed: bytes) -> list[Stored]:
    """The messages of a row; none if its checksum is wrong."""
    if not is_sound(crc, packed):
        return []
    try:
        return _messages.decode(zlib.decompress(packed))
    except (zlib.error, msgspec.DecodeError):
        return []


def without(shelves: Sequence[Shelf], gone: Iterable[Key]) -> list[Shelf]:
    """Shelves less the messages that are gone; what these counted is shared out evenly."""
    found: list[Shelf] = []
    for shelf in shelves:
        left = Shelves()
        left.put(shelf)
        for key in gone:
            if key[:2] == shelf.key[:2] and left.holds(key.seq):
                left.take(key.seq, shelf.readings // shelf.count, shelf.cost // shelf.count)
        found += left.each
    return found


def readings_of(head: Head, keys: set[Key]) -> int:
    """Readings in those of its messages that are named; in proportion where a shelf is named in part."""
    found = 0
    for shelf in head.shelves:
        named = sum(key in keys for key in shelf.span.each())
        found += shelf.readings * named // shelf.count
    return found
