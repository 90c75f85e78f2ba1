"""Pure. Modbus ASCII frames with their LRC, and finding the one acceptable reply in what comes.

    ':' then two hexadecimal digits (0-9 A-F) for each byte of unit, PDU, LRC, then CR LF      MODBUS over Serial Line V1.02, 2.5.2

LRC: the two's complement of the sum of unit and PDU. Up to a second may pass between two characters (2.5.2.1). A colon begins a
frame wherever it stands, so that noise before it and a frame that broke off are left behind.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from edge_agent.protocols.modbus_frames import MAX_PDU, Expected, Shape

CHARACTER_MS = 1000
"""The longest pause between two characters of one frame."""
_BEGIN, _CR, _LF = b":"[0], b"\r"[0], b"\n"[0]
_DIGITS = frozenset(b"0123456789ABCDEF")
_MAX_DIGITS = 2 * (MAX_PDU + 2)
_KEPT = 2048
_FRAME = re.compile(rb":((?:[0-9A-F]{2}){4,255})\r\n")


def lrc(body: bytes) -> int:
    """The check of unit and PDU."""
    return -sum(body) & 0xFF


def ascii_frame(unit: int, pdu: bytes) -> bytes:
    """The ASCII frame of a PDU."""
    body = bytes((unit,)) + pdu
    return b":" + (body + bytes((lrc(body),))).hex().upper().encode("ascii") + b"\r\n"


def ascii_replies(stream: bytes, shapes: Mapping[int, Iterable[Shape]]) -> list[tuple[int, bytes]]:
    """(unit, PDU) of each frame that has one of the shapes of its unit, or is an exception to it, in order."""
    frames = (bytes.fromhex(found[1].decode("ascii")) for found in _FRAME.finditer(stream))
    return [
        (frame[0], frame[1:-1])
        for frame in frames
        if lrc(frame[:-1]) == frame[-1] and any(shape.fits(frame[1:-1]) for shape in shapes.get(frame[0], ()))
    ]


class AsciiWindow:
    """Looks for the acceptable reply in the characters that come after one request, however they are cut.

    A frame equal to the request is an adapter's echo; of a write that is answered by the request itself, the second copy answers.
    """

    def __init__(self, unit: int, expected: Expected, request: bytes) -> None:
        self._unit = unit
        self._expected = expected
        self._request = request[1:-2]
        self._digits: bytearray | None = None
        self._ends = False
        self._came = bytearray()
        self.left = b""
        """What came in the same chunk behind the reply."""
        self.repeats = 0
        """How often the request itself came."""
        self.mismatches = 0
        """Whole frames whose LRC was wrong."""

    def feed(self, chunk: bytes) -> bytes | None:
        """The reply's PDU as soon as it is whole, else None."""
        for at, byte in enumerate(chunk, 1):
            if len(self._came) < _KEPT:
                self._came.append(byte)
            pdu = self._next(byte)
            if pdu is not None:
                self.left = chunk[at:]
                return pdu
        self.left = b""
        return None

    @property
    def came(self) -> bytes:
        """Everything that came and is not an echo."""
        return bytes(self._came)

    @property
    def has_begun(self) -> bool:
        """True in the middle of a frame."""
        return self._digits is not None

    def _next(self, byte: int) -> bytes | None:
        digits, ends = self._digits, self._ends
        if byte == _BEGIN:
            self._digits, self._ends = bytearray(), False
        elif digits is None:
            return None
        elif ends:
            self._digits, self._ends = None, False
            return self._whole(bytes(digits)) if byte == _LF else None
        elif byte == _CR:
            self._ends = True
        elif byte in _DIGITS and len(digits) < _MAX_DIGITS:
            digits.append(byte)
        else:
            self._digits = None
            self.mismatches += 1
        return None

    def _whole(self, digits: bytes) -> bytes | None:
        if digits == self._request:
            self.repeats += 1
            self._came.clear()
            pdu = bytes.fromhex(digits.decode("ascii"))[1:-1]
            return pdu if self.repeats > 1 and self._expected.is_repeated_by(pdu) else None
        if len(digits) < 8 or len(digits) % 2:
            self.mismatches += 1
            return None
        frame = bytes.fromhex(digits.decode("ascii"))
        if lrc(frame[:-1]) != frame[-1]:
            self.mismatches += 1
            return None
        return frame[1:-1] if frame[0] == self._unit and self._expected.accepts(frame[1:-1]) else None
