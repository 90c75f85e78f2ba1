"""Pure. How long something has been known to hold: the dwell of raising and of clearing, over a three-valued truth."""

from __future__ import annotations

import msgspec


class Dwell(msgspec.Struct, array_like=True):
    """Adds up the time between neighbouring instants at which the truth was known to hold.

    Unknown stops the clock; unknown (or nothing) for longer than a hole starts it anew. Times ms, the caller's.
    """

    known_ms: int = 0
    """The newest instant at which the truth was known."""
    since_ms: int | None = None
    """The first instant of the unbroken stretch; None: does not hold."""
    held_ms: int = 0
    solid: bool = False
    """Nothing unknown since `known_ms`."""

    def see(self, truth: float | bool | None, at_ms: int, hole_ms: int) -> None:
        """One judgement; instants never go back."""
        if at_ms - self.known_ms > hole_ms:
            self.since_ms, self.held_ms = None, 0
        if truth is None:
            self.solid = False
            return
        if not truth:
            self.since_ms, self.held_ms = None, 0
        elif self.since_ms is None:
            self.since_ms, self.held_ms = at_ms, 0
        elif self.solid:
            self.held_ms += at_ms - self.known_ms
        self.known_ms, self.solid = at_ms, True

    def reached(self, need_ms: int) -> bool:
        """True if it has held for `need_ms` and holds at the newest known instant."""
        return self.since_ms is not None and self.held_ms >= need_ms

    def reset(self) -> None:
        """Begins anew; what was known at the newest instant counts no more."""
        self.since_ms, self.held_ms, self.solid = None, 0, False
