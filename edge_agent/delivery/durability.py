"""Pure. When the outbox file is written, with what, and what may be believed of it.

What is still without receipt a durability window after it came is written, all of it in one write; what the file need not hold
any more is forgotten within such a write only. A write that failed is tried again a window later; nothing of it is believed.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence

from edge_agent.contract.message import URGENT
from edge_agent.delivery.batching import OpenBatch
from edge_agent.delivery.machine import Anchor, Key, Run, Stored, Write
from edge_agent.delivery.outbox import Held, OnDisk, Outbox
from edge_agent.model.points import Delivery

DEAD_BYTES = 256 << 10
"""Below this much that could be forgotten no write is made for forgetting's sake."""
DEAD_MESSAGES = 4096
"""So many that could be forgotten are forgotten, lest their names fill the memory."""
RUN_NOTED_MS = 600_000
"""How far a run has its receipts is noted a window after the first one, this much later, and each time that age has doubled: a
run of a month costs some fifteen writes, and of one that was cut off at least half is known."""


class Durability:
    """The outbox file as the Courier knows it. Times are monotonic ms."""

    def __init__(self, settings: Delivery, outbox: Outbox) -> None:
        self._window_ms, self._urgent_ms = settings.window_ms, settings.shortest_window_ms
        self._outbox = outbox
        self._unsafe: list[tuple[int, Key]] = []
        self._forget: dict[Key, int] = {}
        self._dead_bytes = 0
        self._token = 0
        self._retry_ms: int | None = None
        self._owes_epoch = False
        self._run: Run | None = None
        self._noted_run: Run | None = None
        self._run_since_ms = self._run_due_ms = 0
        self.anchors: dict[str, Anchor] = {}
        """Not durable yet, by epoch."""
        self.writing: Write | None = None
        self.disk = ""
        """Why the last write failed; empty when it did not."""
        self.failing_since_ms: int | None = None

    def protect(self, held: Held) -> None:
        """The message is to be on disk a window after it came, unless its receipt is faster."""
        is_urgent = held.key.lane == URGENT and held.readings > 0
        heapq.heappush(self._unsafe, (held.arrived_ms + (self._urgent_ms if is_urgent else self._window_ms), held.key))

    def due_of(self, batch: OpenBatch) -> int | None:
        """When what an open batch holds is to be on disk; None if it is."""
        if batch.unsafe_since_ms is None:
            return None
        is_urgent = batch.lane == URGENT and batch.readings > 0
        return batch.unsafe_since_ms + (self._urgent_ms if is_urgent else self._window_ms)

    def settled(self, now_ms: int, run: Run) -> None:
        """So far has this run its receipts. It is noted seldom (RUN_NOTED_MS), with any other write, and at the end."""
        if self._run is None:
            self._run_since_ms, self._run_due_ms = now_ms, now_ms + self._window_ms
        self._run = run

    def forget(self, held: Held) -> None:
        """The file need not hold the message any more."""
        if held.on_disk is not OnDisk.NO:
            self.forget_key(held.key, held.cost)

    def forget_key(self, key: Key, cost: int) -> None:
        """The same of a message that is on disk alone."""
        if key not in self._forget:
            self._forget[key] = cost
            self._dead_bytes += cost

    def remember(self, held: Held) -> None:
        """The message is held again."""
        self._dead_bytes -= self._forget.pop(held.key, 0)

    def due_ms(self, open_batches: Iterable[OpenBatch]) -> int | None:
        """When the next write is due."""
        if self.writing is not None:
            return None
        candidates = [due_ms for batch in open_batches if (due_ms := self.due_of(batch)) is not None]
        while self._unsafe and not self._is_unsafe(self._unsafe[0][1]):
            heapq.heappop(self._unsafe)
        if self._unsafe:
            candidates.append(self._unsafe[0][0])
        is_much_dead = self._dead_bytes > max(self._outbox.disk_bytes, DEAD_BYTES) or len(self._forget) >= DEAD_MESSAGES
        if self.anchors or self._owes_epoch or is_much_dead:
            candidates.append(0)
        if self._run != self._noted_run:
            candidates.append(self._run_due_ms)
        if not candidates:
            return None
        return max(min(candidates), self._retry_ms or 0)

    def begin(self, now_ms: int | None = None, drafts: Sequence[Stored] = ()) -> Write | None:
        """The write of everything unsafe and of drafts; None if there is nothing to write or one is under way.

        Where urgent readings have a window of their own and only that is over at now_ms, the others stay for theirs.
        """
        if self.writing is not None:
            return None
        wanted = {key for _, key in self._unsafe}
        if now_ms is not None and self._urgent_ms < self._window_ms and not self.disk:
            due = {key for due_ms, key in self._unsafe if due_ms <= now_ms}
            if due and not drafts and all(key.lane == URGENT for key in due):
                wanted = due
        add = [held for key in sorted(wanted) if (held := self._unsafe_one(key)) is not None]
        add += self._births_of(add, {draft.birth for draft in drafts})
        has_run = self._run != self._noted_run
        is_run_owed = has_run and (now_ms is None or now_ms >= self._run_due_ms)
        if not (add or drafts or self._forget or self.anchors or self._owes_epoch or is_run_owed):
            return None
        self._token += 1
        self._unsafe = [(due_ms, key) for due_ms, key in self._unsafe if key not in wanted]
        heapq.heapify(self._unsafe)
        for held in add:
            self._outbox.set_on_disk(held, OnDisk.WRITING)
        self.writing = Write(
            self._token,
            [*drafts, *(held.stored() for held in add)],
            list(self._forget),
            list(self.anchors.values()),
            self._run if has_run else None,
        )
        if has_run and now_ms is not None:
            self._run_due_ms = now_ms + max(RUN_NOTED_MS, now_ms - self._run_since_ms)
        return self.writing

    def written(self, token: int) -> Write | None:
        """The write is durable. Returns it, or None if it is not the one under way."""
        write = self.writing
        if write is None or write.token != token:
            return None
        for held in self._still_held(write):
            self._outbox.set_on_disk(held, OnDisk.YES)
        for key in write.forget:
            self._dead_bytes -= self._forget.pop(key, 0)
        for anchor in write.anchors:
            if self.anchors.get(anchor.epoch) == anchor:
                del self.anchors[anchor.epoch]
        self._noted_run = write.run or self._noted_run
        self.writing, self.disk, self.failing_since_ms, self._retry_ms, self._owes_epoch = None, "", None, None, False
        return write

    def begin_from_memory(self, now_ms: int, reason: str) -> None:
        """The file could not be written at the start; it is tried each window, for its epoch's sake even with nothing to add."""
        self._owes_epoch = True
        self.disk, self.failing_since_ms, self._retry_ms = reason, now_ms, now_ms + self._window_ms

    def failed(self, token: int, now_ms: int, reason: str) -> bool:
        """The write failed; False if it is not the one under way."""
        write = self.writing
        if write is None or write.token != token:
            return False
        self.writing, self.disk, self._retry_ms = None, reason, now_ms + self._window_ms
        if self.failing_since_ms is None:
            self.failing_since_ms = now_ms
        for held in self._still_held(write):
            self._outbox.set_on_disk(held, OnDisk.DOUBTFUL)
            self.protect(held)
        return True

    def _still_held(self, write: Write) -> list[Held]:
        found = (self._outbox.get(each.key) or self._outbox.kept_births.get(each.key) for each in write.add)
        return [held for held in found if held is not None and held.on_disk is OnDisk.WRITING]

    def _unsafe_one(self, key: Key) -> Held | None:
        held = self._outbox.get(key) or self._outbox.kept_births.get(key)
        return held if held is not None and held.on_disk in (OnDisk.NO, OnDisk.DOUBTFUL) else None

    def _is_unsafe(self, key: Key) -> bool:
        held = self._outbox.get(key)
        return held is not None and held.on_disk in (OnDisk.NO, OnDisk.DOUBTFUL)

    def _births_of(self, add: list[Held], drafted: set[str]) -> list[Held]:
        """Births that have their receipt but are not on disk, to which something that goes to disk refers."""
        named, there = {held.birth for held in add} | drafted, {held.key for held in add}
        births = self._outbox.kept_births.values()
        return [b for b in births if b.birth in named and b.key not in there and b.on_disk in (OnDisk.NO, OnDisk.DOUBTFUL)]
