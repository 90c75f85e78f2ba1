"""Pure. Which replies may still come, and which addresses cannot be believed: the memory of a line whose replies have no number.

A reply that comes later than its window could be taken for the answer to the next request. So a request whose reply is still owed
is remembered by its shape - function and length - and a device is asked for anything of that shape again only when something of
another shape was answered in between: devices answer in order, so nothing older can come behind it.

Order says nothing where two devices have one address. Both answer, so the first questions to a device are listened to a little
longer than needed, and where two different answers come to one question the address is doubted: what comes from there is no value
until a number of questions in a row were answered once.
"""

from __future__ import annotations

from typing import NamedTuple

from edge_agent.protocols.modbus_frames import Expected

_KEPT = 32
_FIRST_QUESTIONS = 4
"""So many questions to a device are listened to after their answer."""
_CLEAN_ANSWERS = 16
"""So many questions in a row must be answered once before a doubted address is believed again."""


class Shape(NamedTuple):
    """What tells one reply of a device from another on a line without transaction numbers."""

    function: int
    length: int


def shape_of(expected: Expected) -> Shape:
    """The shape of the reply that is waited for."""
    return Shape(expected.head[0], expected.length)


class Debts:
    """By unit: the replies that are owed, oldest first."""

    def __init__(self) -> None:
        self._owed: dict[int, list[Shape]] = {}

    def any(self, unit: int) -> bool:
        """True where anything is owed."""
        return bool(self._owed.get(unit))

    def includes(self, unit: int, shape: Shape) -> bool:
        """True where a reply of this shape may still come."""
        return shape in self._owed.get(unit, ())

    def missed(self, unit: int, shape: Shape) -> None:
        """A question was not answered in its window."""
        self._owed[unit] = [*self._owed.get(unit, []), shape][-_KEPT:]

    def forgive(self, unit: int) -> None:
        """Nothing of a unit is feared any more."""
        self._owed.pop(unit, None)

    def rested(self, unit: int) -> None:
        """Of what a unit owes, the newest alone is still feared."""
        if unit in self._owed:
            self._owed[unit] = self._owed[unit][-1:]

    def answered(self, unit: int, shape: Shape) -> None:
        """An answer of this shape came: the first one owed, or this question's. What was asked before that came or never will."""
        owed = self._owed.get(unit, [])
        self._owed[unit] = [*owed[owed.index(shape) + 1 :], shape] if shape in owed else []

    def excepted(self, unit: int, shape: Shape) -> None:
        """An exception to this function came, perhaps that of the oldest debt of the same function: then this answer is owed."""
        owed = self._owed.get(unit, [])
        functions = [debt.function for debt in owed]
        paid = functions.index(shape.function) if shape.function in functions else None
        self._owed[unit] = [] if paid is None else [*owed[paid + 1 :], shape]


class Doubts:
    """By unit: how far its answers are listened to, and whether they are believed."""

    def __init__(self) -> None:
        self._to_hear: dict[int, int] = {}
        self._doubted: set[int] = set()

    def is_listened(self, unit: int) -> bool:
        """True while the line is listened to behind an answer of this unit."""
        return self._to_hear.get(unit, _FIRST_QUESTIONS) > 0

    def is_doubted(self, unit: int) -> bool:
        """True while two devices seem to answer at this unit."""
        return unit in self._doubted

    def contradicted(self, unit: int) -> None:
        """Two different answers came to one question."""
        self._doubted.add(unit)
        self._to_hear[unit] = _CLEAN_ANSWERS

    def clean(self, unit: int) -> None:
        """One answer came to a question that was listened to."""
        left = self._to_hear.get(unit, _FIRST_QUESTIONS) - 1
        self._to_hear[unit] = max(left, 0)
        if left <= 0:
            self._doubted.discard(unit)
