"""A row of the outbox file that is whole in itself but not the one that was written is never served."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from edge_agent.delivery.machine import Key, Stored
from edge_agent.io.outbox import OutboxFile

EPOCH = "1-0123456789abcdef"


def stored(seq: int) -> Stored:
    return Stored(Key(EPOCH, "n", seq), "data", "b" * 16, b"%d" % seq, 3, "boot", 10 * seq, 1_800_000_000_000, "ntp", 5)


def test_a_row_whose_content_is_anothers_is_not_served(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    file = OutboxFile(path)
    file.open()
    file.write([stored(1)], [])
    file.write([stored(2)], [])
    file.close()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE part_1 SET messages = (SELECT messages FROM part_1 WHERE id = 1) WHERE id = 2")
    database.close()
    opened = file.open()
    file.close()
    assert (opened.stored, opened.damaged) == ((stored(1),), 1)


def test_a_commit_is_on_the_medium_before_it_is_believed(tmp_path: Path) -> None:
    """SQLite in WAL with synchronous NORMAL loses commits in a power cut; FULL (2) does not."""
    file = OutboxFile(tmp_path / "outbox.db")
    file.open()
    database = file._open_database()
    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert database.execute("PRAGMA synchronous").fetchone() == (2,)
    file.close()
