"""Does I/O: the consumer that writes readings to the store. A store that is away delays charts and nothing else."""

from __future__ import annotations

from collections.abc import Callable

from collector.consumer import GIVE_UP_MS, Appended, Consumer
from collector.domain.interpreted import Interpreted
from collector.following import Following, Understand
from collector.intake.records import BatchKey
from collector.seams import Log, Store, StoreBatch
from edge_agent.common.clock import Clock

RECORDS = 2000
"""Records of one turn: one write."""


class StoreWriter(Consumer):
    """Writes readings to the store. Its cursor stays below what waits for a birth: writing again changes nothing."""

    def __init__(
        self, log: Log, store: Store, understand: Understand, appended: Appended, clock: Clock, beat: Callable[[str], None]
    ) -> None:
        super().__init__("store writer", log, appended, clock, beat)
        self._store = store
        self._understand = understand

    def _begin(self) -> Following:
        return Following(self._understand, self._store.cursor())

    def _turn(self, following: Following) -> float:
        following.give_up(self._clock.utc_ms() - GIVE_UP_MS)
        records = self._log.read(following.position, RECORDS)
        if not records:
            return 0.0 if self._store.tidy() else 1.0
        ready = following.feed(records)
        batches = [StoreBatch(_key(one), one.columns) for one in ready if one.columns]
        self._until_done(lambda: self._store.write(batches, following.safe))
        return 0.0


def _key(one: Interpreted) -> BatchKey:
    return BatchKey(one.gateway.site, one.gateway.gateway, one.epoch, one.lane, one.seq)
