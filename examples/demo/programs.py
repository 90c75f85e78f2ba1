"""Does I/O: starts and ends the demo's programs - collector, stations, agents - each as its user would start it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
START_S = 60.0
END_S = 20.0


class DemoFailed(Exception):
    """The demo cannot go on; the text says why, for a person."""


def free_port() -> int:
    """A port of loopback that nothing listens on at present, and that no outgoing connection takes while its server restarts."""
    for port in Random().sample(range(20_000, 32_000), 200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    raise DemoFailed("no free port on 127.0.0.1")


def wait_for(what: str, ready: Callable[[], Any], programs: Sequence[Program] = (), seconds: float = START_S) -> Any:
    """Asks until `ready` gives something true. Raises DemoFailed in time, or when one of the programs has ended."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        answer = ready()
        if answer:
            return answer
        for program in programs:
            if not program.alive:
                raise DemoFailed(f"{program.name} ended while the demo waited for {what}:\n{program.tail()}")
        time.sleep(0.05)
    ends = "\n".join(f"--- {program.name}\n{program.tail()}" for program in programs)
    raise DemoFailed(f"waited {seconds:.0f} s for {what} in vain\n{ends}")


class Program:
    """One child process, its output in a file of its own."""

    def __init__(self, name: str, arguments: Sequence[str], run_dir: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self._output = run_dir / f"{name}.log"
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                cwd=REPOSITORY,
                env={**os.environ, "NO_COLOR": "1", **environment},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def alive(self) -> bool:
        """True while it runs."""
        return self._process.poll() is None

    def tell(self, line: str) -> None:
        """One line on its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def end(self) -> int:
        """Asks it to end, and insists after END_S. Gives its exit code."""
        if self.alive:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(END_S)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        return self._process.returncode

    def tail(self, lines: int = 15) -> str:
        """The end of what it said."""
        return "\n".join(self._output.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def read_json(path: Path) -> Any:
    """The file's JSON, or None while it is not there or not whole."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
