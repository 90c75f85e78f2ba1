"""Pure. Whether a write-ahead log of SQLite has been damaged since it was written, and what of it is sound.

SQLite reads a log up to the first frame whose checksum is wrong and takes that for its end, as a torn write leaves it. A bit that
changes later ends it as well, and every commit behind it is gone without a word. The two differ. Where synchronous is FULL only
the last transaction can be torn, so a commit that another frame follows was durable; and a single bit that has changed makes the
checksum wrong in a way that chance does not. `examine` finds both.

Not to be told from a torn write, which nobody was told of: more than one bit in the last transaction, or where a commit's own
frame has lost its mark and the last transaction alone follows.

Form (https://www.sqlite.org/walformat.html): 32 bytes of header - magic, version, page size, checkpoint, two salts, two sums - and
frames of 24 + page bytes: page, size of the database after a commit (else 0), salts, sums. Each sum goes on from the one before.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal, NamedTuple

HEADER, FRAME = 32, 24
SECTOR = 512
_MAGIC = {0x377F0682: "little", 0x377F0683: "big"}
_VERSION = 3007000
_PAGE_SIZES = frozenset(1 << n for n in range(9, 17))
_MASK = 0xFFFFFFFF
Read = Callable[[int, int], bytes]
"""(offset, count) -> so many bytes of the log, fewer at its end."""
Sums = tuple[int, int]
Order = Literal["little", "big"]


@dataclass(frozen=True, slots=True)
class Found:
    """What was found. flips: (offset, bit) to be changed back; kept: where is_damaged, the frames that may be believed, or one bit
    of whose page is wrong and nobody knows which."""

    flips: tuple[tuple[int, int], ...] = ()
    is_damaged: bool = False
    kept: tuple[int, ...] = ()
    page_bytes: int = 0
    order: Order = "little"
    salts: bytes = b""


class _Flip(NamedTuple):
    """One bit that explains why a frame is wrong, and the sums from which the next one goes on."""

    offset: int
    bit: int
    after: Sums


def sums(order: Order, content: bytes, before: Sums = (0, 0)) -> Sums:
    """The checksum of so many bytes (a multiple of 8), going on from the one before."""
    s0, s1 = before
    words = _words(order, content)
    for at in range(0, len(words), 2):
        s0 = (s0 + words[at] + s1) & _MASK
        s1 = (s1 + words[at + 1] + s0) & _MASK
    return s0, s1


def examine(read: Read, size: int) -> Found:
    """Looks at a log of `size` bytes. Nothing is found in a sound one, nor in one whose last transaction is torn."""
    header = read(0, HEADER)
    if len(header) < HEADER:
        return Found()
    if _is_header(header):
        return _frames_of(read, size, header).found([])
    flips = [flip for flip in _each_bit(HEADER) if _is_header(_flipped(header, flip))]
    for flip in flips:
        frames = _frames_of(read, size, _flipped(header, flip))
        if len(flips) == 1 or frames.begins_well:
            return frames.found([flip])
    return _without_header(read, size)


def rebuilt(read: Read, found: Found) -> Iterator[bytes]:
    """The log anew, of the frames that are kept; empty where none is."""
    if not found.kept:
        return
    order, page_bytes, salts = found.order, found.page_bytes, found.salts
    magic = next(magic for magic, name in _MAGIC.items() if name == order)
    header = struct.pack(">4I", magic, _VERSION, page_bytes, 0) + salts
    before = sums(order, header)
    yield header + struct.pack(">2I", *before)
    for number in found.kept:
        frame = _mended(read(HEADER + number * (FRAME + page_bytes), FRAME + page_bytes), found, number)
        before = sums(order, _covered(frame), before)
        yield frame[:8] + salts + struct.pack(">2I", *before) + frame[FRAME:]


class _Frames:
    """The frames of one log. salts: of those that belong to it; others are left from before it was begun anew."""

    def __init__(self, read: Read, size: int, order: Order, page_bytes: int, salts: bytes, before: Sums) -> None:
        self._read = read
        self._order: Order = order
        self._page_bytes = page_bytes
        self._salts = salts
        self._before = before
        self.count = max(0, size - HEADER) // (FRAME + page_bytes)

    @property
    def begins_well(self) -> bool:
        """True if the first frame goes on from the header."""
        return self._follows(0, self._before)

    def found(self, flips: list[tuple[int, int]]) -> Found:
        """What all of it comes to. flips: of the header."""
        before, at, spoiled = self._before, 0, self.count
        good: list[int] = []
        while at < self.count:
            if self._follows(at, before):
                before = self._told(at)
                good.append(at)
            elif not (candidates := self._flips(at, before)):
                break
            else:
                before = candidates[0].after
                spoiled = min(spoiled, at) if len(candidates) > 1 else spoiled
                flip = self._likely(at, candidates)
                if flip is not None:
                    flips.append((self._begins(at) + flip.offset, flip.bit))
                good.append(at)
            at += 1
        beyond = self._sound_beyond(at)
        is_spoiled = any(self._is_commit(number) for number in good if number >= spoiled)
        if is_spoiled or self._was_durable(at, beyond):
            return self.damaged(flips, [*good, *beyond])
        return Found(tuple(flips))

    def without_start(self) -> Found:
        """The same where there is no header. It was durable before its first frame, so that any commit behind it was told."""
        return self.damaged([], self._sound_beyond(0))

    def damaged(self, flips: list[tuple[int, int]], sound: Sequence[int]) -> Found:
        """Of a log that is damaged: these frames up to the last commit among them."""
        found = Found(tuple(flips), True, tuple(sound), self._page_bytes, self._order, self._salts)
        last = max((n for n in sound if any(_mended(self._frame(n), found, n)[4:8])), default=-1)
        return replace(found, kept=tuple(n for n in sound if n <= last))

    def _follows(self, number: int, before: Sums) -> bool:
        frame = self._frame(number)
        is_one = len(frame) == FRAME + self._page_bytes and frame[8:16] == self._salts and any(frame[:4])
        return is_one and sums(self._order, _covered(frame), before) == _pair(frame[16:24])

    def _sound_beyond(self, number: int) -> list[int]:
        """Frames behind one that is none, each by what the one before it says."""
        heads = ((each, self._read(self._begins(each) + 8, 8)) for each in range(number + 1, self.count))
        return [each for each, salts in heads if salts == self._salts and self._follows(each, self._told(each - 1))]

    def _was_durable(self, end: int, beyond: Sequence[int]) -> bool:
        """True if a commit at or behind the end was followed by another frame: that was written when it was durable."""
        there = set(beyond)
        marks = {number for number in beyond if self._is_commit(number)}
        begins = self._begins(end)
        is_of_one_sector = (begins + 4) // SECTOR == (begins + FRAME - 1) // SECTOR
        if is_of_one_sector and self._read(begins + 8, 8) == self._salts and self._is_commit(end):
            marks.add(end)
        return any(number + 1 in there for number in marks)

    def _flips(self, number: int, before: Sums) -> list[_Flip]:
        """Every single bit that explains what is wrong with the frame. Of high bits several do; the next frame may tell."""
        frame = self._frame(number)
        computed, told = sums(self._order, _covered(frame), before), _pair(frame[16:24])
        if frame[8:16] != self._salts:
            place = _one_bit(frame[8:16], self._salts, 8) if computed == told and any(frame[:4]) else None
            return [_Flip(*place, told)] if place is not None else []
        found = [_Flip(*place, told) for place in self._inside(frame, computed, told)]
        place = _one_bit(frame[16:24], struct.pack(">2I", *computed), 16)
        if place is not None:
            found.append(_Flip(*place, computed))
        if len(found) > 1:
            fitting = [flip for flip in found if self._follows(number + 1, flip.after)]
            return fitting or found
        return found

    def _likely(self, number: int, flips: list[_Flip]) -> _Flip | None:
        """The one to be put right; None where nobody knows, and the page is left as it is under a number that can be."""
        frame = self._frame(number)
        if len(flips) == 1 or self._is_likely(number, frame):
            return flips[0] if len(flips) == 1 else None
        return next((flip for flip in flips if flip.offset < 8 and self._is_likely(number, _flipped(frame, flip[:2]))), None)

    def _is_likely(self, number: int, frame: bytes) -> bool:
        """True if page and size can be so, as the commits of the other frames say."""
        page, size = _pair(frame)
        others = (self._read(self._begins(n) + 4, 12) for n in range(self.count) if n != number)
        most = max((int.from_bytes(each[:4], "big") for each in others if each[4:] == self._salts), default=page) + self.count
        return 0 < page <= most and (size == 0 or page <= size <= most)

    def _inside(self, frame: bytes, computed: Sums, told: Sums) -> Iterator[tuple[int, int]]:
        """In what the sums cover. A word that is wrong by d makes the sums wrong by d times what its place says."""
        d0, d1 = (computed[0] - told[0]) & _MASK, (computed[1] - told[1]) & _MASK
        words = _words(self._order, _covered(frame))
        even, odd = (1, 1), (0, 1)
        for pair in range(len(words) // 2 - 1, -1, -1):
            for word, (p0, p1) in ((2 * pair, even), (2 * pair + 1, odd)):
                for bit in range(32):
                    wrong = 1 << bit if words[word] >> bit & 1 else -(1 << bit)
                    if (wrong * p0) & _MASK == d0 and (wrong * p1) & _MASK == d1:
                        byte = 4 * word + (bit // 8 if self._order == "little" else 3 - bit // 8)
                        yield (byte if byte < 8 else byte + FRAME - 8), bit % 8
            even, odd = _further(even), _further(odd)

    def _is_commit(self, number: int) -> bool:
        return any(self._read(self._begins(number) + 4, 4))

    def _told(self, number: int) -> Sums:
        return _pair(self._read(self._begins(number) + 16, 8))

    def _begins(self, number: int) -> int:
        return HEADER + number * (FRAME + self._page_bytes)

    def _frame(self, number: int) -> bytes:
        return self._read(self._begins(number), FRAME + self._page_bytes)


def _frames_of(read: Read, size: int, header: bytes) -> _Frames:
    page_bytes = int.from_bytes(header[8:12], "big")
    return _Frames(read, size, _order(header), page_bytes, header[16:24], _pair(header[24:32]))


def _without_header(read: Read, size: int) -> Found:
    """The salts stand in each frame too; a sector that was lost may have taken the first one's."""
    for page_bytes in (4096, *sorted(_PAGE_SIZES - {4096})):
        for order, number in product(_MAGIC.values(), (0, 1)):
            salts = read(HEADER + number * (FRAME + page_bytes) + 8, 8)
            frames = _Frames(read, size, order, page_bytes, salts, (0, 0))  # type: ignore[arg-type]
            if frames.count > 1 and (found := frames.without_start()).kept:
                return found
    return Found(is_damaged=any(read(0, SECTOR)))  # zeros: the medium never got as far


def _is_header(header: bytes) -> bool:
    magic, version, page_bytes = struct.unpack(">3I", header[:12])
    if magic not in _MAGIC or version != _VERSION or page_bytes not in _PAGE_SIZES:
        return False
    return sums(_order(header), header[:24]) == _pair(header[24:32])


def _mended(frame: bytes, found: Found, number: int) -> bytes:
    begins = HEADER + number * (FRAME + found.page_bytes)
    for offset, bit in found.flips:
        if begins <= offset < begins + len(frame):
            frame = _flipped(frame, (offset - begins, bit))
    return frame


def _covered(frame: bytes) -> bytes:
    """What the sums of a frame cover."""
    return frame[:8] + frame[FRAME:]


def _further(place: Sums) -> Sums:
    """What a wrong word is worth one pair of words later."""
    p0 = (place[0] + place[1]) & _MASK
    return p0, (place[1] + p0) & _MASK


def _words(order: Order, content: bytes) -> tuple[int, ...]:
    return struct.unpack(f"{'<' if order == 'little' else '>'}{len(content) // 4}I", content)


def _order(header: bytes) -> Order:
    return "big" if header[3] == 0x83 else "little"


def _pair(content: bytes) -> Sums:
    return int.from_bytes(content[:4], "big"), int.from_bytes(content[4:8], "big")


def _one_bit(found: bytes, wanted: bytes, begins: int) -> tuple[int, int] | None:
    """Where the two differ, if that is a single bit."""
    wrong = int.from_bytes(found, "little") ^ int.from_bytes(wanted, "little")
    if wrong.bit_count() != 1:
        return None
    place = wrong.bit_length() - 1
    return begins + place // 8, place % 8


def _each_bit(count: int) -> Iterator[tuple[int, int]]:
    return ((offset, bit) for offset in range(count) for bit in range(8))


def _flipped(content: bytes, flip: tuple[int, int]) -> bytes:
    offset, bit = flip
    return content[:offset] + bytes([content[offset] ^ 1 << bit]) + content[offset + 1 :]
