"""Does I/O: how both programs speak on a terminal. Data on stdout, talk on stderr, plain text where colour is not wanted.

Standard library only; the collector uses it too.
"""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import TextIO

from edge_agent.common.problem import Exit, Problem, ProblemError, problems_json

_RED, _PLAIN = "\x1b[31m", "\x1b[0m"


def wants_colour(stream: TextIO, environment: Mapping[str, str] | None = None) -> bool:
    """True if `stream` is a terminal and neither `NO_COLOR` nor `TERM=dumb` asks for plain text."""
    env = os.environ if environment is None else environment
    return not env.get("NO_COLOR") and env.get("TERM") != "dumb" and stream.isatty()


def say(text: str = "") -> None:
    """One line of data on stdout."""
    print(text, file=sys.stdout)  # noqa: T201 - this is the one place that prints


def talk(text: str) -> None:
    """One line for the person on stderr: progress, hints, the next command."""
    print(text, file=sys.stderr)  # noqa: T201 - this is the one place that prints


def say_json(schema: str, body: Mapping[str, object]) -> None:
    """`body` as JSON on stdout, headed by its versioned schema (`check/1`)."""
    say(json.dumps({"schema": schema, **body}, ensure_ascii=False, indent=2))


def show_problems(problems: Sequence[Problem], *, as_json: bool) -> None:
    """The problems as text on stderr, or with `--json` as one document on stdout."""
    if as_json:
        say(problems_json(problems))
        return
    colour = wants_colour(sys.stderr)
    for number, problem in enumerate(problems):
        if number:
            talk("")
        text = problem.text()
        talk(f"{_RED}{problem.code}{_PLAIN}{text[len(problem.code) :]}" if colour else text)


def guarded(call: Callable[[], int | None], *, as_json: bool) -> int:
    """The exit code of `call`: its own, that of a ProblemError after showing it, or 130 when a person interrupts."""
    try:
        return call() or Exit.FINE
    except ProblemError as error:
        show_problems(error.problems, as_json=as_json)
        return error.exit
    except KeyboardInterrupt:
        return Exit.INTERRUPTED


def width(text: str) -> int:
    """Columns that `text` takes on a terminal; Chinese characters take two."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows in aligned columns below `header`, two spaces between them, no trailing blanks."""
    lines = [header, *rows]
    columns = [max(width(line[i]) for line in lines) for i in range(len(header))]
    padded = ("  ".join(cell + " " * (columns[i] - width(cell)) for i, cell in enumerate(line)) for line in lines)
    return "\n".join(line.rstrip() for line in padded)
