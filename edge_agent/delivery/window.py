"""Pure. The send window: what is under way without a receipt, what comes next, and when to send again.

Urgent lane first; within a lane oldest first, or newest first by setting. Without a receipt for `wait_ms` - the time for which
the collector may hold it back, and some - a message is sent again, and the wait doubles up to 16 times that, a day at most; any
word of the collector sets the waits back. A word that does not cover what was sent `resend_ms` before is a sign of its own that
the message was lost, because every receipt speaks of all that is durable.

A collector keeps at most 32 ranges above the cumulative sequence and refuses what would make one more. Sent newest first, a lane
can run into that; then its oldest messages go ahead, on places of their own, and close the ranges from below.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from edge_agent.contract.message import NORMAL, URGENT, Lane
from edge_agent.delivery.machine import Key
from edge_agent.delivery.outbox import age_order
from edge_agent.model.points import Delivery

URGENT_RESERVE = 8
"""Places that urgent messages have beside `in_flight`, so that a silent collector does not hold them back."""
LONGEST_DOUBLING = 4
"""2**4 = 16 times wait_ms."""
LONGEST_WAIT_MS = 86_400_000
AHEAD = 8
"""Places, beside all others, of messages that go ahead."""


@dataclass(slots=True)
class Flight:
    """One message under way. due_ms: when it is sent again."""

    sent_ms: int
    due_ms: int
    tries: int


class SendWindow:
    """Order and pace of sending. Knows keys alone."""

    def __init__(self, settings: Delivery) -> None:
        self._settings = settings
        self._ready: dict[Lane, list[tuple[tuple[int, int], Key]]] = {NORMAL: [], URGENT: []}
        self._waiting: set[Key] = set()
        self.flying: dict[Key, Flight] = {}
        self._ahead: dict[Key, None] = {}

    def offer(self, key: Key) -> None:
        """The message may be sent."""
        if key in self._waiting or key in self.flying:
            return
        self._waiting.add(key)
        heapq.heappush(self._ready[key.lane], (self.order(key), key))

    def order(self, key: Key) -> tuple[int, int]:
        """Places messages of a lane: the least goes first."""
        counter, seq = age_order(key)
        return (-counter, -seq) if self._settings.newest_first else (counter, seq)

    def withdraw(self, key: Key) -> None:
        """The message needs sending no more."""
        self._waiting.discard(key)
        self.flying.pop(key, None)
        ready = self._ready[key.lane]
        if len(ready) > 2 * len(self._waiting) + 64:  # names of what waits no more fill the memory of an agent offline for weeks
            ready[:] = [entry for entry in ready if entry[1] in self._waiting]
            heapq.heapify(ready)

    def hasten(self, keys: Iterable[Key]) -> None:
        """Of these messages those that wait go next."""
        self._ahead = {key: None for key in keys if key in self._waiting}

    def stuck(self) -> set[tuple[str, Lane]]:
        """Epochs and lanes of messages that were sent again in vain."""
        return {(key.epoch, key.lane) for key, flight in self.flying.items() if flight.tries}

    def restart(self) -> None:
        """After a reconnect, or at a new collector: what was under way waits again, in order."""
        under_way = list(self.flying)
        self.flying.clear()
        for key in under_way:
            self.offer(key)

    def hear(self, now_ms: int, lanes: Collection[tuple[str, Lane]]) -> None:
        """The collector spoke of these epochs and lanes: doubled waits are plain again; what it missed of them is sent again."""
        for key, flight in self.flying.items():
            flight.tries = 0
            is_missed = (key.epoch, key.lane) in lanes and flight.sent_ms + self._settings.resend_ms <= now_ms
            plain_ms = now_ms if is_missed else flight.sent_ms + self._settings.wait_ms(key.lane)
            flight.due_ms = min(flight.due_ms, max(now_ms, plain_ms))

    def due(self, now_ms: int) -> list[Key]:
        """Messages under way whose receipt is overdue."""
        return [key for key, flight in self.flying.items() if flight.due_ms <= now_ms]

    def next(self, shelved: Mapping[Lane, tuple[int, int]]) -> Key | None:
        """Takes out the next message to send, if there is a place for it. shelved: where what stands on shelves begins, by lane."""
        under_way = len(self.flying)
        while self._ahead and under_way < self._settings.in_flight + URGENT_RESERVE + AHEAD:
            key = next(iter(self._ahead))
            del self._ahead[key]
            if key in self._waiting:
                self._waiting.discard(key)
                return key
        for lane, places in ((URGENT, self._settings.in_flight + URGENT_RESERVE), (NORMAL, self._settings.in_flight)):
            ready = self._ready[lane]
            if under_way < places and not self.is_dry(lane, shelved):
                key = heapq.heappop(ready)[1]
                self._waiting.discard(key)
                return key
        return None

    def is_dry(self, lane: Lane, shelved: Mapping[Lane, tuple[int, int]]) -> bool:
        """True if nothing waits in memory that goes before what stands on a shelf."""
        ready = self._ready[lane]
        while ready and ready[0][1] not in self._waiting:
            heapq.heappop(ready)
        return not ready or (lane in shelved and shelved[lane] < ready[0][0])

    def sent(self, key: Key, now_ms: int) -> None:
        """The message went out, the first time or again."""
        before = self.flying.get(key)
        tries = before.tries + 1 if before else 0
        wait = min(self._settings.wait_ms(key.lane) << min(tries, LONGEST_DOUBLING), LONGEST_WAIT_MS)
        self.flying[key] = Flight(now_ms, now_ms + wait, tries)

    def next_due_ms(self) -> int | None:
        """When the next message is to be sent again."""
        return min([flight.due_ms for flight in self.flying.values()], default=None)
