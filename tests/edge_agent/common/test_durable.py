"""Bytes are written whole or not at all believed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from edge_agent.common.durable import sync_folder, write_all

_LIMITED = """
import os, resource, signal, sys
from edge_agent.common.durable import write_all
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
assert write_all(file, b"a" * 600, 0) == 600
try:
    write_all(file, b"b" * 600, 600)  # of these the system takes 400, and says so
except OSError as error:
    print(error.errno, os.fstat(file).st_size)
"""


def test_bytes_stand_where_they_are_wanted(tmp_path: Path) -> None:
    path = tmp_path / "some"
    path.write_bytes(b"........")
    descriptor = os.open(path, os.O_RDWR)
    try:
        assert write_all(descriptor, b"water", 2) == 7
        assert write_all(descriptor, b"", 7) == 7
    finally:
        os.close(descriptor)
    sync_folder(tmp_path)
    assert path.read_bytes() == b"..water."


def test_what_the_system_takes_in_part_is_refused_and_not_passed_over(tmp_path: Path) -> None:
    """A file that may not grow further takes the first bytes of a write as if nothing were wrong."""
    ended = subprocess.run([sys.executable, "-c", _LIMITED, str(tmp_path / "some")], check=True, capture_output=True, text=True)
    assert ended.stdout.split() == ["27", "1000"]  # EFBIG
