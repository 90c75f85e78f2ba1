"""The embedded store passes the suite, survives kill -9 between and inside commits, and reads while it writes."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collector.seams import Store
from collector.stores.embedded import EmbeddedStore
from edge_agent.common import hazard
from edge_agent.common.problem import ProblemError
from tests.suites.store import StoreSuite, rows
from tests.support.line import FLOW, batch


class TestEmbeddedStore(StoreSuite):
    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Iterator[Callable[[], Store]]:
        opened: list[EmbeddedStore] = []

        def open_again() -> Store:
            for store in opened:
                store.close()
            opened.append(EmbeddedStore(tmp_path / "state" / "store.db"))
            return opened[-1]

        yield open_again
        for store in opened:
            store.close()


class Killed(BaseException):
    """Stands for kill -9."""


@pytest.mark.parametrize(("where", "there"), [("store.commit.before", 1), ("store.commit.after", 2)])
def test_a_crash_at_the_commit_leaves_data_and_cursor_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, there: int
) -> None:
    store = EmbeddedStore(tmp_path / "store.db")
    store.write([batch(1, [0], [1.0])], 1)

    def strike(name: str) -> None:
        if name == where:
            raise Killed

    monkeypatch.setattr(hazard, "strike", strike)
    with pytest.raises(Killed):
        store.write([batch(2, [1000], [2.0])], 2)
    monkeypatch.undo()
    store.close()
    again = EmbeddedStore(tmp_path / "store.db")
    assert (len(rows(again)), again.cursor()) == (there, there)
    again.close()


def test_readers_see_whole_batches_while_it_writes(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "store.db")
    stop, odd = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            found = store.count(FLOW.key, 0, 1 << 60)
            if found % 3:
                odd.append(found)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for seq in range(60):
        store.write([batch(seq + 1, [3000 * seq, 3000 * seq + 1, 3000 * seq + 2], [1.0, 2.0, 3.0])], seq + 1)
    stop.set()
    for reader in readers:
        reader.join()
    assert odd == []
    assert len(rows(store)) == 180
    store.close()


def test_a_newer_store_is_refused_in_words(tmp_path: Path) -> None:
    EmbeddedStore(tmp_path / "store.db").close()
    database = sqlite3.connect(tmp_path / "store.db")
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(ProblemError) as problem:
        EmbeddedStore(tmp_path / "store.db")
    assert problem.value.problems[0].code == "STO501"
