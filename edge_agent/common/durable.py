"""Does I/O: writes whole, and names that a power cut does not take back."""

from __future__ import annotations

import os
from pathlib import Path


def write_all(descriptor: int, content: bytes, position: int) -> int:
    """Writes every byte from `position` on; gives where they end. Raises OSError.

    The system may take fewer than it is given, as where the disk is nearly full; what is left is given again, and then refused.
    """
    view = memoryview(content)
    while view:
        written = os.pwrite(descriptor, view, position)
        view, position = view[written:], position + written
    return position


def sync_folder(folder: Path) -> None:
    """Names in this folder are durable on return. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
