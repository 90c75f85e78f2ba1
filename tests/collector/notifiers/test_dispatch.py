"""The dispatcher against the real operations database and notifiers that say what they are told to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.io.operations import Due, SqliteOperations
from collector.notifiers.dispatch import Dispatcher
from collector.rules.changes import Raised
from collector.seams import Notice, Outcome, StorageFailed
from tests.support.warnings import T0, county, raised


class Hands:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.now_ms = T0

    def monotonic_ms(self) -> int:
        return self.now_ms

    def utc_ms(self) -> int:
        return self.now_ms


class Duty:
    """A notifier that answers as told."""

    name = "duty"

    def __init__(self) -> None:
        self.outcome = Outcome(ok=True, retry=False, detail="200")
        self.told: list[str] = []
        self.got_one = threading.Event()

    def send(self, notice: Notice) -> Outcome:
        self.told.append(notice.id)
        self.got_one.set()
        return self.outcome


@pytest.fixture
def operations(tmp_path: Path) -> Iterator[SqliteOperations]:
    opened = SqliteOperations(tmp_path / "operations.db", county(), channels=("duty",))
    yield opened
    opened.close()


def test_sent_once_and_again_only_after_a_failure(operations: SqliteOperations) -> None:
    duty, clock = Duty(), Hands()
    dispatcher = Dispatcher(operations, {"duty": duty}, clock)
    assert not dispatcher.round()
    operations.commit(1, b"", [Raised(raised()), Raised(raised(began_s=5))], T0)
    duty.outcome = Outcome(ok=False, retry=True, detail="503")
    assert dispatcher.round()
    assert len(duty.told) == 2
    assert not dispatcher.round()
    clock.now_ms += 5_000
    duty.outcome = Outcome(ok=True, retry=False, detail="200")
    dispatcher.round()
    clock.now_ms += 10_000_000
    dispatcher.round()
    assert len(duty.told) == 4
    assert len(set(duty.told)) == 2


def test_a_channel_that_is_gone_is_no_endless_loop(operations: SqliteOperations) -> None:
    operations.commit(1, b"", [Raised(raised())], T0)
    Dispatcher(operations, {}, Hands()).round()
    assert operations.deliveries(raised().id)[0].state == "failed"


def test_runs_until_it_is_stopped(operations: SqliteOperations) -> None:
    duty, stop = Duty(), threading.Event()
    dispatcher = Dispatcher(operations, {"duty": duty}, Hands())
    thread = threading.Thread(target=dispatcher.run, args=(stop,))
    thread.start()
    operations.commit(1, b"", [Raised(raised())], T0)
    dispatcher.wake()
    assert duty.got_one.wait(5)
    stop.set()
    dispatcher.wake()
    thread.join(5)
    assert not thread.is_alive()


def test_a_medium_that_refuses_is_tried_again() -> None:
    stop = threading.Event()

    class Broken:
        rounds = 0

        def due(self, now_ms: int, limit: int = 20) -> list[Due]:
            self.rounds += 1
            dispatcher.wake()
            if self.rounds == 3:
                stop.set()
            raise StorageFailed("full")

        def sent(self, notice_id: str, outcome: Outcome, now_ms: int) -> None:
            raise AssertionError

    broken = Broken()
    dispatcher = Dispatcher(broken, {}, Hands())
    dispatcher.run(stop)
    assert broken.rounds == 3
