"""A folder in memory where there is one: tens of thousands of disks are laid out and thrown away."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.torture import vfs


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    if not vfs.install():
        pytest.skip("Python's sqlite3 does not share libsqlite3.so.0 here: nothing can be recorded")
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=shared) as name:
        yield Path(name).resolve()
