"""A damaged outbox file is set aside; what is sound in it stands in the new one."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.delivery.machine import Anchor, Key, Stored
from edge_agent.io import outbox_generations
from edge_agent.io.outbox import Opened, OutboxFile
from edge_agent.io.outbox_notes import read_notes
from tests.edge_agent.io.test_outbox_generations import earlier

EPOCH = "7-0123456789abcdef"
ANCHOR = Anchor(EPOCH, 1_700_000_000_000, "ntp", 40)
PAGE = 4096
RANDOM = random.Random(5)


def stored(seq: int, size: int = 1000) -> Stored:
    body = RANDOM.randbytes(size)
    return Stored(Key(EPOCH, "n", seq), "data", "b" * 16, body, 3, "boot", 10 * seq, 1_800_000_000_000, "ntp", 5)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ten rows of two messages in three generations; three messages are forgotten, the last one is there in a newer form."""
    monkeypatch.setattr(outbox_generations, "GENERATION_BYTES", 4 * 2000)
    path = tmp_path / "outbox.db"
    file = OutboxFile(path)
    file.open()
    file.new_epoch("00000000000000aa")
    for row in range(10):
        file.write([stored(2 * row + 1), stored(2 * row + 2)], [], [ANCHOR])
    file.write([], [Key(EPOCH, "n", seq) for seq in (1, 2, 3)])
    file.write([stored(20, 900)], [])
    file.close()
    return path


def sequences(file: OutboxFile, opened: Opened) -> list[int]:
    shelved = [key for shelf in opened.shelves for key in shelf.span.each()]
    return sorted(each.key.seq for each in (*opened.stored, *file.fetch(shelved)[0]))


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA writable_schema=ON")
        database.execute(statement)


@pytest.mark.parametrize(
    ("statement", "back"),
    [
        ("UPDATE note SET sealed = zeroblob(20) WHERE name LIKE 'anchor/%'", []),
        ("UPDATE note SET name = 'stasts' WHERE name = 'starts'", []),
        ("UPDATE note SET sealed = 'text' WHERE name = 'starts'", []),
        ("UPDATE mark_1 SET sealed = zeroblob(20)", [1, 2, 3]),
        ("UPDATE mark_9 SET sealed = zeroblob(20)", []),
        ("UPDATE sqlite_master SET name = 'mark_7' WHERE name = 'mark_1'", [1, 2, 3]),
        ("PRAGMA user_version = 2", []),
        ("PRAGMA user_version = 0", []),
        ("DROP TABLE mark_5", []),
    ],
)
def test_damage_in_marks_notes_and_names_costs_no_message(path: Path, statement: str, back: list[int]) -> None:
    """What is forgotten may come back: it is sent again, and known to the collector."""
    change(path, statement)
    file = OutboxFile(path)
    opened = file.open()
    assert opened.set_aside == "outbox.db.damaged-1"
    assert sequences(file, opened) == [*back, *range(4, 21)]
    assert len(next(each for each in file.fetch([Key(EPOCH, "n", 20)])[0]).body) == 900, "the newer form"
    assert opened.anchors == (() if "anchor" in statement else (ANCHOR,))
    assert file.new_epoch("00000000000000aa").partition("-")[0] == "8", "above every epoch that is held"
    file.close()


def test_a_table_whose_name_has_changed_is_missed_and_the_others_are_there(path: Path) -> None:
    change(path, "UPDATE sqlite_master SET name = 'pbrt_5' WHERE name = 'part_5'")
    file = OutboxFile(path)
    opened = file.open()
    assert (opened.set_aside, sequences(file, opened)) == ("outbox.db.damaged-1", [*range(4, 9), *range(17, 21)])
    file.close()


def test_it_is_told_until_something_is_written(path: Path) -> None:
    change(path, "UPDATE note SET sealed = zeroblob(20) WHERE name = 'starts'")
    for _ in range(2):
        file = OutboxFile(path)
        assert file.open().set_aside == "outbox.db.damaged-1"
        file.new_epoch("00000000000000aa")
        file.close()
    file.open()
    file.write([stored(30)], [])
    file.close()
    assert file.open().set_aside == ""
    file.close()
    assert path.with_name("outbox.db.damaged-1").stat().st_mode & 0o077 == 0


def _root(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as database:
        return int(database.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0])


def _spoil(path: Path, page: int) -> None:
    content = bytearray(path.read_bytes())
    content[(page - 1) * PAGE : page * PAGE] = bytes(PAGE)
    path.write_bytes(bytes(content))


def test_a_page_that_cannot_be_read_costs_its_own_table_at_most(path: Path) -> None:
    _spoil(path, _root(path, "part_5"))
    file = OutboxFile(path)
    opened = file.open()
    assert opened.set_aside == "outbox.db.damaged-1"
    assert sequences(file, opened) == [*range(4, 9), *range(17, 21)]
    assert opened.anchors == (ANCHOR,)
    file.close()


def test_a_page_inside_a_large_table_costs_its_rows_alone(tmp_path: Path) -> None:
    path = tmp_path / "large.db"
    file = OutboxFile(path)
    file.open()
    for seq in range(1, 301):
        file.write([stored(seq, 500)], [])
    file.close()
    content = path.read_bytes()
    leaf = next(n for n in range(len(content) // PAGE // 2, len(content) // PAGE) if content[n * PAGE] == 0x0D)
    _spoil(path, leaf + 1)
    opened = file.open()
    found = sequences(file, opened)
    assert opened.set_aside == "large.db.damaged-1"
    assert 280 < len(found) < 300
    assert (found[0], found[-1]) == (1, 300)
    file.close()


def test_a_row_that_was_damaged_before_is_told_by_its_head_still(path: Path) -> None:
    change(path, "UPDATE part_5 SET messages = zeroblob(200) WHERE id = 6")
    change(path, "UPDATE note SET sealed = zeroblob(20) WHERE name = 'starts'")
    file = OutboxFile(path)
    opened = file.open()
    assert (opened.damaged, opened.set_aside) == (1, "outbox.db.damaged-1")
    assert file.readings_of([Key(EPOCH, "n", seq) for seq in (11, 12)]) == 6
    assert sequences(file, opened) == [*range(4, 11), *range(13, 21)]
    file.close()


@pytest.mark.parametrize("schema", [1, 2])
def test_a_damaged_file_of_an_earlier_schema_is_rescued(tmp_path: Path, schema: int) -> None:
    path = tmp_path / "outbox.db"
    earlier(path, schema)
    _spoil(path, _root(path, "anchor"))
    file = OutboxFile(path)
    opened = file.open()
    assert (opened.set_aside, opened.anchors, sequences(file, opened)) == ("outbox.db.damaged-1", (), [2, 3, 4])
    assert read_notes(file._open_database()).starts == 5
    file.close()
