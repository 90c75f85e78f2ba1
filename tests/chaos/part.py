"""Does I/O: the programs of a line, each started by the launcher, killed, and started again at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.controls import Aim, AimFile, ClockFile, prepare
from tests.chaos.instrument import now_ms
from tests.support.ports import listens
from tests.support.programs import REPOSITORY

NTP_MS = 5
START_S = 180.0
"""A start takes a second; a machine with much else to do needs longer."""


class ChaosError(Exception):
    """The run found something that must not be."""


@dataclass(slots=True)
class Life:
    """One run of a program, ms UTC of the real clock. ended_ms 0: it lives."""

    began_ms: int
    ended_ms: int = 0
    is_killed: bool = False
    floor_ms: int | None = None
    """Its disk was full at its end: what it took later than this was never durable."""


@dataclass
class Part:
    """One program. `command` follows the interpreter, or is a program of its own where `python` is False."""

    name: str
    command: list[str]
    folder: Path
    python: bool = True
    lives: list[Life] = field(default_factory=list)
    armed_s: float | None = None
    """Monotonic time at which an aim was set."""
    may_fail: bool = False
    """Its disk is full: it may refuse to start."""
    since_s: float = 0.0
    """Monotonic time since when it is up; 0: not yet."""
    rest_s: float = 0.0
    """How long it lives at least once it is up."""

    def __post_init__(self) -> None:
        self.controls = self.folder / f"{self.name}.controls"
        prepare(self.controls)
        self.aim, self.clock = AimFile(self.controls), ClockFile(self.controls / "clock")
        self.clock.ntp_bound_ms = NTP_MS
        self.output = self.folder / f"{self.name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._began_s = 0.0

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    @property
    def kind(self) -> str:
        """agent, broker or collector."""
        return self.name.partition("-")[0]

    def start(self, aim: Aim | None = None) -> None:
        """Begins; it is up later. aim: it may die in its start already."""
        self.aim.set(aim)
        self.armed_s = time.monotonic() if aim is not None else None
        self.since_s, self._began_s = 0.0, time.monotonic()
        launcher = [sys.executable, "-m", "tests.chaos.launcher", str(self.controls)] if self.python else []
        self.lives.append(Life(now_ms()))
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                [*launcher, *self.command],
                cwd=REPOSITORY,
                env={**os.environ, "NO_COLOR": "1", "PYTHONPATH": str(REPOSITORY)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def arm(self, aim: Aim) -> None:
        """It dies where the aim says."""
        self.aim.set(aim)
        self.armed_s = time.monotonic()

    def kill(self) -> None:
        """kill -9; the time of death is that of the signal."""
        self.lives[-1].ended_ms = now_ms()
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def end(self, within_s: float = 120.0) -> int:
        """SIGTERM; the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(within_s)
        self.lives[-1].ended_ms = now_ms()
        return code

    def exit_code(self) -> int | None:
        """None while it runs."""
        return None if self._process is None else self._process.poll()

    def is_up(self) -> bool:
        """True once it does its work; noted."""
        if not self.since_s and self.exit_code() is None and self._works():
            self.since_s = time.monotonic()
        if not self.since_s and time.monotonic() - self._began_s > START_S and not self.may_fail:
            raise ChaosError(f"{self.name} does not come up within {START_S:.0f} s; see {self.output}")
        return self.since_s > 0

    def _works(self) -> bool:
        raise NotImplementedError


@dataclass
class AgentPart(Part):
    """runtime: where its status file lies."""

    runtime: Path = Path()

    def status(self) -> dict[str, Any]:
        """What this run of it said last; empty before that."""
        try:
            said = dict(json.loads((self.runtime / "status.json").read_text()))
        except (FileNotFoundError, ValueError):
            return {}
        return said if said.get("pid") == self.pid else {}

    def figure(self, name: str) -> int:
        """A figure of its delivery."""
        return int((self.status().get("delivery") or {}).get(name) or 0)

    def _works(self) -> bool:
        return self.figure("taken") > 0


@dataclass
class CollectorPart(Part):
    """state: its folder."""

    state: Path = Path()

    def status(self) -> dict[str, Any]:
        """What this run of it said last; empty before that."""
        try:
            said = dict(json.loads((self.state / "status.json").read_text()))
        except (FileNotFoundError, ValueError):
            return {}
        return said if said.get("pid") == self.pid else {}

    def _works(self) -> bool:
        return bool(self.status().get("connected"))


@dataclass
class BrokerPart(Part):
    """Mosquitto, on its port."""

    port: int = 0

    def _works(self) -> bool:
        return listens(self.port)


def wait_dead(part: Part) -> None:
    """Until the kernel has taken it away."""
    deadline_s = time.monotonic() + 20
    while part.exit_code() is None:
        if time.monotonic() > deadline_s:
            raise ChaosError(f"{part.name} does not die")
        time.sleep(0.005)
