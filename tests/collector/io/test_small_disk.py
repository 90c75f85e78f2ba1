"""A real file system that runs full: first a warning, then no receipts, at the very end the medium's refusal; nothing is lost."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from collector.io.backup import back_up
from collector.io.disk_guard import DiskGuard
from collector.io.sqlite_log import SqliteLog
from collector.seams import StorageFailed
from edge_agent.common.clock import SystemClock
from edge_agent.common.problem import ProblemError
from tests.support.line import T0, data, record

SIZE = 8 << 20


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder], check=False, capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"no mount here: {mounted.stderr.decode()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def leave_free(folder: Path, size: int) -> None:
    """Fills the file system up to so many bytes."""
    ballast = folder / "ballast"
    ballast.unlink(missing_ok=True)
    usage = os.statvfs(folder)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, usage.f_bavail * usage.f_frsize - size)


def code(folder: Path) -> str:
    problem = DiskGuard(folder, SystemClock()).problem()
    return problem.code if problem is not None else ""


def append_until_refused(log: SqliteLog) -> int:
    """The last sequence that was taken; the next one was refused."""
    for seq in range(2, 1000):
        try:
            log.append([record(0, bytes(5000), seq)], [], [])
        except StorageFailed:
            return seq - 1
    raise AssertionError("the disk never refused")


def test_a_disk_that_fills_up(small: Path) -> None:
    with closing(SqliteLog(small / "log.sqlite", 100_000)) as log:
        log.append([record(0, data(1, [1.0]), 1)], [], [])
        assert code(small) == ""
        leave_free(small, SIZE * 8 // 100)
        assert code(small) == "COL408"
        leave_free(small, SIZE * 2 // 100)
        assert code(small) == "COL407"
        assert DiskGuard(small, SystemClock()).is_low()
        leave_free(small, 40_000)
        taken = append_until_refused(log)
        assert [r.key.seq for r in log.read(0, 10_000)] == list(range(1, taken + 1)), "what was refused is not there"
        (small / "ballast").unlink()
        log.append([record(0, bytes(5000), taken + 1)], [], [])
    with closing(SqliteLog(small / "log.sqlite")) as log:
        assert [r.key.seq for r in log.read(0, 10_000)] == list(range(1, taken + 2))
        assert (log.last_offset(), log.damaged()) == (taken + 1, 0)


def test_a_backup_that_does_not_fit_is_refused_and_leaves_nothing(small: Path, tmp_path: Path) -> None:
    with closing(SqliteLog(tmp_path / "state" / "log.sqlite")) as log:
        log.append([record(0, bytes(1 << 20), seq) for seq in range(1, 10)], [], [])
    with pytest.raises(ProblemError) as problem:
        back_up(tmp_path / "state", small / "b.tar", {}, "1", T0, lambda _: None)
    assert problem.value.problems[0].code == "BAK803"
    assert list(small.iterdir()) == []
