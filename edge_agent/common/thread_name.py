"""Does I/O: tells the system what a thread is called, so that `top -H` and `/proc` show who spends the processor's time."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

LONGEST = 15
"""What Linux keeps of a thread's name, bytes."""


def name_thread() -> None:
    """Gives the calling thread its Python name; does nothing where the system knows no such thing."""
    name = threading.current_thread().name.encode()[:LONGEST]
    with suppress(OSError):
        Path(f"/proc/self/task/{threading.get_native_id()}/comm").write_bytes(name)
