"""Does I/O: what the clock machine remembers across restarts: a small file in the state folder, written about once a day."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edge_agent.delivery.clock import Memory

MOST_BYTES = 4096


class MemoryFile:
    """Advice, not truth: a file that is missing, torn or not ours is as none, and one that cannot be written is left alone."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Memory:
        """What was remembered."""
        try:
            with self._path.open("rb") as file:
                return msgspec.json.decode(file.read(MOST_BYTES), type=Memory)
        except (OSError, msgspec.DecodeError):
            return Memory()

    def write(self, memory: Memory) -> None:
        """Whole or not at all. Not synced: losing it costs nothing but a doubt."""
        beside = self._path.with_suffix(".new")
        try:
            beside.write_bytes(msgspec.json.encode(memory))
            beside.replace(self._path)
        except OSError:
            return
