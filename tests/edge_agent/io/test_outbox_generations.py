"""Rows of the outbox file in generations: what is forgotten is marked, and gone with its table; earlier schemas are read."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from dataclasses import astuple
from pathlib import Path

import pytest

from edge_agent.delivery.machine import Anchor, Key, Stored
from edge_agent.io import outbox_generations
from edge_agent.io.outbox import OutboxFile
from edge_agent.io.outbox_rows import head_of, pack, pack_head

EPOCH = "1-0123456789abcdef"
RANDOM = random.Random(5)


def stored(seq: int, size: int = 20) -> Stored:
    body = RANDOM.randbytes(size)
    return Stored(Key(EPOCH, "n", seq), "data", "b" * 16, body, 3, "boot", 10 * seq, 1_800_000_000_000 + 10 * seq, "ntp", 5)


def keys(*seqs: int) -> list[Key]:
    return [Key(EPOCH, "n", seq) for seq in seqs]


def held(file: OutboxFile, most: int) -> list[int]:
    """Sequences that the open file gives out, each with its messages."""
    return [each.key.seq for each in file.fetch(keys(*range(1, most + 1)))[0]]


def opened(path: Path, most: int) -> list[int]:
    """Sequences that a start finds, and gives out."""
    file = OutboxFile(path)
    start = file.open()
    found = {each.key.seq for each in start.stored} | {key.seq for shelf in start.shelves for key in shelf.span.each()}
    assert (start.set_aside, start.damaged, held(file, most)) == ("", 0, sorted(found))
    file.close()
    return sorted(found)


def tables(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as database:
        return sorted(name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Generations of four rows of two messages."""
    monkeypatch.setattr(outbox_generations, "GENERATION_BYTES", 4 * 2000)


def filled(path: Path, rows: int) -> OutboxFile:
    file = OutboxFile(path)
    file.open()
    for row in range(rows):
        file.write([stored(2 * row + 1, 1000), stored(2 * row + 2, 1000)], [])
    return file


@pytest.mark.usefixtures("small")
def test_a_generation_goes_when_the_last_of_it_is_forgotten(path: Path) -> None:
    file = filled(path, 9)
    assert tables(path) == ["mark_1", "mark_5", "mark_9", "note", "part_1", "part_5", "part_9"]
    file.write([], keys(*range(2, 17)))
    assert tables(path) == ["mark_1", "mark_9", "note", "part_1", "part_9"]
    file.write([], keys(1, 17, 18))
    assert tables(path) == ["mark_9", "note", "part_9"], "the youngest takes more rows"
    file.close()
    assert opened(path, 18) == []
    file.open()
    file.write([stored(19)], [])
    file.close()
    assert opened(path, 19) == [19]


@pytest.mark.usefixtures("small")
def test_any_order_leaves_what_is_not_forgotten(path: Path) -> None:
    file, chance = filled(path, 40), random.Random(3)
    left, high = list(range(1, 81)), 80
    while len(left) > 6:
        some = chance.sample(left, min(len(left) - 3, 7))
        high += 1
        file.write([stored(high, 900)], keys(*some))
        left = sorted({*left, high} - set(some))
        assert held(file, high) == left
        if chance.random() < 0.3:
            file.close()
            assert opened(path, high) == left
            file.open()
    file.close()
    assert opened(path, high) == left


@pytest.mark.usefixtures("small")
def test_a_failed_write_drops_nothing(path: Path) -> None:
    file = filled(path, 9)
    file._open_database().execute("PRAGMA max_page_count = 1").fetchall()  # the least it can be: the file as it is
    with pytest.raises(Exception, match="full"):
        file.write([stored(99, 200_000)], keys(*range(1, 17)))
    assert held(file, 18) == list(range(1, 19))
    file.write([], keys(*range(1, 9)))
    file.close()
    assert opened(path, 18) == list(range(9, 19))


def test_confirming_writes_a_tenth_of_the_file_at_most(path: Path) -> None:
    """What goes into the log, in the worst order; at the device `python -m benchmarks flash` measures it."""
    file = OutboxFile(path)
    file.open()
    file.write([stored(seq, 300) for seq in range(1, 10_001)], [])
    database = file._open_database()
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    seqs = list(range(1, 10_001))
    random.Random(1).shuffle(seqs)
    for at in range(0, len(seqs), 4096):
        file.write([], keys(*seqs[at : at + 4096]))
    assert path.with_name("outbox.db-wal").stat().st_size < path.stat().st_size / 10
    file.close()


def test_a_few_that_stay_do_not_keep_the_dead_ones(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_generations, "GENERATION_BYTES", 50_000)
    monkeypatch.setattr(outbox_generations, "DEAD_BYTES", 200_000)
    file = OutboxFile(path)
    file.open()
    stay: list[int] = []
    for turn in range(120):
        seqs = list(range(10 * turn + 1, 10 * turn + 11))
        file.write([stored(seq, 1000) for seq in seqs[:5]], [])
        file.write([stored(seq, 1000) for seq in seqs[5:]], keys(*seqs[:5]))
        file.write([], keys(*seqs[5:9]))
        stay.append(seqs[9])
        if turn == 60:
            file.close()
            assert opened(path, 1200) == stay
            file.open()
    assert path.stat().st_size < 700_000, "1.2 MB came, 120 kB stay"
    assert held(file, 1200) == stay
    file.write([], keys(*stay))
    file.close()
    assert opened(path, 1200) == []


def test_a_damaged_row_moves_with_what_its_head_tells(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_generations, "GENERATION_BYTES", 4 * 2000)
    monkeypatch.setattr(outbox_generations, "DEAD_BYTES", 0)
    file = OutboxFile(path)
    file.open()
    file.write([stored(1, 1000), stored(2, 1000), stored(3, 1000)], [])
    file.close()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE part_1 SET messages = zeroblob(3000)")
    file.open()
    file.write([], keys(2))
    for seq in range(4, 12):
        file.write([stored(seq, 2000)], keys(seq - 1) if seq > 4 else [])
    assert "part_1" not in tables(path)
    file.close()
    start = file.open()
    assert (start.damaged, [(shelf.span.a, shelf.span.z) for shelf in start.shelves]) == (1, [(1, 1), (3, 3)])
    file.close()


def earlier(path: Path, schema: int) -> None:
    """Rows 3 and 4 of two messages; the first one is forgotten; an anchor; five starts."""
    head = "head BLOB, " if schema == 2 else ""
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(f"""
            CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
            CREATE TABLE part(id INTEGER PRIMARY KEY, {head}crc INTEGER NOT NULL, messages BLOB NOT NULL);
            CREATE TABLE gone(part INTEGER NOT NULL, epoch TEXT NOT NULL, lane TEXT NOT NULL, seq INTEGER NOT NULL,
                              PRIMARY KEY(part, epoch, lane, seq)) WITHOUT ROWID;
            CREATE TABLE anchor(epoch TEXT PRIMARY KEY, offset_ms INTEGER NOT NULL, source TEXT NOT NULL, bound_ms INTEGER NOT NULL)
                              WITHOUT ROWID;
            INSERT INTO meta VALUES('starts', '5');
            PRAGMA user_version={schema};
        """)
        for part, some in ((3, [stored(1), stored(2)]), (4, [stored(3), stored(4)])):
            crc, packed = pack(some)
            heads = [pack_head(head_of(some))] if schema == 2 else []
            marks = ",".join("?" * (3 + len(heads)))
            database.execute(f"INSERT INTO part VALUES({marks})", (part, *heads, crc, packed))
        database.execute("INSERT INTO gone VALUES(3, ?, 'n', 1)", (EPOCH,))
        database.execute("INSERT INTO anchor VALUES(?,?,?,?)", astuple(ANCHOR))


ANCHOR = Anchor(EPOCH, 1_700_000_000_000, "ntp", 40)


@pytest.mark.parametrize("schema", [1, 2])
def test_a_file_of_an_earlier_schema_is_taken_over(path: Path, schema: int) -> None:
    earlier(path, schema)
    file = OutboxFile(path)
    start = file.open()
    assert ([each.key.seq for each in start.stored], start.anchors) == ([2, 3, 4], (ANCHOR,))
    assert file.new_epoch("00000000000000aa").partition("-")[0] == "6"
    file.write([stored(5)], keys(3))
    file.close()
    assert opened(path, 5) == [2, 4, 5]
    assert tables(path) == ["mark_3", "note", "part_3"]


def test_an_empty_file_of_an_earlier_schema_is_taken_over(path: Path) -> None:
    earlier(path, 2)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DELETE FROM part")
    assert opened(path, 5) == []
    file = OutboxFile(path)
    file.open()
    assert file.new_epoch("00000000000000aa").partition("-")[0] == "6"
    file.write([stored(1)], [])
    file.close()
    assert opened(path, 1) == [1]


@pytest.mark.parametrize("schema", [1, 2])
def test_the_start_counter_of_an_earlier_schema_is_read_where_the_file_cannot_be_opened(path: Path, schema: int) -> None:
    earlier(path, schema)
    assert OutboxFile(path).open_later("00000000000000aa", 99).partition("-")[0] == "6"
