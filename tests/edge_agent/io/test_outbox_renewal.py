"""Damage in the outbox file while the agent runs: set aside at the first read or write that meets it, and everything goes on."""

from __future__ import annotations

import queue
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from edge_agent.delivery.machine import Event, Fetch, Fetched, Key, Renewed, Span, Stored, Write, Written
from edge_agent.io import outbox_writer
from edge_agent.io.outbox import OutboxFailed, OutboxFile
from edge_agent.io.outbox_notes import read_notes
from edge_agent.io.outbox_writer import OutboxWriter
from tests.support.ports import wait_until

PAGE = 4096
RANDOM_HEX = "00000000000000aa"
ROWS = 400
ASIDE = "outbox.db.damaged-1"


def stored(epoch: str, seq: int) -> Stored:
    body = Random(seq).randbytes(500)
    return Stored(Key(epoch, "n", seq), "data", "b" * 16, body, 3, "boot", 10 * seq, 1_800_000_000_000, "ntp", 5)


class Running:
    """An outbox in the middle of a run, with a long backlog and an empty cache."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "outbox.db"
        for _ in range(4):
            self.file = OutboxFile(self.path)
            self.file.open()
            self.epoch = self.file.new_epoch(RANDOM_HEX)
            self.file.close()
        self.file.open()
        for seq in range(1, ROWS + 1):
            self.file.write([stored(self.epoch, seq)], [])
        self.forget_pages()

    def forget_pages(self) -> None:
        """Everything is in the file and nothing in memory."""
        database = self.file._open_database()
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        database.execute("PRAGMA shrink_memory").fetchall()

    def leaf(self) -> int:
        """A page in the middle that holds rows."""
        content = self.path.read_bytes()
        return next(n for n in range(len(content) // PAGE // 2, len(content) // PAGE) if content[n * PAGE] == 0x0D)

    def spoil(self, page: int) -> None:
        with self.path.open("r+b") as file:
            file.seek(page * PAGE)
            file.write(bytes(PAGE))

    def root(self, table: str) -> int:
        with closing(sqlite3.connect(self.path)) as database:
            return int(database.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]) - 1


@pytest.fixture
def running(tmp_path: Path) -> Running:
    return Running(tmp_path)


def test_a_write_that_meets_damage_is_durable_in_a_new_file(running: Running) -> None:
    running.spoil(running.root("note"))
    running.file._owed_starts = 1  # so that the notes are read
    new = stored(running.epoch, ROWS + 1)
    running.file.write([new], [Key(running.epoch, "n", 1)])
    assert (running.file.take_renewed(), running.file.take_renewed()) == (ASIDE, "")
    keys = [Key(running.epoch, "n", seq) for seq in range(1, ROWS + 2)]
    assert running.file.fetch(keys) == ([stored(running.epoch, seq) for seq in range(2, ROWS + 2)], keys[:1])
    assert read_notes(running.file._open_database()).starts == 4, "the next start comes above the epoch in use"
    running.file.close()
    again = OutboxFile(running.path)
    again.open()
    assert again.new_epoch(RANDOM_HEX) == f"5-{RANDOM_HEX}"
    again.close()
    assert (running.path.parent / ASIDE).exists()


def test_a_read_that_meets_damage_brings_everything_that_can_be_read(running: Running) -> None:
    running.spoil(running.leaf())
    keys = [Key(running.epoch, "n", seq) for seq in range(1, ROWS + 1)]
    found, missing = running.file.fetch(keys)
    assert running.file.take_renewed() == ASIDE
    assert found == [stored(running.epoch, key.seq) for key in keys if key not in missing]
    assert 0 < len(missing) < 12
    assert running.file.readings_of(missing) == 0, "heads stand on the same page"
    running.file.write([stored(running.epoch, ROWS + 1)], [])
    assert running.file.take_renewed() == ""
    running.file.close()


def test_what_the_medium_gave_wrongly_once_costs_nothing(running: Running) -> None:
    """The page is right again when the file is opened anew."""
    leaf = running.leaf()
    content = running.path.read_bytes()[leaf * PAGE : (leaf + 1) * PAGE]
    running.spoil(leaf)
    load, tried = running.file._load, []

    def heal() -> object:
        with running.path.open("r+b") as file:
            file.seek(leaf * PAGE)
            file.write(content)
        tried.append(1)
        return load()

    running.file._load = heal  # type: ignore[method-assign, assignment]
    keys = [Key(running.epoch, "n", seq) for seq in range(1, ROWS + 1)]
    assert running.file.fetch(keys) == ([stored(running.epoch, key.seq) for key in keys], [])
    assert (tried, running.file.take_renewed()) == ([1], "")
    running.file.close()


class Stubborn(OutboxFile):
    """On a medium that writes, and refuses to read until it is told otherwise."""

    refuses = True
    tries = 0

    def fetch(self, keys: Sequence[Key]) -> tuple[list[Stored], list[Key]]:
        self.tries += 1
        if self.refuses:
            raise OutboxFailed("disk I/O error")
        return super().fetch(keys)


def test_a_read_that_is_refused_holds_up_no_write_and_is_tried_again(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_writer, "REST_S", 0.1)
    running.file.close()
    file, done = Stubborn(running.path), queue.SimpleQueue[Event]()
    file.open()
    writer = OutboxWriter(file, done.put)
    writer.start()
    writer.order(Fetch(Span(running.epoch, "n", 1, 3)))
    for token in range(1, 4):
        writer.order(Write(token, [stored(running.epoch, ROWS + token)], [Key(running.epoch, "n", token)] if token == 1 else []))
        assert done.get(timeout=5) == Written(token)
    wait_until(lambda: file.tries >= 3)
    file.refuses = False
    read = done.get(timeout=5)
    assert isinstance(read, Fetched)
    assert [each.key.seq for each in read.stored] == [2, 3], "the first was released meanwhile"
    assert [key.seq for key in read.missing] == [1]
    file.refuses = True
    writer.order(Fetch(Span(running.epoch, "n", 1, 3)))
    wait_until(lambda: file.tries >= 6)
    assert writer.stop(5), "an end does not wait for it"


def test_the_writer_tells_of_it_before_it_says_what_came_of_the_order(running: Running) -> None:
    done: queue.SimpleQueue[Event] = queue.SimpleQueue()
    writer = OutboxWriter(running.file, done.put)
    running.spoil(running.leaf())
    writer.start()
    writer.order(Fetch(Span(running.epoch, "n", 1, ROWS)))
    writer.order(Write(1, [stored(running.epoch, ROWS + 1)], []))
    assert done.get(timeout=10) == Renewed(ASIDE)
    assert isinstance(done.get(timeout=10), Fetched)
    assert done.get(timeout=10) == Written(1)
    assert writer.stop(10)


def test_a_log_that_lost_a_sector_is_told_at_the_next_start(tmp_path: Path) -> None:
    """SQLite takes it for the end of the log, and says nothing."""
    path = tmp_path / "outbox.db"
    file = OutboxFile(path)
    file.open()
    epoch = file.new_epoch(RANDOM_HEX)
    for seq in range(1, 9):
        file.write([stored(epoch, seq)], [])
    (row,) = file._open_database().execute("SELECT messages FROM part_1 WHERE id = 4").fetchone()
    content = {name: (tmp_path / name).read_bytes() for name in ("outbox.db", "outbox.db-wal")}
    file.close()
    log = content["outbox.db-wal"]
    at = log.index(row[100:140]) // 512 * 512
    for name, whole in (content | {"outbox.db-wal": log[:at] + bytes(512) + log[at + 512 :]}).items():
        (tmp_path / name).write_bytes(whole)
    opened = file.open()
    seqs = [each.key.seq for each in opened.stored]
    assert opened.set_aside == ASIDE
    assert set(seqs) >= {1, 2, 3, 6, 7, 8}
    assert [each for each in opened.stored if each != stored(epoch, each.key.seq)] == []
    assert (tmp_path / f"{ASIDE}-wal.damaged").exists()
    file.close()
