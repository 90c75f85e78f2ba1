"""Pure. What stands in a row of the outbox file: its messages, compressed, and a head that tells of them without unpacking.

Head and messages have checksums of their own: where one is damaged the other still tells what the row held. So have marks (what is
forgotten) and notes.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from edge_agent.contract.encoding import decode_body
from edge_agent.contract.message import Lane
from edge_agent.delivery.machine import Key, Lost, Span, Stored
from edge_agent.delivery.shelf import Shelf, Shelves, shelves_of
from edge_agent.io.outbox_index import spans_of

_Line = tuple[Span, str, str, int, int, int, int, int | None, str, int]
_encoder = msgspec.msgpack.Encoder()
_messages = msgspec.msgpack.Decoder(list[Stored])
_Gone = tuple[str, Lane, Sequence[tuple[int, int, int]]]
_mark = msgspec.msgpack.Decoder(tuple[list[tuple[int, int]], list[_Gone]])
_anything = msgspec.msgpack.Decoder()


class _Packed(msgspec.Struct, array_like=True, frozen=True):
    """A head as it stands in the file. telling: left out where there is none, and by releases that did not know it."""

    lines: list[_Line]
    loose: list[Span]
    telling: list[Lost] = []


_packed = msgspec.msgpack.Decoder(_Packed)


@dataclass(frozen=True, slots=True)
class Head:
    """shelves: plain batches. loose: births, and what tells of gaps; these are wanted in memory. telling: what the latter told."""

    shelves: Sequence[Shelf]
    loose: Sequence[Span] = ()
    telling: Sequence[Lost] = ()

    def spans(self) -> list[Span]:
        """Of everything."""
        return [*(shelf.span for shelf in self.shelves), *self.loose]


class Mark(NamedTuple):
    """What one write forgot of a generation. dead: runs of rows of which nothing is left; gone: of others (row, first, last)."""

    dead: Sequence[tuple[int, int]]
    gone: Sequence[_Gone] = ()

    @classmethod
    def of(cls, dead: Sequence[tuple[int, int]], gone: Mapping[int, Iterable[Key]]) -> Mark:
        """gone: by row."""
        lanes: dict[tuple[str, Lane], list[tuple[int, int, int]]] = {}
        for part, keys in gone.items():
            for span in spans_of(keys):
                lanes.setdefault((span.epoch, span.lane), []).append((part, span.a, span.z))
        return cls(dead, [(*lane, runs) for lane, runs in lanes.items()])

    def spans(self) -> Iterator[tuple[int, Span]]:
        """Messages that are gone, each run with its row."""
        for epoch, lane, runs in self.gone:
            for part, first, last in runs:
                yield part, Span(epoch, lane, first, last)

    def sealed(self) -> bytes:
        """As it stands in the file."""
        return seal((self.dead, self.gone))


class Row(NamedTuple):
    """A row as it stands in the file; nothing of it is checked."""

    id: int
    head: bytes | None
    crc: int
    messages: bytes

    @property
    def columns(self) -> tuple[int, bytes | None, int, bytes]:
        """In the order of the table."""
        return self.id, self.head, self.crc, self.messages

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        return _size(self.head) + _size(self.messages) + 16

    def is_sound(self) -> bool:
        """True if its messages are the bytes that were written."""
        return is_sound(self.crc, self.messages)

    def unpacked(self) -> list[Stored]:
        """Its messages; none if their checksum is wrong."""
        return unpack(self.crc, self.messages)

    def unpacked_head(self) -> Head | None:
        """None if it is damaged, or from before heads were written."""
        return unpack_head(self.head)


def _size(column: Any) -> int:
    return len(column) if isinstance(column, (bytes, str)) else 0


def seal(value: Any) -> bytes:
    """Any value behind its checksum."""
    raw = _encoder.encode(value)
    return zlib.crc32(raw).to_bytes(4, "big") + raw


def unseal(sealed: Any) -> Any:
    """None if it is damaged."""
    raw = _unsealed(sealed)
    try:
        return None if raw is None else _anything.decode(raw)
    except msgspec.DecodeError:
        return None


def unseal_mark(sealed: Any) -> Mark | None:
    """None if it is damaged."""
    raw = _unsealed(sealed)
    try:
        return None if raw is None else Mark(*_mark.decode(raw))
    except msgspec.DecodeError:
        return None


def _unsealed(sealed: Any) -> bytes | None:
    """A bit may have made anything else of a column of bytes."""
    if not isinstance(sealed, bytes) or zlib.crc32(sealed[4:]).to_bytes(4, "big") != sealed[:4]:
        return None
    return sealed[4:]


def is_loose(stored: Stored) -> bool:
    """True for what may not stand on a shelf."""
    return stored.kind == "birth" or stored.gaps > 0


def head_of(messages: Iterable[Stored]) -> Head:
    """The head of these messages."""
    each = list(messages)
    telling = [Lost(m.key, m.readings, decode_body(m.body).gaps) for m in each if m.gaps]
    return Head(shelves_of(m for m in each if not is_loose(m)), spans_of(m.key for m in each if is_loose(m)), telling)


def lost_of(head: Head) -> list[Lost]:
    """What of a row that cannot be read stands on no shelf: births, and what told of gaps."""
    telling = {lost.key for lost in head.telling}
    births = (Lost(key, 0, ()) for span in head.loose for key in span.each() if key not in telling)
    return [*head.telling, *births]


def pack_head(head: Head) -> bytes:
    """As it stands in the file."""
    lines = [
        (s.span, s.birth, s.boot, s.readings, s.cost, s.first_ms, s.last_ms, s.offset_ms, s.clock_source, s.clock_bound_ms)
        for s in head.shelves
    ]
    return seal((lines, list(head.loose), list(head.telling)) if head.telling else (lines, list(head.loose)))


def unpack_head(packed: Any) -> Head | None:
    """None if it is damaged, or from before heads were written."""
    raw = _unsealed(packed)
    if raw is None:
        return None
    try:
        packed = _packed.decode(raw)
    except msgspec.DecodeError:
        return None
    return Head([Shelf(*line) for line in packed.lines], packed.loose, packed.telling)


def pack(messages: Sequence[Stored]) -> tuple[int, bytes]:
    """Checksum and bytes of a row's messages."""
    packed = zlib.compress(_encoder.encode(list(messages)), 6)
    return zlib.crc32(packed), packed


def is_sound(crc: Any, packed: Any) -> bool:
    """True if these are the bytes that were written."""
    if not isinstance(packed, bytes):
        return False
    return bool(zlib.crc32(packed) == crc)


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


def head_without(head: Head, gone: Iterable[Key]) -> Head:
    """The head less the messages that are gone."""
    left = {key for span in head.loose for key in span.each()} - set(gone)
    return Head(without(head.shelves, gone), spans_of(left), [lost for lost in head.telling if lost.key in left])


def readings_of(head: Head, keys: set[Key]) -> int:
    """Readings in those of its messages that are named; in proportion where a shelf is named in part."""
    found = 0
    for shelf in head.shelves:
        named = sum(key in keys for key in shelf.span.each())
        found += shelf.readings * named // shelf.count
    return found
