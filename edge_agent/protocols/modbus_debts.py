"""Pure. Which replies may still come, and which addresses cannot be believed: the memory of a line whose replies have no number.

A reply that comes later than its window could be taken for the answer to the next request. So a request whose reply is still owed
is remembered by its shape - function and length - and a device is asked for anything of that shape again only when its reply was
seen to come late, or something of another shape was answered in between: devices answer in order, so nothing older can come behind.

Order says nothing where two devices have one address. Both answer, so the first questions to a device are listened to a little
longer than needed. Where two different answers come to one question, or an answer comes that nobody owes, the address is doubted:
what comes from there is no value until questions were answered once, in a row and for a while.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from edge_agent.protocols.modbus_frames import Shape

_MOST_HELD = 16
"""No device keeps more answers back than this."""
_RUNS_KEPT = 256
_FIRST_QUESTIONS = 4
"""So many questions to a device are listened to after their answer."""
_CLEAN_ANSWERS, _CLEAN_MS = 16, 60_000
"""So many questions in a row, over so long, must be answered once before a doubted address is believed again."""

GATEWAY_CODES = frozenset((10, 11))
"""Exceptions said by a gateway, not by the device: its own answer may still come."""
_Runs = list[tuple[Shape, int]]


def is_of_gateway(pdu: bytes) -> bool:
    """True for an exception that a gateway says in the place of the device."""
    return bool(pdu[0] & 0x80) and pdu[1] in GATEWAY_CODES


class Debts:
    """By unit: the replies that are owed, oldest first, as runs of one shape."""

    def __init__(self) -> None:
        self._owed: dict[int, _Runs] = {}
        self._excused: dict[int, Counter[Shape]] = {}
        """What may still come and is not feared any more."""

    def any(self, unit: int) -> bool:
        """True where anything is owed."""
        return bool(self._owed.get(unit))

    def includes(self, unit: int, shape: Shape) -> bool:
        """True where a reply of this shape may still come."""
        return any(owed == shape for owed, _ in self._owed.get(unit, ()))

    def includes_function(self, unit: int, function: int) -> bool:
        """True where a reply to this function may still come."""
        return any(owed.function == function for owed, _ in self._owed.get(unit, ()))

    def missed(self, unit: int, shape: Shape) -> None:
        """A question was not answered in its window."""
        runs = self._owed.setdefault(unit, [])
        if runs and runs[-1][0] == shape:
            runs[-1] = (shape, min(runs[-1][1] + 1, _MOST_HELD))
        else:
            runs.append((shape, 1))
            del runs[:-_RUNS_KEPT]

    def excuse(self, unit: int) -> None:
        """Nothing of a unit is feared any more, though it may come."""
        self._excused.setdefault(unit, Counter()).update(dict(self._owed.pop(unit, ())))

    def rested(self, unit: int) -> None:
        """Of what a unit owes, the newest alone is still feared."""
        if self.any(unit):
            newest = self._owed[unit][-1][0]
            self.excuse(unit)
            self.missed(unit, newest)

    def is_excused(self, unit: int, pdu: bytes) -> bool:
        """True where a reply is one that was not feared any more; each is so once."""
        excused = self._excused.get(unit, Counter())
        shape = next((shape for shape, count in excused.items() if count and shape.fits(pdu)), None)
        if shape is not None:
            excused[shape] -= 1
        return shape is not None

    def answered(self, unit: int, shape: Shape) -> None:
        """An answer of this shape came: the first one owed, or this question's. What was asked before that came or never will."""
        if self.paid(unit, shape):
            self.missed(unit, shape)
        else:
            self._owed.pop(unit, None)

    def excepted(self, unit: int, shape: Shape) -> None:
        """An exception to this function came, perhaps that of the oldest debt of the same function: then this answer is owed."""
        if self.paid_by_exception(unit, shape.function):
            self.missed(unit, shape)
        else:
            self._owed.pop(unit, None)

    def paid(self, unit: int, shape: Shape) -> bool:
        """A reply of this shape came, to no question of now: it is the first one owed, if any is, and nothing older will come."""
        return self._pay(unit, [owed == shape for owed, _ in self._owed.get(unit, ())])

    def paid_by_exception(self, unit: int, function: int) -> bool:
        """The same for an exception to a function."""
        return self._pay(unit, [owed.function == function for owed, _ in self._owed.get(unit, ())])

    def _pay(self, unit: int, are_meant: list[bool]) -> bool:
        if True not in are_meant:
            return False
        first = are_meant.index(True)
        shape, count = self._owed[unit][first]
        self._owed[unit] = [*([(shape, count - 1)] if count > 1 else []), *self._owed[unit][first + 1 :]]
        return True


class Doubts:
    """By unit: how far its answers are listened to, and whether they are believed."""

    def __init__(self) -> None:
        self._to_hear: dict[int, int] = {}
        self._doubted_ms: dict[int, int] = {}
        """How long it has been quiet at a doubted unit."""
        self._suspected: set[int] = set()

    def is_listened(self, unit: int) -> bool:
        """True while the line is listened to behind an answer of this unit."""
        return self._to_hear.get(unit, _FIRST_QUESTIONS) > 0 or unit in self._doubted_ms

    def is_doubted(self, unit: int) -> bool:
        """True while two devices seem to answer at this unit."""
        return unit in self._doubted_ms

    def is_suspected(self, unit: int) -> bool:
        """True where the next answer of this unit may be that to an earlier question: then its own follows in the same window."""
        return unit in self._suspected

    def suspect(self, unit: int) -> None:
        """What is owed was forgiven without proof."""
        self._suspected.add(unit)

    def contradicted(self, unit: int) -> None:
        """Two different answers came to one question, or one that nobody owes."""
        self._doubted_ms[unit] = 0
        self._to_hear[unit] = _CLEAN_ANSWERS

    def passed(self, unit: int, span_ms: int) -> None:
        """So long nothing was said at a unit."""
        if unit in self._doubted_ms:
            self._doubted_ms[unit] += span_ms

    def heard_out(self, unit: int) -> None:
        """Nothing else came behind an answer, as far as it was listened to."""
        self._suspected.discard(unit)
        left = max(0, self._to_hear.get(unit, _FIRST_QUESTIONS) - 1)
        self._to_hear[unit] = left
        if not left and self._doubted_ms.get(unit, 0) >= _CLEAN_MS:
            del self._doubted_ms[unit]


class Memory:
    """Debts and doubts of a line, and what was heard on it beside the answers that were waited for."""

    def __init__(self) -> None:
        self.debts = Debts()
        self.doubts = Doubts()
        self._shapes: dict[int, set[Shape]] = {}
        self._last: dict[int, bytes] = {}
        self._functions: dict[int, set[int]] = {}
        self._given_up: set[int] = set()

    @property
    def shapes(self) -> Mapping[int, set[Shape]]:
        """By unit: what it was asked for."""
        return self._shapes

    def has_answered(self, unit: int, function: int | None = None) -> bool:
        """True where the unit answered something, or refused it; to this function."""
        return unit in self._last if function is None else function in self._functions.get(unit, ())

    def asked(self, unit: int, shape: Shape) -> None:
        """A question goes out."""
        self._shapes.setdefault(unit, set()).add(shape)

    def missed(self, unit: int, shape: Shape) -> None:
        """Its window was waited out, and nothing came."""
        self.debts.missed(unit, shape)
        self._given_up.discard(unit)

    def given_up(self, unit: int, shape: Shape) -> None:
        """It was given up before its window was over."""
        self.debts.missed(unit, shape)
        self._given_up.add(unit)

    def was_given_up(self, unit: int) -> bool:
        """True where the newest question without an answer was given up before its window was over."""
        return unit in self._given_up

    def answered(self, unit: int, shape: Shape, pdu: bytes) -> None:
        """Its answer came."""
        self._keep(unit, pdu)
        if pdu[0] & 0x80:
            self.debts.excepted(unit, shape)
        else:
            self.debts.answered(unit, shape)

    def overheard(self, replies: Iterable[tuple[int, bytes]]) -> None:
        """Whole replies came that nobody waited for, in this order: late ones, the same ones again, or those of a second device."""
        for unit, pdu in replies:
            if self._last.get(unit) == pdu or is_of_gateway(pdu):
                continue
            self._keep(unit, pdu)
            if pdu[0] & 0x80:
                is_owed = self.debts.paid_by_exception(unit, pdu[0] & 0x7F)
            else:
                is_owed = any(self.debts.paid(unit, shape) for shape in self._shapes.get(unit, ()) if shape.fits(pdu))
            if not is_owed and not self.debts.any(unit) and not self.debts.is_excused(unit, pdu):
                self.doubts.contradicted(unit)

    def _keep(self, unit: int, pdu: bytes) -> None:
        self._last[unit] = pdu
        self._functions.setdefault(unit, set()).add(pdu[0] & 0x7F)
