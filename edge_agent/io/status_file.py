"""Does I/O: the file in which a running agent says how it is, and how `edge-agent status` reads it.

One JSON object, replaced as a whole every second or two; it holds no secret and is readable by everyone on the machine.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

NAME = "status.json"
SCHEMA = "status/1"
MAX_BYTES = 8 << 20
STALE_MS = 15_000
"""Not replaced for so long: the agent hangs."""


def write_status(folder: Path, body: Mapping[str, object]) -> None:
    """Replaces the file. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / (NAME + ".new")
    with fresh.open("w", encoding="utf-8") as file:
        json.dump({"schema": SCHEMA, **body}, file, ensure_ascii=False)
    fresh.replace(folder / NAME)


def remove_status(folder: Path) -> None:
    """Takes the file away at a clean end; where the folder cannot be used there is none, or it soon reads as an ended agent's."""
    with suppress(OSError):
        (folder / NAME).unlink()


def read_status(folders: Sequence[Path]) -> dict[str, Any] | None:
    """The status of the first agent found that runs; None where none does."""
    for folder in folders:
        try:
            with (folder / NAME).open("rb") as file:
                body = json.loads(file.read(MAX_BYTES))
        except (OSError, ValueError):
            continue
        if isinstance(body, dict) and body.get("schema") == SCHEMA and _runs(body.get("pid")):
            return body
    return None


def _runs(pid: object) -> bool:
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
