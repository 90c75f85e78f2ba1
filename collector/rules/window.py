"""Pure. A window of time over one signal, in bounded memory.

Readings fall into at most BUCKETS steps of time (each keeps count, sum, extremes, first and last), so a window of any length
over any rate costs the same: 64 bytes a step, some 23 KiB once it is full. Where a step holds one reading every result is exact;
else the window's edge is sharp to one step.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Sequence
from operator import sub
from typing import cast

BUCKETS = 360
"""Steps of a window: one reading a second fits exactly into six minutes, one a minute into six hours."""
COVERED = 0.8
"""A window of which less than this share has been seen gives unknown."""
HOLE = 0.5
"""One hole longer than this share gives unknown: a few readings at both ends prove nothing."""

Plain = bytes | Sequence[Sequence[float]]
"""Steps as `dump` gives them; older states hold a list of eight numbers for each."""
_BYTES = 8


class Steps:
    """The readings of consecutive steps, oldest first, one column for each thing known of a step. All are of one length."""

    __slots__ = ("first", "first_ms", "high", "last", "last_ms", "low", "readings", "total")

    def __init__(self) -> None:
        self.first_ms = array("q")
        self.last_ms = array("q")
        self.readings = array("q")
        self.total = array("d")
        self.low = array("d")
        self.high = array("d")
        self.first = array("d")
        self.last = array("d")

    def __len__(self) -> int:
        return len(self.first_ms)

    def columns(self) -> tuple[array[float], ...]:
        """All columns, in the order of `Plain`."""
        found = (self.first_ms, self.last_ms, self.readings, self.total, self.low, self.high, self.first, self.last)
        return cast("tuple[array[float], ...]", found)


class Window:
    """The readings of the last `span_ms`."""

    __slots__ = ("_step_ms", "_steps", "span_ms")

    def __init__(self, span_ms: int) -> None:
        self.span_ms = span_ms
        self._step_ms = max(1, span_ms // BUCKETS)
        self._steps = Steps()

    def add(self, at_ms: int, value: float) -> None:
        """A reading, not older than those before."""
        steps = self._steps
        if steps.first_ms and steps.first_ms[-1] // self._step_ms == at_ms // self._step_ms:
            steps.last_ms[-1] = at_ms
            steps.readings[-1] += 1
            steps.total[-1] += value
            steps.low[-1] = min(steps.low[-1], value)
            steps.high[-1] = max(steps.high[-1], value)
            steps.last[-1] = value
            return
        for column, one in zip(steps.columns(), (at_ms, at_ms, 1, value, value, value, value, value), strict=True):
            column.append(one)
        self._drop_older(at_ms)  # here too: a condition that is false before it comes to this window never asks for it

    def at(self, at_ms: int) -> Steps | None:
        """The steps that are younger than the span at `at_ms`; None while too little of it has been seen."""
        steps = self._steps
        self._drop_older(at_ms)
        if not steps or at_ms - steps.first_ms[0] < COVERED * self.span_ms:
            return None
        return steps if self._longest_hole_ms() <= HOLE * self.span_ms else None

    def _drop_older(self, at_ms: int) -> None:
        steps, since_ms = self._steps, at_ms - self.span_ms
        old = next((n for n, last_ms in enumerate(steps.last_ms) if last_ms >= since_ms), len(steps))
        if old:
            for column in steps.columns():
                del column[:old]

    def _longest_hole_ms(self) -> int:
        return max(map(sub, self._steps.first_ms[1:], self._steps.last_ms), default=0)

    def dump(self) -> bytes:
        """What `load` reads: the columns one behind the other, eight bytes a number, little endian."""
        return b"".join(_little(column).tobytes() for column in self._steps.columns())

    def load(self, plain: Plain) -> None:
        """The window as it was. Raises ValueError for bytes that are none."""
        self._steps = Steps()
        columns = self._steps.columns()
        if not isinstance(plain, bytes):
            for step in plain:
                for column, one in zip(columns, step, strict=True):
                    column.append(int(one) if column.typecode == "q" else one)
            return
        size, rest = divmod(len(plain), len(columns) * _BYTES)
        if rest:
            raise ValueError("the steps of a window are cut off")
        for n, column in enumerate(columns):
            column.frombytes(plain[n * size * _BYTES : (n + 1) * size * _BYTES])
            if sys.byteorder == "big":
                column.byteswap()


def _little(column: array[float]) -> array[float]:
    if sys.byteorder == "little":
        return column
    turned = array(column.typecode, cast("Iterable[float]", column))
    turned.byteswap()
    return turned
