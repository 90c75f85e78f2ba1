"""Does I/O: the bounded queue before the delivery thread.

Readings wait for room (back-pressure down to the buses), what comes from the network is refused when there is too much of it
(everything there is said again), and what must not be lost always goes in.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Inbox(Generic[T]):
    """Items with a weight; `room` is the weight that `put` fills."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._items: deque[tuple[T, int]] = deque()
        self._weight = 0
        self._changed = threading.Condition()
        self._refused = 0

    def put(self, item: T, weight: int = 1) -> None:
        """Waits until there is room. An empty inbox takes any weight."""
        with self._changed:
            self._changed.wait_for(lambda: self._weight + weight <= self._room or not self._items)
            self._append(item, weight)

    def offer(self, item: T) -> bool:
        """Never waits; False (and counted) when more than twice the room is taken."""
        with self._changed:
            if self._weight >= 2 * self._room:
                self._refused += 1
                return False
            self._append(item, 1)
            return True

    def force(self, item: T) -> None:
        """Never waits, never refuses. For the few items that come once."""
        with self._changed:
            self._append(item, 1)

    def take(self, timeout_s: float) -> list[T]:
        """All items, in order; waits up to timeout_s for the first one. Empty after the time-out."""
        with self._changed:
            self._changed.wait_for(lambda: self._items, max(0.0, timeout_s))
            items = [item for item, _ in self._items]
            self._items.clear()
            self._weight = 0
            self._changed.notify_all()
            return items

    @property
    def refused(self) -> int:
        """How often `offer` said no."""
        return self._refused

    def _append(self, item: T, weight: int) -> None:
        self._items.append((item, weight))
        self._weight += weight
        self._changed.notify_all()
