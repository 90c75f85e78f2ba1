"""Does I/O: backups of the running collector by `collector backup`, put back later by `collector restore`; either may be killed."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

from tests.chaos.line import Line
from tests.chaos.part import ChaosError, Part, wait_dead
from tests.chaos.plan import Plan

AGAIN_S = 1.2
"""After a command that was killed or refused, until it is given again."""


class Restores:
    """One after the other: a pause, a backup, another pause, a kill of the collector, the restore, and the collector again."""

    def __init__(self, line: Line, plan: Plan) -> None:
        self.thrown_away: list[Path] = []
        """State folders of collectors that a restore replaced."""
        self._line, self._plan = line, plan
        self._number = 0
        self._backup: Path | None = None
        self._is_whole = False
        self._command: Part | None = None
        self._at_s, self._until_s = plan.restore()
        self._begun = False

    @property
    def is_under_way(self) -> bool:
        """True while a command runs or the collector waits for one."""
        return self._command is not None or self._line.collector.name in self._line.held

    def turn(self, now_s: float) -> None:
        """The next step, if it is due."""
        if not self._begun:
            self._begun, self._at_s = True, self._at_s + now_s
        if self._command is not None:
            self._follow(self._command, now_s)
        elif now_s >= self._at_s:
            self._begin(now_s)

    def _begin(self, now_s: float) -> None:
        collector, disk = self._line.collector, self._line.disks["collector"]
        if disk.is_full:
            return
        if not self._is_whole:
            if collector.since_s:  # a state folder is there
                self._number += 1
                self._backup = self._line.folder / f"backup-{self._number}.tar"
                self._give("backup", [str(self._backup)])
            return
        if collector.name not in self._line.held:
            if collector.exit_code() is not None or collector.armed_s is not None or not collector.since_s:
                return
            self._line.held.add(collector.name)
            self._line.kill(collector)
            wait_dead(collector)
            thrown = self._line.folder / f"thrown-away-{self._number}"
            shutil.copytree(collector.state, thrown)
            self.thrown_away.append(thrown)
        self._give("restore", [str(self._backup), "--replace"])

    def _give(self, word: str, rest: list[str]) -> None:
        name = f"{word}-{self._number}"
        command = ["collector", word, *rest, "--config", str(self._line.config)]
        self._command = self._command or Part(name, command, self._line.folder)
        self._command.start(self._plan.aim_of_command())

    def _follow(self, command: Part, now_s: float) -> None:
        code = command.exit_code()
        if code is None:
            return
        self._command = None
        death = command.aim.death()
        if death is not None:
            self._line.kills[command.kind, death.hazard] += 1
        elif code not in (0, -signal.SIGKILL) and not self._line.is_or_was_full("collector"):
            tail = command.output.read_text(errors="replace")[-2000:]
            raise ChaosError(f"{self._line.name}: {' '.join(command.command)} gave code {code}: {tail}")
        if code != 0:
            self._at_s = now_s + AGAIN_S
        elif command.kind == "backup":
            self._is_whole, self._at_s = True, now_s + self._until_s
        else:
            for replaced in self._line.collector.state.glob("replaced-*"):
                shutil.rmtree(replaced)
            self._line.held.discard(self._line.collector.name)
            self._is_whole = False
            pause_s, self._until_s = self._plan.restore()
            self._at_s = now_s + pause_s
