"""Pure. The send window: what is on its way, what goes next, and when something is sent again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from edge_agent.delivery.machine import Key
from edge_agent.delivery.outbox import Held

LONGEST = 16
"""The wait for a receipt doubles up to this many times resend_ms."""


@dataclass(slots=True)
class SendWindow:
    """At most in_flight messages are sent and not yet receipted."""

    in_flight: int
    resend_ms: int
    newest_first: bool = False
    sent: dict[Key, int] = field(default_factory=dict)
    """When each was sent last, monotonic ms."""
    tries: dict[Key, int] = field(default_factory=dict)

    def lost_link(self) -> None:
        """Nothing is on its way any more; tries begin anew."""
        self.sent.clear()
        self.tries.clear()

    def settle(self, keys: Iterable[Key]) -> None:
        """These have their receipt or are held no more."""
        for key in keys:
            self.sent.pop(key, None)
            self.tries.pop(key, None)

    def next(self, now_ms: int, waiting: Iterable[Held]) -> list[Held]:
        """What to send now: urgent lane first, then by age; those whose receipt is overdue before new ones."""
        ready = [h for h in waiting if h.stored.t0 is not None]
        ready.sort(key=lambda h: h.stored.key.lane != "u")
        if self.newest_first:
            urgent = [h for h in ready if h.stored.key.lane == "u"]
            ready = urgent + [h for h in reversed(ready) if h.stored.key.lane != "u"]
        overdue = [h for h in ready if h.stored.key in self.sent and now_ms >= self._again_at_ms(h.stored.key)]
        room = self.in_flight - (len(self.sent) - len(overdue))
        chosen = overdue[: max(0, room)]
        for held in ready:
            if len(chosen) >= room:
                break
            if held.stored.key not in self.sent:
                chosen.append(held)
        return chosen

    def mark(self, now_ms: int, key: Key) -> None:
        """It is on its way since now."""
        self.sent[key] = now_ms
        self.tries[key] = self.tries.get(key, 0) + 1

    def due_at_ms(self) -> int | None:
        """When the first receipt will be overdue."""
        return min((self._again_at_ms(key) for key in self.sent), default=None)

    def _again_at_ms(self, key: Key) -> int:
        doubled = 1 << min(10, self.tries.get(key, 1) - 1)
        return self.sent[key] + self.resend_ms * min(LONGEST, doubled)
