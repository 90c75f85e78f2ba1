"""Does I/O: the file by which a running collector tells `collector status` how it is. Written whole, then renamed."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import msgspec

from edge_agent.common.problem import Problem

_log = logging.getLogger(__name__)
NAME = "status.json"
MAX_BYTES = 4 << 20
STALE_MS = 15_000
"""A file older than this says nothing of the present."""


class ProblemLine(msgspec.Struct, frozen=True):
    """A problem that stands at this moment."""

    code: str
    where: str
    what: str
    do: str


class Status(msgspec.Struct, frozen=True):
    """What a running collector says of itself. Times ms UTC; offsets of the log."""

    at_ms: int
    started_ms: int
    pid: int
    broker_host: str
    broker_port: int
    connected: bool
    page: str
    log_last: int
    stored: int
    judged: int
    gateways: int
    received: int
    duplicate: int
    lost: int
    poison: int
    """Messages quarantined since the start."""
    problems: list[ProblemLine] = []
    refused: dict[str, int] = {}
    """Messages refused since the start, by reason."""
    last_refused: str = ""
    """Topic and reason of the last of them."""
    schema: str = "collector-status/1"


def write_status(state: Path, status: Status) -> None:
    """Replaces the file. Raises OSError."""
    new = state / f".{NAME}.new"
    opened = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
    with os.fdopen(opened, "wb") as file:
        file.write(msgspec.json.encode(status))
    new.replace(state / NAME)


class StatusFile:
    """Writes the status of a running collector. A folder that refuses is a problem to tell, never an end."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._problem: Problem | None = None

    def write(self, status: Status) -> None:
        """Replaces the file; the first refusal and the return are logged."""
        try:
            write_status(self._state, status)
        except OSError as error:
            what = f"The status file cannot be written: {error.strerror or error}. `collector status` is blind; all else goes on."
            if self._problem is None:
                _log.error("%s", what)
            self._problem = Problem("COL410", str(self._state / NAME), what, "free space, or check the disk: `df -h`, `dmesg`.")
            return
        if self._problem is not None:
            _log.warning("the status file can be written again")
        self._problem = None

    def problem(self) -> Problem | None:
        """Why the file is not written at this moment."""
        return self._problem


def read_status(state: Path) -> Status | None:
    """The file, or None where there is none that can be read."""
    try:
        with (state / NAME).open("rb") as file:
            return msgspec.json.decode(file.read(MAX_BYTES), type=Status)
    except (OSError, msgspec.MsgspecError):
        return None
