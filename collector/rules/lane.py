"""Pure. The sequences of one (gateway, epoch, lane): gives them on in order, holds back what stands behind a hole, and knows what
was passed over, so that what comes after all is told from what comes twice.
"""

from __future__ import annotations

import msgspec

from collector.domain.interpreted import Interpreted

PATIENCE_MS = 30_000
"""How long a missing sequence holds back those behind it."""
MAX_HELD = 2_000
"""Batches held back of one lane."""
MAX_PASSED = 64
"""Ranges remembered that were passed over; beyond it the two oldest become one, with what lies between them."""


class Lane(msgspec.Struct):
    """See the module."""

    next: int = 1
    held: dict[int, Interpreted] = {}
    since_ms: int = 0
    """Since when a hole has been open."""
    grace_ms: int = 0
    """What absences of the collector add to the patience with it."""
    passed: list[tuple[int, int]] = []
    """Below `next` and never seen, ascending: given up, or declared lost."""

    def take(self, message: Interpreted, now_ms: int) -> list[Interpreted]:
        """What may go on now that this one is here: nothing behind a hole and for what came before."""
        seq = message.seq
        if seq < self.next:
            return [message] if self._fill(seq) else []
        if seq in self.held:
            return []
        if not self.held:
            self._open(now_ms)
        self.held[seq] = message
        if len(self.held) > MAX_HELD:
            self._pass_to(min(self.held))
        return self._in_sequence(now_ms)

    def lose(self, first: int, last: int, now_ms: int) -> list[Interpreted]:
        """A range is declared lost: nothing waits for it any more. What of it is here goes on all the same."""
        ready: list[Interpreted] = []
        if first <= self.next <= last:
            for seq in sorted(seq for seq in self.held if seq <= last):
                self._pass_to(seq)
                ready += self._in_sequence(now_ms)
            self._pass_to(last + 1)
        return ready + self._in_sequence(now_ms)

    def give_up(self, now_ms: int) -> list[Interpreted]:
        """What stands behind holes that are too old now."""
        ready: list[Interpreted] = []
        while self.held and now_ms - self.since_ms - self.grace_ms > PATIENCE_MS:
            self._pass_to(min(self.held))
            ready += self._in_sequence(now_ms)
        return ready

    def _open(self, now_ms: int) -> None:
        self.since_ms, self.grace_ms = now_ms, 0

    def _pass_to(self, seq: int) -> None:
        if seq <= self.next:
            return
        self.passed.append((self.next, seq - 1))
        self.next = seq
        if len(self.passed) > MAX_PASSED:
            self.passed[:2] = [(self.passed[0][0], self.passed[1][1])]

    def _fill(self, seq: int) -> bool:
        """True for a sequence that was passed over; from now on it was here."""
        for place, (first, last) in enumerate(self.passed):
            if first <= seq <= last:
                self.passed[place : place + 1] = [(a, z) for a, z in ((first, seq - 1), (seq + 1, last)) if a <= z]
                return True
        return False

    def _in_sequence(self, now_ms: int) -> list[Interpreted]:
        ready: list[Interpreted] = []
        while (message := self.held.pop(self.next, None)) is not None:
            ready.append(message)
            self.next += 1
        if ready:
            self._open(now_ms)
        return ready
