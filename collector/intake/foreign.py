"""Pure. Messages on a topic that is not their sender's, as the embedded broker tells of them: all are counted, few are kept.

A gateway whose site file names another branch does this with each batch, so one message per sender and hour goes to the quarantine,
and one line into the program's log.
"""

from __future__ import annotations

from collector.intake.machine import Foreign
from collector.intake.records import Poison

SENDER = "sender"
"""The reason of such a message."""
KEPT_EVERY_MS = 3_600_000
MAX_SENDERS = 1001
"""As many as the broker tells apart."""


class ForeignSenders:
    """When something of each sender was last kept."""

    def __init__(self) -> None:
        self._kept_ms: dict[str, int] = {}

    def take(self, now_ms: int, event: Foreign) -> Poison | None:
        """What goes to the quarantine, if anything. A clock that went back keeps one more."""
        kept_ms = self._kept_ms.get(event.sender)
        if kept_ms is not None and 0 <= now_ms - kept_ms < KEPT_EVERY_MS:
            return None
        if kept_ms is None and len(self._kept_ms) >= MAX_SENDERS:
            del self._kept_ms[min(self._kept_ms, key=lambda name: self._kept_ms[name])]
        self._kept_ms[event.sender] = now_ms
        detail = (
            f"user {event.sender} may not publish here; one of its messages in an hour is kept, this one had {event.size} bytes"
        )
        return Poison(event.topic, event.payload, SENDER, detail, now_ms)
