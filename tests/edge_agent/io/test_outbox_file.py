"""The outbox file: what was written is there after any restart; damage is set aside, never served."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest

from edge_agent.common.problem import ProblemError
from edge_agent.delivery.machine import Anchor, Key, Stored
from edge_agent.io.outbox import OutboxFailed, OutboxFile

EPOCH = "1-0123456789abcdef"


def stored(seq: int, body: bytes = b'{"blocks":[]}', kind: str = "data") -> Stored:
    return Stored(Key(EPOCH, "n", seq), kind, "b" * 16, body, 3, "boot", 10 * seq, 1_800_000_000_000 + seq, "ntp", 5)  # type: ignore[arg-type]


def reopened(path: Path) -> tuple[Stored, ...]:
    file = OutboxFile(path)
    try:
        return file.open().stored
    finally:
        file.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "outbox.db"


def test_what_is_added_is_there_after_a_restart_and_what_is_forgotten_is_not(path: Path) -> None:
    file = OutboxFile(path)
    assert file.open().stored == ()
    file.write([stored(1), stored(2)], [])
    file.write([stored(3)], [Key(EPOCH, "n", 1)])
    file.close()
    assert reopened(path) == (stored(2), stored(3))
    file.open()
    file.write([], [Key(EPOCH, "n", 2), Key(EPOCH, "n", 3)])
    file.close()
    assert reopened(path) == ()


def test_forget_and_add_of_one_key_in_one_write_keeps_the_new_form(path: Path) -> None:
    file = OutboxFile(path)
    file.open()
    file.write([stored(1, b"old")], [])
    file.write([stored(1, b"new")], [Key(EPOCH, "n", 1)])
    assert file.fetch([Key(EPOCH, "n", 1)]) == ([stored(1, b"new")], [])
    file.close()
    assert reopened(path) == (stored(1, b"new"),)


def test_each_start_has_an_epoch_of_its_own(path: Path) -> None:
    epochs = []
    for _ in range(3):
        file = OutboxFile(path)
        file.open()
        epochs.append(file.new_epoch("00000000000000aa"))
        file.close()
    assert [epoch.partition("-")[0] for epoch in epochs] == ["1", "2", "3"]


def test_only_its_owner_may_read_it(path: Path) -> None:
    reopened(path)
    assert path.stat().st_mode & 0o077 == 0


def test_a_file_that_is_no_database_is_set_aside(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"water" * 5000)
    file = OutboxFile(path)
    opened = file.open()
    assert (opened.stored, opened.set_aside) == ((), "outbox.db.damaged-1")
    assert (path.parent / opened.set_aside).read_bytes().startswith(b"water")
    file.write([stored(1)], [])
    file.close()


def test_a_flipped_bit_is_found_and_never_served(path: Path) -> None:
    file = OutboxFile(path)
    file.open()
    file.write([stored(1)], [])
    file.write([stored(2)], [])
    file.close()
    with sqlite3.connect(path) as database:
        packed = bytearray(database.execute("SELECT messages FROM part_1 WHERE id = 1").fetchone()[0])
        packed[len(packed) // 2] ^= 4
        database.execute("UPDATE part_1 SET messages = ? WHERE id = 1", (bytes(packed),))
    database.close()
    opened = OutboxFile(path).open()
    assert (opened.stored, opened.damaged) == ((stored(2),), 1)


def test_a_newer_file_is_refused_in_words(path: Path) -> None:
    reopened(path)
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(ProblemError) as problem:
        OutboxFile(path).open()
    assert problem.value.problems[0].code == "OUT201"


def test_a_refusing_medium_is_told_and_nothing_is_believed(path: Path) -> None:
    file = OutboxFile(path)
    file.open()
    file.write([stored(1)], [])
    file._open_database().execute("PRAGMA max_page_count = 8").fetchall()
    with pytest.raises(OutboxFailed, match="full"):
        file.write([stored(2, random.Random(1).randbytes(500_000))], [])
    assert file.fetch([Key(EPOCH, "n", 2)]) == ([], [Key(EPOCH, "n", 2)])
    file.close()
    assert reopened(path) == (stored(1),)


def test_after_a_refusal_the_file_is_read_again_and_goes_on(path: Path) -> None:
    file = OutboxFile(path)
    file.open()
    file.write([stored(1)], [])
    file._open_database().execute("PRAGMA query_only = ON").fetchall()
    with pytest.raises(OutboxFailed):
        file.write([stored(2)], [])
    assert file.fetch([Key(EPOCH, "n", 1)]) == ([stored(1)], [])
    file.write([stored(2)], [Key(EPOCH, "n", 1)])
    file.close()
    assert reopened(path) == (stored(2),)


def test_a_key_that_is_written_again_is_there_once(path: Path) -> None:
    file = OutboxFile(path)
    file.open()
    file.write([stored(1, b"old"), stored(2)], [])
    file.write([stored(1, b"new")], [])
    file.close()
    assert reopened(path) == (stored(2), stored(1, b"new"))


def test_anchors_stay_while_something_of_their_epoch_is_stored(path: Path) -> None:
    file = OutboxFile(path)
    anchor = Anchor(EPOCH, 1_700_000_000_000, "ntp", 40)
    file.open()
    file.write([stored(1)], [], [anchor])
    file.write([], [], [Anchor(EPOCH, 5, "rtc", 9)])
    file.close()
    assert file.open().anchors == (anchor,), "the first one stands: a stamp never changes"
    file.write([], [Key(EPOCH, "n", 1)])
    file.new_epoch("00000000000000aa")
    assert file._open_database().execute("SELECT count(*) FROM note WHERE name LIKE 'anchor/%'").fetchone() == (0,)
    file.close()
