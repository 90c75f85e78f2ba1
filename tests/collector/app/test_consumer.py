"""A consumer says only what it has carried out: what it is still trying is neither stored nor free to be forgotten by the log."""

from __future__ import annotations

import threading

from collector.consumer import Appended
from collector.intake.interpret import Births, interpret
from collector.seams import StoreAway, StoreBatch
from collector.store_writer import StoreWriter
from edge_agent.common.clock import SystemClock
from tests.support.fakes import FakeLog, FakeStore
from tests.support.line import birth, data, record
from tests.support.ports import wait_until


class AwayStore(FakeStore):
    """A store that is away until it is let in."""

    def __init__(self) -> None:
        super().__init__()
        self.open = threading.Event()
        self.tried = threading.Event()

    def write(self, batches: list[StoreBatch], cursor: int) -> None:  # type: ignore[override]
        self.tried.set()
        if not self.open.is_set():
            raise StoreAway("away", 0.1)
        super().write(batches, cursor)


def test_position_and_safe_stay_while_the_store_is_away() -> None:
    log, store, births = FakeLog(), AwayStore(), Births()
    log.append([record(0, birth()[0], 1, "u", "birth"), record(0, data(1, [1.0]), 1)], [], [])
    writer = StoreWriter(log, store, lambda one: interpret(one, births), Appended(2), SystemClock(), lambda name: None)
    writer.start()
    try:
        wait_until(store.tried.is_set, 10, "the first try")
        assert (writer.position, writer.safe, store.cursor()) == (0, 0, 0)
        store.open.set()
        wait_until(lambda: writer.position == 2, 10, "the store's return")
        assert (writer.safe, store.cursor()) == (2, 2)
    finally:
        writer.stop()
