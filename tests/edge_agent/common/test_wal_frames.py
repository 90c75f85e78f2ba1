"""A write-ahead log: a bit that changed is put right, more is told, a torn end is neither."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from edge_agent.common.wal import DAMAGED, is_cut_short
from edge_agent.common.wal_frames import FRAME, HEADER, SECTOR, Found, examine, rebuilt, sums

PAGE = 4096
COMMITS = 6


def look(log: bytes) -> Found:
    return examine(lambda at, count: log[at : at + count], len(log))


def anew(log: bytes, found: Found) -> bytes:
    return b"".join(rebuilt(lambda at, count: log[at : at + count], found))


def begins(frame: int) -> int:
    return HEADER + frame * (FRAME + PAGE)


def marks(log: bytes) -> list[int]:
    """Frames that end a commit."""
    return [n for n in range((len(log) - HEADER) // (FRAME + PAGE)) if any(log[begins(n) + 4 : begins(n) + 8])]


class Made:
    """A database as a kill leaves it: `main` and `log`; older[n]: the log when n commits were durable."""

    def __init__(self, folder: Path, commits: int = COMMITS) -> None:
        path = folder / "made.db"
        self.older: list[bytes] = []
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=0"):
                database.execute(f"PRAGMA {pragma}").fetchall()
            database.execute("CREATE TABLE row(id INTEGER PRIMARY KEY, bytes BLOB)")
            for number in range(9):  # frames of a generation before, which stay behind those of the present one
                database.execute("INSERT INTO row VALUES(?, randomblob(9000))", (1000 + number,))
            database.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
            for number in range(commits):
                database.execute("INSERT INTO row VALUES(?, randomblob(5000))", (number,))
                self.older.append((folder / "made.db-wal").read_bytes())
            self.main, self.log = path.read_bytes(), (folder / "made.db-wal").read_bytes()

    def rows(self, folder: Path, log: bytes) -> list[int]:
        """What SQLite finds with this log."""
        path = folder / "look.db"
        for name, content in (("look.db", self.main), ("look.db-wal", log)):
            (folder / name).write_bytes(content)
        (folder / "look.db-shm").unlink(missing_ok=True)
        with closing(sqlite3.connect(path)) as database:
            return [row[0] for row in database.execute("SELECT id FROM row WHERE id < 1000 ORDER BY id")]

    def end(self) -> int:
        """The first frame of the generation before."""
        salts = self.log[16:24]
        return next(n for n in range(99) if self.log[begins(n) + 8 : begins(n) + 16] != salts)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("made"))


def test_the_log_is_what_the_tests_take_it_for(made: Made) -> None:
    assert made.end() > COMMITS * 2
    assert len(made.log) > begins(made.end() + 2), "frames of the generation before lie behind"


def test_a_sound_log_is_left_alone(made: Made) -> None:
    for log in (made.log, *made.older, b"", b"short", bytes(9000)):
        assert look(log) == Found()


def spoiled(log: bytes, *places: tuple[int, int]) -> bytes:
    found = bytearray(log)
    for at, bit in places:
        found[at] ^= 1 << bit
    return bytes(found)


def test_every_bit_of_header_and_frame_headers_is_put_right_or_told(made: Made, tmp_path: Path) -> None:
    """High bits make several places look alike; then the page is left as it is, and rows have checksums of their own."""
    places = [(at, bit) for at in range(HEADER) for bit in (0, 4, 7)]
    places += [(begins(n) + at, bit) for n in (0, 3, made.end() - 1) for at in range(FRAME) for bit in (0, 3, 7)]
    told = 0
    for place in places:
        log = spoiled(made.log, place)
        found = look(log)
        if found.is_damaged:
            told += 1
            assert found.kept == tuple(range(made.end())), place
            assert look(anew(log, found)) == Found()
        else:
            assert spoiled(log, *found.flips)[16:] == made.log[16:], place
    assert told < len(places) // 3


def test_every_bit_of_a_page_is_put_right_or_told_and_without_that_commits_are_gone(made: Made, tmp_path: Path) -> None:
    random = Random(3)
    right = told = 0
    for number in [*range(made.end())] * 3:
        place = begins(number) + FRAME + random.randrange(PAGE), random.randrange(8)
        log = spoiled(made.log, place)
        if right + told < made.end():
            assert made.rows(tmp_path, log) != [*range(COMMITS)], "SQLite says nothing"
        found = look(log)
        if found.is_damaged:
            told += 1
            assert found.kept == tuple(range(made.end()))
            assert anew(log, found)[begins(number) + FRAME :][:PAGE] == log[begins(number) + FRAME :][:PAGE]
        else:
            right += 1
            assert found.flips == (place,)
    assert right > told > 0


def test_bits_in_several_frames_are_put_right(made: Made) -> None:
    places = [(begins(n) + 700 * n // 4 * 4, n % 8) for n in (1, 2, 5, 9)]
    assert look(spoiled(made.log, *places)) == Found(tuple(places))


def test_a_sector_that_was_lost_is_told_and_the_other_frames_are_kept(made: Made, tmp_path: Path) -> None:
    random = Random(4)
    second_last = marks(made.log[: begins(made.end())])[-2]
    for number in range(second_last):
        at = (begins(number) + FRAME + random.randrange(PAGE - SECTOR)) // SECTOR * SECTOR
        log = made.log[:at] + random.randbytes(SECTOR) + made.log[at + SECTOR :]
        before = made.rows(tmp_path, log)
        found = look(log)
        assert found.is_damaged, number
        assert len(found.kept) >= made.end() - 3
        assert found.kept[-1] == made.end() - 1
        again = anew(log, found)
        assert look(again) == Found(), "a sound one"
        after = made.rows(tmp_path, again)
        assert len(after) >= len(before)


@pytest.mark.parametrize("order", ["little", "big"])
def test_a_header_that_is_none_costs_the_first_frame_at_most(made: Made, order: str) -> None:
    log = made.log
    if order == "big":  # as another machine writes it
        found = Found((), True, tuple(range(made.end())), PAGE, "big", made.log[16:24])
        log = anew(log, found)
        assert look(log) == Found()
    log = bytes(HEADER) + log[HEADER:]
    found = look(log)
    assert found.is_damaged
    assert found.order == order
    assert found.kept == tuple(range(1, made.end()))


def test_a_first_sector_that_was_lost_costs_two_frames_at_most(made: Made) -> None:
    log = Random(6).randbytes(SECTOR) + made.log[SECTOR:]
    found = look(log)
    assert (found.is_damaged, found.kept) == (True, tuple(range(2, made.end())))
    assert look(anew(log, found)) == Found()


def test_where_no_frame_can_be_believed_it_is_told_and_nothing_is_kept(made: Made) -> None:
    log = Random(6).randbytes(begins(2))
    found = look(log)
    assert (found.is_damaged, found.kept, anew(log, found)) == (True, (), b"")


def test_a_torn_transaction_is_none_of_it(made: Made) -> None:
    """Of the last one any sectors may be missing, whatever lies behind it."""
    random, log = Random(5), made.log
    last = marks(log[: begins(made.end())])[-2] + 1
    for _ in range(150):
        torn = bytearray(log)
        for sector in range(begins(last) // SECTOR, begins(made.end()) // SECTOR + 1):
            at = max(begins(last), sector * SECTOR)
            if random.random() < random.choice((0.2, 0.8)):
                torn[at : (sector + 1) * SECTOR] = made.older[-2][at : (sector + 1) * SECTOR].ljust(
                    (sector + 1) * SECTOR - at, b"\0"
                )
        found = look(bytes(torn[: len(log)]))
        assert not found.is_damaged
        assert not found.flips


def test_what_an_earlier_torn_end_left_behind_is_no_damage(made: Made) -> None:
    """A torn transaction of many frames, then a shorter one over it: frames of this generation lie behind the end."""
    present = marks(made.log[: begins(made.end())])
    first = present[-3] + 1
    shorter, ends = bytearray(made.log), begins(first - 1)
    before = int.from_bytes(shorter[ends + 16 : ends + 20], "big"), int.from_bytes(shorter[ends + 20 : ends + 24], "big")
    frame = shorter[begins(first) : begins(first + 1)]
    frame[4:8], frame[FRAME : FRAME + 8] = (9).to_bytes(4, "big"), b"another!"
    ended = sums("little", bytes(frame[:8] + frame[FRAME:]), before)
    frame[16:24] = b"".join(part.to_bytes(4, "big") for part in ended)
    shorter[begins(first) : begins(first + 1)] = frame
    torn = bytes(shorter[: begins(present[-2] + 1)])  # the transaction that was under way reached so far
    second = marks(torn)[-1]
    assert second > first
    found = look(torn)
    assert (found.is_damaged, found.flips) == (False, ())


class TestFiles:
    """What stands beside the database."""

    def lay(self, made: Made, folder: Path, log: bytes) -> Path:
        path = folder / "some.db"
        path.write_bytes(made.main)
        path.with_name("some.db-wal").write_bytes(log)
        return path

    def test_a_bit_is_put_right_in_the_file(self, made: Made, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        path = self.lay(made, tmp_path, spoiled(made.log, (begins(2) + FRAME + 500, 2)))
        assert not is_cut_short(path)
        assert path.with_name("some.db-wal").read_bytes() == made.log
        assert "a bit had changed" in caplog.text

    def test_a_lost_sector_is_kept_for_inspection_and_told_until_the_file_is_replaced(self, made: Made, tmp_path: Path) -> None:
        log = made.log[:8192] + bytes(SECTOR) + made.log[8192 + SECTOR :]
        path = self.lay(made, tmp_path, log)
        for _ in range(2):
            assert is_cut_short(path)
        kept = path.with_name(path.name + DAMAGED)
        assert kept.read_bytes() == log
        assert kept.stat().st_mode & 0o077 == 0
        assert look(path.with_name("some.db-wal").read_bytes()) == Found()

    def test_no_log_and_a_sound_one(self, made: Made, tmp_path: Path) -> None:
        path = self.lay(made, tmp_path, made.log)
        assert not is_cut_short(path)
        path.with_name("some.db-wal").unlink()
        assert not is_cut_short(path)
