"""Pure. What transcripts of profiles mean, reckoned a second way, with nothing of the product's framing, decoding or scaling."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from edge_agent.config.profile_file import PointFile
from edge_agent.config.transcript import Exchange, Transcript

FUNCTION_OF = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
WORDS_OF = {"16": 1, "32": 2, "48": 3, "64": 4}
Image = Mapping[tuple[int, int], int]
"""Every word (coils and inputs: bit) that was answered, by function and address."""


def readings_in(transcript: Transcript) -> list[Exchange]:
    """The exchanges that read points; the others are steps of the profile, which edge_agent/config/proof.py proves."""
    return [exchange for exchange in transcript.exchanges if exchange.step is None]


def asked(transcript: Transcript, exchange: Exchange) -> tuple[int, int, int]:
    """Function, address and count."""
    function, start, count = struct.unpack(">BHH", pdu(transcript, exchange.request))
    return function, start, count


def pdu(transcript: Transcript, frame: bytes) -> bytes:
    """The frame without its framing; raises AssertionError where the framing is wrong."""
    if transcript.framing == "tcp":
        length = struct.unpack(">H", frame[4:6])[0]
        assert length == len(frame) - 6
        return frame[7:]
    assert frame[-2:] == crc(frame[:-2])
    return frame[1:-2]


def image_of(transcript: Transcript) -> dict[tuple[int, int], int]:
    """What all readings answer."""
    words = {}
    for exchange in readings_in(transcript):
        assert [line.kind for line in exchange.lines if line.kind != "pause"] == ["send", "come"], exchange.number
        function, start, count = asked(transcript, exchange)
        reply = pdu(transcript, exchange.lines[-1].payload)
        assert reply[0] == function
        assert reply[1] == len(reply) - 2 == ((count + 7) // 8 if function < 3 else 2 * count)
        if function < 3:
            answered = tuple(reply[2 + i // 8] >> i % 8 & 1 for i in range(count))
        else:
            answered = struct.unpack(f">{count}H", reply[2:])
        for i, word in enumerate(answered):
            words[function, start + i] = word
    return words


def crc(frame: bytes) -> bytes:
    remainder = 0xFFFF
    for byte in frame:
        remainder ^= byte
        for _ in range(8):
            remainder = (remainder >> 1) ^ 0xA001 if remainder & 1 else remainder >> 1
    return struct.pack("<H", remainder)


@dataclass(frozen=True)
class Reckoned:
    """The values of a profile's points, in fractions. parameters: those of the device."""

    points: Mapping[str, PointFile]
    image: Image
    parameters: Mapping[str, float]

    def text(self, name: str) -> str:
        """The letters of a point, those before the first NUL."""
        point = self.points[name]
        raw = b"".join(struct.pack(">H", self.image[place]) for place in places_of(point))
        return raw[2 - point.letters :: 3 - point.letters].split(b"\0")[0].decode("ascii").strip()

    def value(self, name: str) -> Fraction:
        """raw x scale x what others multiply + what others add + offset."""
        point = self.points[name]
        value = _raw(point, self.image) * Fraction(repr(point.scale))
        for factor in point.scale_by:
            said = Fraction(repr(self.parameters[factor.of])) if factor.of in self.parameters else self.value(factor.of)
            if factor.factors:
                value *= Fraction(repr(factor.factors[str(int(said))]))
            else:
                value *= {
                    "factor": lambda n: n,
                    "decimals": lambda n: Fraction(10) ** -int(n),
                    "exponent": lambda n: Fraction(10) ** int(n),
                }[factor.taken](said)
        more = sum((self.value(term.of) * Fraction(repr(term.times)) for term in point.plus), Fraction(0))
        return value + more + Fraction(repr(point.offset))


def places_of(point: PointFile) -> Iterator[tuple[int, int]]:
    """Function and address of each of its words."""
    kind = point.raw_type
    words = point.length or (1 if kind == "bool" else WORDS_OF[kind[-2:]])
    yield from ((FUNCTION_OF[point.table], point.address + i) for i in range(words))


def _raw(point: PointFile, image: Image) -> Fraction:
    raw = b"".join(struct.pack(">H", image[place]) for place in places_of(point))
    pairs = [raw[i : i + 2] for i in range(0, len(raw), 2)]
    if point.order in ("CDAB", "DCBA"):
        pairs = pairs[::-1]
    raw = b"".join(pair[::-1] if point.order in ("BADC", "DCBA") else pair for pair in pairs)
    kind = point.raw_type
    if kind[0] == "f":
        return _shortest(raw, {"f16": ">e", "f32": ">f", "f64": ">d"}[kind])
    number, bits = int.from_bytes(raw, "big"), 8 * len(raw)
    if point.bits_of_value is not None:
        low = next(bit for bit in range(bits) if point.bits_of_value >> bit & 1)
        number, bits = (number & point.bits_of_value) >> low, bin(point.bits_of_value >> low).count("1")
    if kind.startswith("bcd"):
        number = int(f"{number:x}")
    if kind[0] == "s" and number >= 1 << (bits - 1):
        number -= 1 << bits
    if point.negative_from is not None and number >= point.negative_from:
        number = point.negative_from - number
    return Fraction(number)


def _shortest(raw: bytes, form: str) -> Fraction:
    """The shortest decimal that reads back as the same float."""
    value = struct.unpack(form, raw)[0]
    return Fraction(next(text for digits in range(1, 18) if struct.pack(form, float(text := f"{value:.{digits}g}")) == raw))
