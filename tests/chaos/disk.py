"""Does I/O: a small disk of its own for a program's state, which can be filled to the last byte and freed again."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path


class SmallDisk:
    """A tmpfs of `size_bytes` at `folder`. Without the right to mount, a plain folder that is never full (`is_real` False)."""

    def __init__(self, folder: Path, size_bytes: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.is_full = False
        command = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=0700", "chaos", str(folder)]
        try:
            self.is_real = os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0
        except FileNotFoundError:
            self.is_real = False
        self._filler = folder / "filler"

    def fill(self) -> None:
        """Nothing more goes in."""
        self.is_full = True
        filler = os.open(self._filler, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            for step in (1 << 20, 1 << 12, 1):
                with suppress(OSError):
                    while os.write(filler, bytes(step)):
                        pass
        finally:
            os.close(filler)

    def free(self) -> None:
        """There is room again."""
        self._filler.unlink(missing_ok=True)
        self.is_full = False

    def end(self) -> None:
        """Unmounts; what it held stays beside it, without the filler."""
        self.free()
        if self.is_real:
            shutil.copytree(self.folder, self.folder.with_suffix(".left"), dirs_exist_ok=True, ignore_dangling_symlinks=True)
            subprocess.run(["umount", "-l", str(self.folder)], check=False, capture_output=True)
