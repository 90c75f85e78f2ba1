"""Does I/O: the log on standard error. Each line has a stable id, by which it can be found, counted and translated.

    log = logger("agent")
    say(log, logging.INFO, "agent.start", "site station-1, 2 buses")

Under journald lines begin with their priority (`<6>`) and carry no time; on a terminal with local time; `json`: one object a line.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Mapping
from typing import Literal, TextIO

from edge_agent.common.problem import Problem

Format = Literal["auto", "text", "json"]
_PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
ROOT = "edge_agent"


def logger(part: str) -> logging.Logger:
    """The log of one part of the agent."""
    return logging.getLogger(f"{ROOT}.{part}")


def say(log: logging.Logger, level: int, id: str, text: str) -> None:
    """One line with a stable id."""
    log.log(level, "%s", text, extra={"event_id": id})


def say_problem(log: logging.Logger, level: int, problem: Problem) -> None:
    """A problem in one line; its code is the id."""
    say(log, level, problem.code, f"{problem.where}: {problem.what} Do: {problem.do}")


class LineFormatter(logging.Formatter):
    """`text` with time, `journal` with priority, `json`."""

    def __init__(self, style: Literal["text", "journal", "json"]) -> None:
        super().__init__()
        self._form = style

    def format(self, record: logging.LogRecord) -> str:
        """One line (json, journal) or more (a traceback in text)."""
        id = getattr(record, "event_id", record.name.removeprefix(ROOT + "."))
        text = record.getMessage()
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        if self._form == "json":
            fields = {"t": int(record.created * 1000), "level": record.levelname.lower(), "id": id, "text": text}
            return json.dumps({**fields, "trace": trace} if trace else fields, ensure_ascii=False)
        lines = f"{id}: {text}\n{trace}".rstrip().splitlines()
        lines = ["".join(c if c.isprintable() else "?" for c in line) for line in lines]
        if self._form == "journal":
            priority = _PRIORITY.get(record.levelno, 6)
            return "\n".join(f"<{priority}>{line}" for line in lines)
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        return "\n".join([f"{clock} {record.levelname.lower():7} {lines[0]}", *lines[1:]])


def is_journal(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """True if `stream` is journald's, as JOURNAL_STREAM says (systemd.exec(5))."""
    device, _, inode = environment.get("JOURNAL_STREAM", "").partition(":")
    try:
        here = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return (device, inode) == (str(here.st_dev), str(here.st_ino))


def start_logs(format: Format, environment: Mapping[str, str], stream: TextIO | None = None) -> None:
    """Sends the agent's log to standard error in the wanted form."""
    target = sys.stderr if stream is None else stream
    style: Literal["text", "journal", "json"] = "json" if format == "json" else "text"
    if format == "auto" and is_journal(target, environment):
        style = "journal"
    out = logging.StreamHandler(target)
    out.setFormatter(LineFormatter(style))
    root = logging.getLogger(ROOT)
    root.handlers[:] = [out]
    root.setLevel(logging.INFO)
    root.propagate = False
