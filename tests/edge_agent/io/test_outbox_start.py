"""A medium that refuses at the start: the agent has an epoch all the same, and the file is taken up when the medium is back."""

from __future__ import annotations

import os
import queue
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.delivery.machine import Event, Key, Stored, TakenUp, Write, WriteFailed, Written
from edge_agent.io.outbox import WAL_PAGES, OutboxFailed, OutboxFile
from edge_agent.io.outbox_notes import STARTS, put_note
from edge_agent.io.outbox_writer import OutboxWriter

EARLIER = "1-0123456789abcdef"
RANDOM = "00000000000000aa"


def stored(seq: int, epoch: str = EARLIER) -> Stored:
    return Stored(Key(epoch, "n", seq), "data", "b" * 16, b"%d" % seq * 20, 3, "boot", 10 * seq, 1_800_000_000_000, "ntp", 5)


def count_of(epoch: str) -> int:
    return int(epoch.partition("-")[0])


class Mounted:
    """A small tmpfs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def options(self, options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", str(self.folder)], check=True, capture_output=True)

    def fill(self) -> None:
        with (self.folder / "ballast").open("wb", buffering=0) as file:
            try:
                while file.write(b"x" * 1024):
                    pass
            except OSError:
                return

    def empty(self) -> None:
        (self.folder / "ballast").unlink()


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Mounted]:
    folder = tmp_path / "mount"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(folder)], check=False, capture_output=True).returncode:
        pytest.skip("mounting is not permitted here")
    yield Mounted(folder)
    subprocess.run(["umount", "-l", str(folder)], check=True)


def earlier_run(path: Path, starts: int = 3) -> None:
    for _ in range(starts):
        file = OutboxFile(path)
        file.open()
        file.new_epoch(RANDOM)
        file.close()
    file = OutboxFile(path)
    file.open()
    file.write([stored(1)], [])
    file.close()


def start(file: OutboxFile) -> str:
    file.open()
    return file.new_epoch(RANDOM)


def test_a_read_only_medium_at_the_start_and_its_return(mounted: Mounted) -> None:
    path = mounted.folder / "outbox.db"
    earlier_run(path)
    mounted.options("ro")
    file = OutboxFile(path)
    with pytest.raises(OutboxFailed):
        start(file)
    file.close()
    epoch = file.open_later(RANDOM, 99)
    assert epoch == f"4-{RANDOM}"
    done: queue.SimpleQueue[Event] = queue.SimpleQueue()
    writer = OutboxWriter(file, done.put)
    writer.start()
    writer.order(Write(1, [stored(1, epoch)], []))
    assert isinstance(done.get(timeout=10), WriteFailed)
    mounted.options("rw")
    writer.order(Write(2, [stored(1, epoch)], []))
    found = done.get(timeout=10)
    assert isinstance(found, TakenUp)
    assert found.stored == (stored(1),)
    assert isinstance(done.get(timeout=10), Written)
    assert writer.stop(10)
    again = OutboxFile(path)
    assert again.open().stored == (stored(1), stored(1, epoch))
    assert count_of(again.new_epoch(RANDOM)) == 5, "the counter of the epoch in memory is used up"
    again.close()


def test_a_full_medium_at_the_start_and_its_return(mounted: Mounted) -> None:
    path = mounted.folder / "outbox.db"
    earlier_run(path)
    mounted.fill()
    file = OutboxFile(path)
    with pytest.raises(OutboxFailed):
        start(file)
    epoch = file.open_later(RANDOM, 99)
    assert count_of(epoch) >= 4
    with pytest.raises(OutboxFailed):
        file.write([stored(1, epoch)], [])
    mounted.empty()
    file.write([stored(1, epoch)], [])
    file.close()
    again = OutboxFile(path)
    assert again.open().stored == (stored(1), stored(1, epoch))
    assert count_of(again.new_epoch(RANDOM)) > count_of(epoch)
    again.close()


def test_where_no_counter_can_be_read_the_clock_tells_it(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    path.mkdir()
    file = OutboxFile(path)
    assert file.open_later(RANDOM, 3_600_000) == f"3600000-{RANDOM}"
    with pytest.raises(OutboxFailed):
        file.write([stored(1)], [])
    path.rmdir()
    file.write([stored(1)], [])
    assert file.new_epoch(RANDOM) == f"3600001-{RANDOM}"
    file.close()


def test_what_the_log_of_an_unclean_end_may_hide_is_counted_in(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    earlier_run(path)
    crashed = sqlite3.connect(path)
    put_note(crashed, STARTS, 9)
    crashed.commit()
    file = OutboxFile(path)
    assert file.open_later(RANDOM, 99) == f"{3 + WAL_PAGES + 1}-{RANDOM}"
    crashed.close()
