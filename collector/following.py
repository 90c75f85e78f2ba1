"""Pure. Reads a log in order for one consumer and holds back what cannot be understood yet.

A batch whose birth has not come is held with the others of that birth, in order, and handed on right behind the birth. Others go
on: store and rules give the same for every order of arrival. What is held is remembered by offset, so that the consumer can save
it with its cursor and hold the same after a restart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from collector.domain.interpreted import Interpreted
from collector.intake.records import Record

Understand = Callable[[Record], Interpreted | None]
"""The record with its birth applied, or None while the birth is unknown. A birth is known from then on. Raises Malformed."""

MAX_HELD = 50_000
"""Records held; beyond it the oldest is let go and counted."""


class Following:
    """The place of one consumer in the log."""

    def __init__(self, understand: Understand, position: int) -> None:
        self._understand = understand
        self._held: dict[int, Record] = {}
        self.position = position
        """Everything up to this offset was fed."""
        self.let_go = 0
        """Records whose birth never came."""

    @property
    def held(self) -> tuple[int, ...]:
        """Offsets of what waits for its birth, ascending."""
        return tuple(self._held)

    @property
    def safe(self) -> int:
        """The offset up to which nothing is missing: just below the first held record."""
        return min(self._held, default=self.position + 1) - 1

    def hold(self, records: Iterable[Record]) -> list[Interpreted]:
        """Takes up again, after a restart, what was held before; gives what can be understood meanwhile."""
        return [known for record in records for known in self._take(record)]

    def feed(self, records: Sequence[Record]) -> list[Interpreted]:
        """What can be handed on after these, in order."""
        ready: list[Interpreted] = []
        for record in records:
            ready += self._take(record)
            self.position = record.offset
        return ready

    def give_up(self, received_before_ms: int) -> list[int]:
        """Lets go of what has waited since before this time (collector's clock); gives its offsets."""
        old = [offset for offset, record in self._held.items() if record.received_ms < received_before_ms]
        for offset in old:
            self._let_go(offset)
        return old

    def _take(self, record: Record) -> list[Interpreted]:
        known = self._understand(record)
        if known is None:
            self._held[record.offset] = record
            if len(self._held) > MAX_HELD:
                self._let_go(min(self._held))
            return []
        return [known, *self._release()] if known.birth is not None else [known]

    def _release(self) -> list[Interpreted]:
        ready: list[Interpreted] = []
        for offset, record in list(self._held.items()):
            known = self._understand(record)
            if known is not None:
                del self._held[offset]
                ready.append(known)
        return ready

    def _let_go(self, offset: int) -> None:
        del self._held[offset]
        self.let_go += 1
