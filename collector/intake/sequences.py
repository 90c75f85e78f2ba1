"""Pure. A set of sequence numbers as ranges: what a lane has brought in is nearly always one range."""

from __future__ import annotations

from bisect import bisect_right


class Sequences:
    """Closed ranges in order, apart from each other. `text` and `parse` are each other's reverse: `1-7 9-9`."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    def __contains__(self, seq: int) -> bool:
        place = bisect_right(self._firsts, seq) - 1
        return place >= 0 and seq <= self._lasts[place]

    def add(self, first: int, last: int | None = None) -> None:
        """Takes in first..last, or one number."""
        last = first if last is None else last
        begin = bisect_right(self._lasts, first - 2)
        end = bisect_right(self._firsts, last + 1)
        if begin < end:
            first, last = min(first, self._firsts[begin]), max(last, self._lasts[end - 1])
        self._firsts[begin:end] = [first]
        self._lasts[begin:end] = [last]

    def ranges(self) -> list[tuple[int, int]]:
        """The ranges."""
        return list(zip(self._firsts, self._lasts, strict=True))

    def text(self) -> str:
        """For a column of text."""
        return ranges_text(self.ranges())


def ranges_text(ranges: list[tuple[int, int]] | tuple[tuple[int, int], ...]) -> str:
    """`1-7 9-9`."""
    return " ".join(f"{first}-{last}" for first, last in ranges)


def parse_ranges(text: str) -> tuple[tuple[int, int], ...]:
    """The ranges of such a text."""
    pairs = (part.split("-") for part in text.split())
    return tuple((int(first), int(last)) for first, last in pairs)
