"""Pure. Which messages of a replay to send when: a bounded number on the way, again after a silence, none that has its receipt."""

from __future__ import annotations

from collections.abc import Iterator

from collector.replay import Batch
from edge_agent.contract import message as m

MAX_ON_THE_WAY = 32
RESEND_MS = 3000
"""Without a new receipt for so long, what is on the way is sent again."""


class ReplayWindow:
    """Step machine of one replay. now_ms: any clock that does not go back."""

    def __init__(self, epoch: str, birth: bytes, batches: Iterator[Batch]) -> None:
        self._epoch = epoch
        self._birth: bytes | None = birth
        self._batches = batches
        self._open: dict[int, Batch] = {}
        self._exhausted = False
        self._log = ""
        self._covered: dict[m.Lane, m.LaneReceipt] = {}
        self._progress_ms = 0
        self._send_all = True
        self.log_changed = False
        """The collector's log became another one on the way: the replay must be run again."""
        self.rows = 0
        """Rows with a receipt."""
        self.progress_ms = 0
        """When something new was receipted, or the replay began."""

    @property
    def done(self) -> bool:
        """True when every message has its receipt."""
        return self._exhausted and not self._open and self._birth is None

    def begin(self, now_ms: int) -> None:
        """The first moment."""
        self.progress_ms = self._progress_ms = now_ms

    def connected(self) -> None:
        """A new connection: whatever was on the way may be lost."""
        self._send_all = True

    def receipt(self, now_ms: int, receipt: m.Receipt) -> None:
        """The collector's word. With another log id, what the earlier one said counts no more."""
        if receipt.log != self._log:
            self.log_changed = self._log != ""
            self._log, self._covered = receipt.log, {}
        for lane in receipt.lanes:
            if lane.e == self._epoch:
                self._covered[lane.l] = lane
        before = (len(self._open), self._birth is None)
        if self._birth is not None and self._has(m.URGENT, 1):
            self._birth = None
        for seq in [seq for seq in self._open if self._has(m.NORMAL, seq)]:
            self.rows += self._open.pop(seq).rows
        if (len(self._open), self._birth is None) != before:
            self.progress_ms = self._progress_ms = now_ms

    def due(self, now_ms: int) -> list[bytes]:
        """The payloads to publish now, oldest first. The birth goes alone, so that its receipt tells what is known already."""
        again = self._send_all or now_ms - self._progress_ms >= RESEND_MS
        if again:
            self._send_all, self._progress_ms = False, now_ms
        if self._birth is not None:
            return [self._birth] if again else []
        payloads = [batch.payload for batch in self._open.values()] if again else []
        while len(self._open) < MAX_ON_THE_WAY and not self._exhausted:
            batch = next(self._batches, None)
            if batch is None:
                self._exhausted = True
            elif self._has(m.NORMAL, batch.seq):
                self.rows += batch.rows
                self.progress_ms = now_ms
            else:
                self._open[batch.seq] = batch
                payloads.append(batch.payload)
        return payloads

    def _has(self, lane: m.Lane, seq: int) -> bool:
        known = self._covered.get(lane)
        return known is not None and (seq <= known.upto or any(first <= seq <= last for first, last in known.ranges))


class Silence:
    """When to say that no receipt comes: after FIRST_MS, then every AGAIN_MS."""

    FIRST_MS, AGAIN_MS = 5000, 10_000

    def __init__(self) -> None:
        self._next_ms = self.FIRST_MS

    def is_due(self, silent_ms: int) -> bool:
        """True once at each time to say it. silent_ms: since the last new receipt."""
        if silent_ms < self.FIRST_MS:
            self._next_ms = self.FIRST_MS
            return False
        if silent_ms < self._next_ms:
            return False
        self._next_ms = silent_ms + self.AGAIN_MS
        return True
