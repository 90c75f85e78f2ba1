"""Does I/O: the month's count of bytes across restarts: a small file, replaced as a whole, at most once an hour and at the end."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from edge_agent.delivery.budget import Month

_MAX_BYTES = 4096


class BudgetFile:
    """One file of the state folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Month:
        """What was counted; nothing where the file is missing or damaged."""
        try:
            with self._path.open("rb") as file:
                told = json.loads(file.read(_MAX_BYTES))
            month = Month(int(told["begin_ms"]), int(told["used_bytes"]))
        except (OSError, ValueError, TypeError, KeyError, OverflowError):
            return Month()
        return month if month.begin_ms >= 0 and month.used_bytes >= 0 else Month()

    def write(self, month: Month) -> None:
        """Replaces the file; a disk that refuses costs the count of the time since, nothing more."""
        fresh = self._path.with_suffix(".new")
        with suppress(OSError):
            with fresh.open("w", encoding="ascii") as file:
                json.dump({"begin_ms": month.begin_ms, "used_bytes": month.used_bytes}, file)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
