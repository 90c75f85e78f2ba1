"""What the collector tells to be durable is on the medium: SQLite in WAL with synchronous NORMAL loses commits in a power cut."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from collector.domain.county import County
from collector.io.operations import SqliteOperations
from collector.io.sqlite_log import SqliteLog
from collector.stores.embedded import EmbeddedStore
from edge_agent.contract.message import Text

FULL = 2


def mode(database: sqlite3.Connection) -> tuple[str, int]:
    return database.execute("PRAGMA journal_mode").fetchone()[0], database.execute("PRAGMA synchronous").fetchone()[0]


def test_the_log(tmp_path: Path) -> None:
    with closing(SqliteLog(tmp_path / "log.sqlite")) as log:
        assert mode(log._writer) == ("wal", FULL)


def test_the_operations_database(tmp_path: Path) -> None:
    with closing(SqliteOperations(tmp_path / "operations.sqlite", County(Text("县", "County")))) as operations:
        assert mode(operations._writer) == ("wal", FULL)


def test_the_embedded_store(tmp_path: Path) -> None:
    with closing(EmbeddedStore(tmp_path / "store.sqlite")) as store:
        assert mode(store._writer) == ("wal", FULL)
