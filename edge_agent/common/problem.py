"""Pure. Errors for people: what, where, and the mend - one cause, one message.

Every code has its anchor in docs/problems.md and its class gives the exit code (CONVENTIONS.md, CLI).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of both programs."""

    FINE = 0
    PROBLEMS = 1
    USAGE = 2
    TRY_AGAIN = 75
    CONFIG = 78
    INTERRUPTED = 130


_EXIT_OF_CLASS = {"CFG": Exit.CONFIG, "USE": Exit.USAGE, "TRY": Exit.TRY_AGAIN}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. code: three letters of its class and three digits (`CFG014`)."""

    code: str
    where: str
    """`site.yaml:27:14   bus "rs485-1" / device "pump-2"`, or a command, an address, a file."""
    what: str
    do: str
    """What mends it; a command or an edit a technician can carry out."""
    detail: str = ""
    """The last exchange in hex, the causes in order; may be several lines."""

    @property
    def exit(self) -> Exit:
        """The exit code of its class."""
        return _EXIT_OF_CLASS.get(self.code[:3], Exit.PROBLEMS)

    def text(self) -> str:
        """As printed on a terminal."""
        lines = [f"{self.code}  {self.where}", f"  {self.what}"]
        lines += [f"  {line}" for line in self.detail.splitlines()]
        lines.append(f"  Do: {self.do}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, str]:
        """For `--json` and problem+json."""
        fields = {"code": self.code, "where": self.where, "what": self.what, "do": self.do}
        return {**fields, "detail": self.detail} if self.detail else fields


class ProblemError(Exception):
    """Carries one or more problems to the boundary that prints them."""

    def __init__(self, problems: Problem | Sequence[Problem]) -> None:
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("; ".join(f"{p.code} {p.where}: {p.what}" for p in self.problems))

    @property
    def exit(self) -> Exit:
        """The exit code of the first problem."""
        return self.problems[0].exit if self.problems else Exit.PROBLEMS


def problems_json(problems: Sequence[Problem]) -> str:
    """The `--json` form of an error: one schema for every command."""
    return json.dumps({"schema": "problems/1", "problems": [p.as_dict() for p in problems]}, ensure_ascii=False, indent=2)
