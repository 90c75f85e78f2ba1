"""Does I/O: reads the quarantine of a log from outside, also while the collector writes it."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import quote

from collector.intake.records import Poison
from collector.io.log_schema import POISON, is_sound, poison_of
from edge_agent.common.problem import Problem, ProblemError

LOG_FILE = "log.sqlite"


def read_quarantine(state: Path, limit: int) -> list[Poison]:
    """The newest quarantined messages first. Raises ProblemError (TRY402 no log yet, LOG402 not readable)."""
    path = state / LOG_FILE
    if not path.exists():
        raise ProblemError(Problem("TRY402", str(path), "There is no log yet.", "start the collector: `collector run`."))
    try:
        database = sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, timeout=10.0, isolation_level=None)
        try:
            rows = database.execute(f"{POISON} ORDER BY id DESC LIMIT ?", (limit,)).fetchall()
        finally:
            database.close()
    except sqlite3.Error as error:
        what = f"The quarantine cannot be read: {error}."
        raise ProblemError(Problem("LOG402", str(path), what, "check rights and disk.")) from error
    return [poison_of(row) for row in rows if is_sound(row)]
