"""A segment file on a medium that refuses some of its blocks, and any garbage behind or between frames."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.io.log_segment import HEADER, frame, record_of, scan, seed_of, write_frames
from collector.seams import StorageFailed
from tests.support.line import data, record


class Written(NamedTuple):
    path: Path
    seed: int
    length: int


@pytest.fixture
def segment(tmp_path: Path) -> Written:
    """30 records of 1000 to 2000 bytes."""
    path = tmp_path / "0000000000000001-deadbeef.seg"
    seed = seed_of(path.name)
    frames = [frame(record(0, bytes(1000 + 33 * n), n + 1), n + 1, n, seed) for n in range(30)]
    return Written(path, seed, write_frames(path, len(HEADER), frames))


class Medium:
    """Refuses to read some blocks of 4 KiB, as a disk with bad sectors does."""

    def __init__(self, *bad: int) -> None:
        self._bad = set(bad)

    def pread(self, file: int, count: int, position: int) -> bytes:
        if not self._bad.isdisjoint(range(position // 4096, (position + count - 1) // 4096 + 1)):
            raise OSError(errno.EIO, "Input/output error")
        return os.pread(file, count, position)


def sequences(file: Written, medium: Medium) -> list[int]:
    opened = os.open(file.path, os.O_RDONLY)
    try:
        return [record_of(found).key.seq for found in scan(opened, file.seed, len(HEADER), file.length, medium.pread)]
    finally:
        os.close(opened)


def test_bad_blocks_cost_the_records_in_them_alone(segment: Written) -> None:
    assert sequences(segment, Medium()) == list(range(1, 31))
    left = sequences(segment, Medium(2, 5))
    assert 20 < len(left) < 27
    assert {1, 2, 3, 30} <= set(left)


def test_a_medium_that_refuses_everything_is_away(segment: Written) -> None:
    with pytest.raises(StorageFailed):
        sequences(segment, Medium(*range(100)))


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_garbage_between_frames_is_passed_over(before: bytes, between: bytes) -> None:
    seed = seed_of("x")
    first, second = (frame(record(0, data(n, [1.0]), n), n, n - 1, seed) for n in (1, 2))
    content = before + first + between + second
    found = list(scan(0, seed, 0, len(content), lambda _, count, position: content[position : position + count]))
    assert [f.offset for f in found] == [1, 2]


def test_a_file_is_for_its_owner_alone_and_grows_behind_its_committed_end(segment: Written) -> None:
    assert segment.path.stat().st_mode & 0o077 == 0
    more = frame(record(0, data(31, [1.0]), 31), 31, 30, segment.seed)
    for _ in range(2):  # a second attempt writes the same
        grown = segment._replace(length=write_frames(segment.path, segment.length, [more]))
        assert sequences(grown, Medium()) == list(range(1, 32))


def test_a_write_is_on_the_medium_before_its_end_is_told(tmp_path: Path) -> None:
    synced: list[bytes] = []
    path = tmp_path / "x.seg"
    assert write_frames(path, len(HEADER), [b"fra", b"mes"], lambda _: synced.append(path.read_bytes())) == len(HEADER) + 6
    assert synced == [HEADER + b"frames"]
