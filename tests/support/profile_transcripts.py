"""Transcripts of profiles: reads them, and decodes values a second way, with nothing of the product's own decoding.

`# key: value` heads; `>> hex` request; `<< hex` reply; `= point value unit quality` after the exchange that carries it; `pause`
before a request of a device that needs silence.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

FUNCTION_OF = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}


@dataclass
class Exchange:
    request: bytes
    reply: bytes
    values: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    """By point: value, unit (`-`: none), quality."""


@dataclass
class Transcript:
    head: dict[str, str]
    exchanges: list[Exchange]

    def pdu(self, frame: bytes) -> bytes:
        """The frame without its framing; raises AssertionError where the framing is wrong."""
        if self.head["framing"] == "tcp":
            length = struct.unpack(">H", frame[4:6])[0]
            assert length == len(frame) - 6
            return frame[7:]
        assert frame[-2:] == crc(frame[:-2])
        return frame[1:-2]

    def image(self) -> dict[tuple[int, int], int]:
        """Every word (coils and inputs: bit) that was answered, by function and address."""
        words = {}
        for exchange in self.exchanges:
            function, start, count = struct.unpack(">BHH", self.pdu(exchange.request))
            reply = self.pdu(exchange.reply)
            assert reply[0] == function
            assert reply[1] == len(reply) - 2 == ((count + 7) // 8 if function < 3 else 2 * count)
            if function < 3:
                answered = tuple(reply[2 + i // 8] >> i % 8 & 1 for i in range(count))
            else:
                answered = struct.unpack(f">{count}H", reply[2:])
            for i, word in enumerate(answered):
                words[function, start + i] = word
        return words


def read_transcript(path: Path) -> Transcript:
    transcript = Transcript({}, [])
    for line in path.read_text(encoding="utf-8").splitlines():
        mark, _, rest = line.partition(" ")
        if mark == "#":
            key, _, value = rest.partition(": ")
            transcript.head[key] = value
        elif mark == ">>":
            transcript.exchanges.append(Exchange(bytes.fromhex(rest), b""))
        elif mark == "<<":
            transcript.exchanges[-1].reply += bytes.fromhex(rest)
        elif mark == "=":
            point, value, unit, quality = rest.split(" ")
            assert point not in transcript.exchanges[-1].values
            transcript.exchanges[-1].values[point] = (value, unit, quality)
        else:
            assert line in ("", "pause"), line
    return transcript


def crc(frame: bytes) -> bytes:
    remainder = 0xFFFF
    for byte in frame:
        remainder ^= byte
        for _ in range(8):
            remainder = (remainder >> 1) ^ 0xA001 if remainder & 1 else remainder >> 1
    return struct.pack("<H", remainder)


def expected(words: list[int], kind: str, order: str, mask: int | None, scale: float, offset: float) -> Fraction:
    """The value of raw words, in fractions: for floats the shortest decimal that reads back as the same float32."""
    raw = b"".join(struct.pack(">H", word) for word in words)
    if len(words) == 2:
        places = {"ABCD": (0, 1, 2, 3), "CDAB": (2, 3, 0, 1), "BADC": (1, 0, 3, 2), "DCBA": (3, 2, 1, 0)}[order]
        raw = bytes(raw[place] for place in places)
    if kind == "f32":
        single = struct.unpack(">f", raw)[0]
        short = next(text for digits in range(1, 12) if struct.pack(">f", float(text := f"{single:.{digits}g}")) == raw)
        return Fraction(short) * Fraction(repr(scale)) + Fraction(repr(offset))
    if kind == "f64":
        assert order == "ABCD"
        return Fraction(repr(struct.unpack(">d", raw)[0])) * Fraction(repr(scale)) + Fraction(repr(offset))
    number = int.from_bytes(raw, "big", signed=kind.startswith("s"))
    if mask is not None:
        number &= mask
        while not mask & 1:
            mask >>= 1
            number >>= 1
    return number * Fraction(repr(scale)) + Fraction(repr(offset))
