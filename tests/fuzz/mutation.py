"""Pure. Changes bytes the way wires, liars and worn cards do, from one Random."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from random import Random

from edge_agent.contract.encoding import birth_hash

MOST_BYTES = 4096
WORDS = (
    b"9223372036854775808", b"18446744073709551616", b"9007199254740992", b"-1", b"0", b"1e400", b"-1e400", b"NaN", b"Infinity",
    b"1e308", b"0.1e-400", b"null", b"true", b'"\\u0000"', b'"+"', b'"#"', b'"/"', b'"$SYS"', b'"\\ud800"', b'"=1+1"', b"[]", b"{}",
    b'""', b"[[[[", b"4102444800001", b"946684799999", b"1" * 400, b'"' + b"x" * 5000 + b'"', b"[" * 200, b'{"a":' * 100,
    b"\xff\xfe", b"\x00", b"\r\n", b"&a [*a, *a]", b"!!python/object:os.system", b"<<: *a", b"- - - - ", b"? ", b"|\n ", b"0x",
    b"012", b".nan", b"\t",
)  # fmt: skip
DIGITS = frozenset(b"0123456789")
Corpus = Sequence[bytes]


def mutated(chance: Random, corpus: Corpus) -> bytes:
    """One example, changed one to four times; packed ones are opened before and packed again mostly."""
    data = bytearray(chance.choice(corpus))
    packed = data[:1] in (b"x", b"h", b"8", b"X") and chance.random() < 0.9
    if packed:
        data = bytearray(_unpacked(bytes(data)))
    for _ in range(1 + int(chance.random() * chance.random() * 4)):
        CHANGES[int(chance.random() * len(CHANGES))](chance, data, corpus)
    del data[MOST_BYTES * 4 :]
    if chance.random() < 0.2:
        data = bytearray(_rehashed(bytes(data)))
    if packed:
        data = bytearray(zlib.compress(bytes(data), 1))
        if chance.random() < 0.1:
            _damage(chance, data, corpus)
    return bytes(data)


def _unpacked(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, MOST_BYTES * 16)
    except zlib.error:
        return data


def _rehashed(data: bytes) -> bytes:
    """A birth whose body was changed gets the hash of its new body, so that what is behind the check is reached too."""
    at, key = data.find(b'"body":'), data.find(b'"h":"')
    if at < 0 or key < 0:
        return data
    body = data[at + 7 : -1]
    return data[: key + 5] + birth_hash(body).encode() + data[key + 21 :]


def _at(chance: Random, data: bytearray) -> int:
    return int(chance.random() * len(data)) if data else 0


def _damage(chance: Random, data: bytearray, corpus: Corpus) -> None:
    if data:
        data[_at(chance, data)] ^= 1 << int(chance.random() * 8)


def _byte(chance: Random, data: bytearray, corpus: Corpus) -> None:
    if data:
        data[_at(chance, data)] = int(chance.random() * 256)


def _cut(chance: Random, data: bytearray, corpus: Corpus) -> None:
    at = _at(chance, data)
    del data[at : at + 1 + int(chance.random() * 8)]


def _end(chance: Random, data: bytearray, corpus: Corpus) -> None:
    del data[_at(chance, data) :]


def _word(chance: Random, data: bytearray, corpus: Corpus) -> None:
    at = _at(chance, data)
    data[at:at] = chance.choice(WORDS)


def _number(chance: Random, data: bytearray, corpus: Corpus) -> None:
    """Another number where one stands."""
    at = _at(chance, data)
    while at < len(data) and data[at] not in DIGITS:
        at += 1
    end = at
    while end < len(data) and data[end] in DIGITS:
        end += 1
    data[at:end] = chance.choice(WORDS)


def _twice(chance: Random, data: bytearray, corpus: Corpus) -> None:
    at = _at(chance, data)
    piece = data[at : at + 1 + int(chance.random() * 40)]
    where = _at(chance, data)
    data[where:where] = piece


def _splice(chance: Random, data: bytearray, corpus: Corpus) -> None:
    other = chance.choice(corpus)
    data[_at(chance, data) :] = other[int(chance.random() * len(other)) :]


CHANGES: tuple[Callable[[Random, bytearray, Corpus], None], ...] = (
    _damage, _byte, _cut, _end, _word, _word, _number, _number, _number, _twice, _splice,
)  # fmt: skip
