"""Does I/O (a lock): what has begun and is not over: a device dead for a day makes two lines in the log - gone, back."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

from edge_agent.model.reading import Happening

TOLD_AGAIN = {"link.certificate"}
"""Each event of these says more than the one before it, of the same condition."""


class Standing:
    """Open conditions by kind and subject; any thread may call."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], Happening] = {}
        self._lock = threading.Lock()

    def note(self, events: Sequence[Happening]) -> list[Happening]:
        """Takes events in; gives those that change something (or are an instant of their own)."""
        with self._lock:
            return [event for event in events if self._is_news(event)]

    def open(self) -> list[Happening]:
        """What stands now, oldest first."""
        with self._lock:
            return sorted(self._open.values(), key=lambda event: event.taken_ms)

    def is_open(self, kind: str, subject: str) -> bool:
        """True if this one stands."""
        return (kind, subject) in self._open

    def forget_buses(self) -> None:
        """The buses start anew: what was said of them is said again if it still holds."""
        with self._lock:
            self._open = {key: event for key, event in self._open.items() if not key[1]}

    def _is_news(self, event: Happening) -> bool:
        key = (event.kind, event.subject)
        if event.on is None:
            return True
        before = self._open.get(key)
        if event.on and before is not None and event.kind in TOLD_AGAIN and event.reason != before.reason:
            self._open[key] = replace(event, taken_ms=before.taken_ms)
            return True
        if event.on:
            return self._open.setdefault(key, event) is event
        return self._open.pop(key, None) is not None
