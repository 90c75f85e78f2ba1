"""Does I/O: a small ext4 on a loop device, and what was written to it; where that is not permitted, a plain folder.

`device_bytes` is what the block layer was given (data, ext4's journal, metadata), `process_bytes` what this process dirtied.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SIZE = "256M"
SECTOR_BYTES = 512


@dataclass(frozen=True)
class Written:
    """Bytes. device None: there is no device to ask."""

    device: int | None
    process: int

    def since(self, before: Written) -> Written:
        device = None if self.device is None or before.device is None else self.device - before.device
        return Written(device, self.process - before.process)


@dataclass(frozen=True)
class Medium:
    """A folder to write in. loop: its device's name, empty without one."""

    folder: Path
    loop: str = ""

    def written(self) -> Written:
        """Everything that is still in the page cache goes out first."""
        handle = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(handle)
            subprocess.run(["sync", "-f", str(self.folder)], check=True)
        finally:
            os.close(handle)
        device = int(Path(f"/sys/block/{self.loop}/stat").read_text().split()[6]) * SECTOR_BYTES if self.loop else None
        return Written(device, process_bytes())


def process_bytes() -> int:
    """Bytes that this process has caused to be written to storage, as the kernel counts them."""
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return int(dict(line.split(": ") for line in lines)["write_bytes"])


@contextmanager
def medium() -> Iterator[Medium]:
    """A fresh one, gone afterwards."""
    work = Path(tempfile.mkdtemp(prefix="bench-flash-"))
    mounted = None
    try:
        mounted = _mount(work)
        yield Medium(mounted[0], mounted[1]) if mounted else Medium(work)
    finally:
        if mounted:
            subprocess.run(["umount", str(mounted[0])], check=False)
        shutil.rmtree(work, ignore_errors=True)


def _mount(work: Path) -> tuple[Path, str] | None:
    image, at = work / "image", work / "mount"
    at.mkdir()
    commands = (
        ["truncate", "-s", SIZE, image],
        ["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", image],
        ["mount", "-o", "loop,noatime", image, at],
    )
    for command in commands:
        try:
            subprocess.run([str(word) for word in command], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"No loop device here ({error}): only the process's own writes are counted.")
            return None
    found = subprocess.run(["findmnt", "-no", "SOURCE", str(at)], check=True, capture_output=True, text=True)
    return at, Path(found.stdout.strip()).name
