"""Does I/O: the audit of what people changed on devices: one line of JSON for each attempt, durable before anything is sent."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Mapping
from pathlib import Path

from edge_agent.common.problem import Problem, ProblemError

_SERVICE = Path("/var/lib/edge-agent")
_NAME = "audit.jsonl"


def audit_file(option: Path | None, environment: Mapping[str, str], home: Path) -> Path:
    """Where it lies: in the folder of the option, in the service's state where this user may write there, else in `home`."""
    if option is not None:
        return option / _NAME
    service = Path(environment.get("STATE_DIRECTORY", "").split(":")[0] or _SERVICE)
    return (service if service.is_dir() and os.access(service, os.W_OK) else home) / _NAME


def person(environment: Mapping[str, str]) -> str:
    """Who is at the keyboard: behind sudo the one who called it."""
    try:
        return environment.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def write_audit(path: Path, entry: Mapping[str, object]) -> None:
    """Appends one line and waits until it is on the disk. Raises ProblemError WRT703: without an audit nothing is changed."""
    line = json.dumps(entry, ensure_ascii=False, separators=(",", ":")) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640), "a", encoding="utf-8") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        do = "name a folder that can be written to with --state-dir, or make room on the disk."
        raise ProblemError(Problem("WRT703", str(path), f"The audit line cannot be written: {error.strerror}.", do)) from error
