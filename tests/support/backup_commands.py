"""Does I/O: `collector backup` and `collector restore` as their users call them; also for the chaos harness."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def collector(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """One command of the collector."""
    command = [sys.executable, "-m", "collector", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def back_up(config: Path, target: Path) -> dict[str, Any]:
    """Makes a backup, also of a running collector; what the command says of it."""
    done = collector("backup", target, "--config", config, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def restore(config: Path, file: Path) -> dict[str, Any]:
    """Lays a backup into the state folder of an ended collector, whatever lies there; what the command says of it."""
    done = collector("restore", file, "--replace", "--config", config, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said
