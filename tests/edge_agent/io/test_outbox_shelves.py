"""A backlog in the outbox file: known by a few lines, read back by rows; a damaged row is told by its head."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

from edge_agent.contract import encoding
from edge_agent.contract import message as m
from edge_agent.delivery.machine import Key, Lost, Span, Stored
from edge_agent.io.outbox import OutboxFile
from edge_agent.io.outbox_generations import ROW_MESSAGES
from edge_agent.io.outbox_index import PartIndex

EPOCH = "1-0123456789abcdef"


def stored(seq: int) -> Stored:
    return Stored(Key(EPOCH, "n", seq), "data", "b" * 16, b"%d" % seq, 3, "boot", 10 * seq, 1_800_000_000_000 + 10 * seq, "ntp", 5)


def backlog(path: Path, rows: int = 1000) -> OutboxFile:
    file = OutboxFile(path)
    file.open()
    for row in range(rows):
        file.write([stored(2 * row + 1), stored(2 * row + 2)], [])
    return file


def test_a_backlog_is_one_shelf_and_comes_back_whole(tmp_path: Path) -> None:
    backlog(tmp_path / "outbox.db").close()
    file = OutboxFile(tmp_path / "outbox.db")
    opened = file.open()
    (shelf,) = opened.shelves
    assert len(opened.stored) + shelf.count == 2000
    assert shelf.span.a == len(opened.stored) + 1
    assert shelf.readings == 3 * shelf.count
    assert file.fetch(shelf.span.each()) == ([stored(seq) for seq in range(shelf.span.a, 2001)], [])
    file.write([], [Key(EPOCH, "n", seq) for seq in range(1, 1998)])
    file.close()
    left = file.open()
    assert left.stored == (stored(1998), stored(1999), stored(2000))
    file.close()


def test_a_damaged_row_is_told_with_its_keys_and_readings(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    backlog(path, 3).close()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE part_1 SET messages = zeroblob(40) WHERE id = 2")
    database.close()
    file = OutboxFile(path)
    opened = file.open()
    assert (opened.damaged, [shelf.span for shelf in opened.shelves]) == (1, [Span(EPOCH, "n", 3, 4)])
    keys = opened.shelves[0].span.each()
    assert file.fetch(keys) == ([], keys)
    assert (file.readings_of(keys), file.readings_of(keys[:1])) == (6, 3)
    file.write([], keys)
    file.close()
    assert (file.open().damaged, file.open().shelves) == (0, ())
    file.close()


def test_a_damaged_message_that_told_of_gaps_is_told_with_what_it_told_until_it_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    gaps = [m.Gap(EPOCH, "n", 1, 9, 27, "overflow"), m.Gap(EPOCH, "u", 2, 2, 0, "overflow", 5, 6)]
    telling = [replace(stored(seq), body=encoding.encode_body(m.Body(gaps=gaps)), gaps=2) for seq in (21, 23)]
    file = OutboxFile(path)
    file.open()
    file.write([stored(20), telling[0], stored(22), telling[1]], [])
    file.close()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE part_1 SET messages = zeroblob(40)")
    database.close()
    for forget, shelves, lost in (
        ([], [20, 22], [21, 23]), ([21], [20, 22], [23]), ([20], [22], [23]), ([22], [], [23]), ([23], [], [])
    ):  # fmt: skip
        file.open()
        file.write([], [Key(EPOCH, "n", seq) for seq in forget])
        file.close()
        opened = file.open()
        assert [shelf.span.a for shelf in opened.shelves] == shelves
        assert opened.lost == tuple(Lost(Key(EPOCH, "n", seq), 3, gaps) for seq in lost)
        file.close()


def test_a_damaged_birth_is_told_until_it_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    birth = replace(stored(1), key=Key(EPOCH, "u", 1), kind="birth", readings=0)
    file = OutboxFile(path)
    file.open()
    file.write([birth, stored(1)], [])
    file.close()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE part_1 SET messages = zeroblob(40)")
    database.close()
    for forget, lost in (((), (Lost(birth.key, 0, ()),)), ((birth.key,), ())):
        file.open()
        file.write([], forget)
        file.close()
        opened = file.open()
        assert (opened.lost, opened.damaged, opened.unknown, len(opened.shelves)) == (lost, 1, 0, 1)
        file.close()


def test_a_damaged_head_costs_nothing_and_where_both_are_gone_the_row_goes(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    backlog(path, 3).close()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE part_1 SET head = zeroblob(9)")
        database.execute("UPDATE part_1 SET messages = zeroblob(40) WHERE id = 2")
    database.close()
    file = OutboxFile(path)
    opened = file.open()
    assert (opened.stored, opened.shelves) == (tuple(stored(seq) for seq in (1, 2, 5, 6)), ())
    assert (opened.damaged, opened.unknown) == (1, 1), "told at every start until something is written"
    file.write([], [])
    file.close()
    opened = file.open()
    assert (opened.damaged, opened.unknown) == (0, 0)
    file.close()


def test_a_large_write_becomes_several_rows(tmp_path: Path) -> None:
    file = OutboxFile(tmp_path / "outbox.db")
    file.open()
    file.write([replace(stored(seq)) for seq in range(1, 2 * ROW_MESSAGES + 2)], [])
    assert sqlite3.connect(tmp_path / "outbox.db").execute("SELECT count(*) FROM part_1").fetchone() == (3,)
    file.close()


def test_the_index_knows_when_a_row_is_empty() -> None:
    index = PartIndex()
    index.add(7, [Span(EPOCH, "n", 1, 3), Span(EPOCH, "u", 1, 1)])
    assert [index.forget(Key(EPOCH, "n", seq)) for seq in (2, 1, 3)] == [False, False, False]
    assert index.find(Key(EPOCH, "n", 2)) is None
    assert index.forget(Key(EPOCH, "u", 1))
    assert index.epochs() == set()
