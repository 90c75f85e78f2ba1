"""A segment file on a medium that refuses some of its blocks, and any garbage behind or between frames."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.io.log_segment import HEADER, SegmentFile, frame, record_of, scan, seed_of
from collector.seams import StorageFailed
from tests.support.line import data, record


@pytest.fixture
def segment(tmp_path: Path) -> Iterator[SegmentFile]:
    """30 records of 1000 to 2000 bytes."""
    file = SegmentFile(tmp_path / "0000000000000001-deadbeef.seg")
    file.write(b"".join(frame(record(0, bytes(1000 + 33 * n), n + 1), n + 1, n, file.seed) for n in range(30)))
    yield file
    file.close()


class Medium:
    """Refuses to read some blocks of 4 KiB, as a disk with bad sectors does."""

    def __init__(self, *bad: int) -> None:
        self._bad = set(bad)

    def pread(self, file: int, count: int, position: int) -> bytes:
        if not self._bad.isdisjoint(range(position // 4096, (position + count - 1) // 4096 + 1)):
            raise OSError(errno.EIO, "Input/output error")
        return os.pread(file, count, position)


def sequences(file: SegmentFile, medium: Medium) -> list[int]:
    opened = os.open(file.path, os.O_RDONLY)
    try:
        return [record_of(found).key.seq for found in scan(opened, file.seed, len(HEADER), file.length, medium.pread)]
    finally:
        os.close(opened)


def test_bad_blocks_cost_the_records_in_them_alone(segment: SegmentFile) -> None:
    assert sequences(segment, Medium()) == list(range(1, 31))
    left = sequences(segment, Medium(2, 5))
    assert 20 < len(left) < 27
    assert {1, 2, 3, 30} <= set(left)


def test_a_medium_that_refuses_everything_is_away(segment: SegmentFile) -> None:
    with pytest.raises(StorageFailed):
        sequences(segment, Medium(*range(100)))


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_garbage_between_frames_is_passed_over(before: bytes, between: bytes) -> None:
    seed = seed_of("x")
    first, second = (frame(record(0, data(n, [1.0]), n), n, n - 1, seed) for n in (1, 2))
    content = before + first + between + second
    found = list(scan(0, seed, 0, len(content), lambda _, count, position: content[position : position + count]))
    assert [f.offset for f in found] == [1, 2]


def test_a_file_is_made_for_its_owner_alone_and_never_over_another(segment: SegmentFile) -> None:
    assert segment.path.stat().st_mode & 0o077 == 0
    with pytest.raises(FileExistsError):
        SegmentFile(segment.path)
    with pytest.raises(FileNotFoundError):
        SegmentFile(segment.path, segment.length + 1)


def test_a_write_is_on_the_medium_before_its_end_moves(tmp_path: Path) -> None:
    ends: list[int] = []
    file = SegmentFile(tmp_path / "x.seg", sync=lambda _: ends.append(file.length))
    file.write(b"frames")
    assert (ends, file.length) == ([len(HEADER)], len(HEADER) + 6)
    file.close()
