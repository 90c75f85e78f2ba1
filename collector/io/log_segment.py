"""Does I/O: one file of the log: a line that names the format, then frames, one record each, as they came.

    frame   magic 4 | length 4 | checksum 4 | offset 8 | number 4 | body (length bytes)        big-endian
    body    msgpack [site, gateway, epoch, lane, sequence, received_ms, kind, payload]

`number` counts the frames of the file from 0. The checksum (CRC-32) begins with the file's name, which holds 32 random bits, and
goes over offset, number and body: a frame that a gateway hides in its payload is none. A flipped bit damages one frame; behind it
reading goes on at the next one that is sound.
"""

from __future__ import annotations

import errno
import os
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from collector.intake.records import BatchKey, Record
from collector.seams import StorageFailed
from edge_agent.common.durable import sync_folder, write_all

HEADER = b"waterworks log segment 2\n"
MAGIC = b"\xa5WL2"
MAX_BODY = 16 << 20
_HEAD = struct.Struct(">4sIIQI")
_SUMMED = struct.Struct(">QI")
_CHUNK = 1 << 20
_BLOCK = 4096
_encode = msgspec.msgpack.Encoder().encode

Pread = Callable[[int, int, int], bytes]
"""`os.pread`: descriptor, count, position."""


class Body(msgspec.Struct, frozen=True, array_like=True):
    """A record without its offset."""

    site: str
    gateway: str
    epoch: str
    lane: str
    seq: int
    received_ms: int
    kind: str
    payload: bytes


_decode = msgspec.msgpack.Decoder(Body).decode


class Frame(NamedTuple):
    """A sound frame. after: where the next one begins."""

    offset: int
    number: int
    body: bytes
    after: int


def seed_of(name: str) -> int:
    """Where the checksums of a file begin."""
    return zlib.crc32(name.encode())


def frame(record: Record, offset: int, number: int, seed: int) -> bytes:
    """One record for the file with this seed."""
    body = _encode((*record.key, record.received_ms, record.kind, record.payload))
    crc = zlib.crc32(body, zlib.crc32(_SUMMED.pack(offset, number), seed))
    return _HEAD.pack(MAGIC, len(body), crc, offset, number) + body


def record_of(found: Frame) -> Record:
    """The record of a sound frame."""
    body = _decode(found.body)
    key = BatchKey(body.site, body.gateway, body.epoch, body.lane, body.seq)  # type: ignore[arg-type]
    return Record(found.offset, key, body.received_ms, body.payload, body.kind)  # type: ignore[arg-type]


def scan(file: int, seed: int, start: int, end: int, pread: Pread | None = None) -> Iterator[Frame]:
    """The sound frames between these positions, in order. Raises StorageFailed where nothing at all can be read."""
    at, begin, buffer = start, start, b""
    pread = pread or os.pread
    while at + _HEAD.size <= end:
        if at + _HEAD.size > begin + len(buffer):
            begin, buffer = at, _read(file, min(_CHUNK, end - at), at, pread)
            if len(buffer) < _HEAD.size:
                return
        place = at - begin
        magic, length, crc, offset, number = _HEAD.unpack_from(buffer, place)
        whole = _HEAD.size + length
        if magic == MAGIC and length <= MAX_BODY and at + whole <= end:
            if place + whole > len(buffer):
                begin, place, buffer = at, 0, _read(file, max(whole, min(_CHUNK, end - at)), at, pread)
            body = buffer[place + _HEAD.size : place + whole]
            if len(body) == length and zlib.crc32(body, zlib.crc32(_SUMMED.pack(offset, number), seed)) == crc:
                at += whole
                yield Frame(offset, number, body, at)
                continue
        found = buffer.find(MAGIC, place + 1)
        at = begin + found if found >= 0 else max(at + 1, begin + len(buffer) - len(MAGIC) + 1)


def _read(file: int, count: int, position: int, pread: Pread) -> bytes:
    """These bytes; what the medium refuses is zeros, unless it refuses everything."""
    try:
        return pread(file, count, position)
    except OSError as error:
        if error.errno != errno.EIO:
            raise StorageFailed(str(error)) from error
        return _by_blocks(file, count, position, pread)


def _by_blocks(file: int, count: int, position: int, pread: Pread) -> bytes:
    blocks, refused, end = [], 0, position + count
    for block in range(position // _BLOCK * _BLOCK, end, _BLOCK):
        begin = max(block, position)
        size = min(block + _BLOCK, end) - begin
        try:
            blocks.append(pread(file, size, begin))
        except OSError as error:
            refused += 1
            blocks.append(bytes(size))
            last = error
    if refused == len(blocks) > 1:
        raise StorageFailed(f"the log cannot be read: {last}") from last
    return b"".join(blocks)


def write_frames(path: Path, length: int, frames: Sequence[bytes], sync: Callable[[int], None] | None = None) -> int:
    """Makes frames durable behind the committed end; gives the new end. What a crash left there is written over: with the same.

    Raises OSError.
    """
    is_new = not path.exists()
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        write_all(file, HEADER, 0)
        end = write_all(file, b"".join(frames), length)
        (sync or os.fdatasync)(file)
    finally:
        os.close(file)
    if is_new:
        sync_folder(path.parent)
    return end
