"""Does I/O: how both programs speak on a terminal. Data on stdout, talk on stderr, plain text where colour is not wanted.

Standard library only; the collector uses it too.
"""

from __future__ import annotations

import errno
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


class OutputFailed(Exception):
    """Standard output takes nothing more: its disk is full, or its reader went away (then why is empty)."""

    def __init__(self, error: OSError) -> None:
        self.why = "" if error.errno == errno.EPIPE else error.strerror or str(error)
        super().__init__(self.why)


def say(text: str = "") -> None:
    """One line of data on stdout. Raises OutputFailed."""
    try:
        print(text, file=sys.stdout)  # noqa: T201 - this is the one place that prints
    except OSError as error:
        raise OutputFailed(error) from error


def talk(text: str) -> None:
    """One line for the person on stderr: hints, the next command."""
    print(text, file=sys.stderr)  # noqa: T201 - this is the one place that prints


def progress(text: str) -> None:
    """How far a long work has come: for a person who looks on, never into a file or another program."""
    if sys.stderr is not None and sys.stderr.isatty():
        talk(text)


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
    """The exit code of `call`: its own, that of a ProblemError after showing it, or 130 when a person interrupts.

    1 where standard output cannot be written: in one sentence, and without a word where its reader went away.
    """
    try:
        code = _shown(call, as_json=as_json)
        _flush()
    except OutputFailed as failure:
        _silence()
        if failure.why:
            talk(f"The output cannot be written: {failure.why}.")
        return Exit.PROBLEMS
    return code


def _shown(call: Callable[[], int | None], *, as_json: bool) -> int:
    try:
        return call() or Exit.FINE
    except ProblemError as error:
        show_problems(error.problems, as_json=as_json)
        return error.exit
    except KeyboardInterrupt:
        return Exit.INTERRUPTED


def _flush() -> None:
    try:
        if sys.stdout is not None:  # a program may be started without one
            sys.stdout.flush()
    except OSError as error:
        raise OutputFailed(error) from error


def _silence() -> None:
    """What is still buffered for stdout goes nowhere, so that the interpreter's own flush at the end cannot fail again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def width(text: str) -> int:
    """Columns that `text` takes on a terminal; Chinese characters take two."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows in aligned columns below `header`, two spaces between them, no trailing blanks."""
    lines = [header, *rows]
    columns = [max(width(line[i]) for line in lines) for i in range(len(header))]
    padded = ("  ".join(cell + " " * (columns[i] - width(cell)) for i, cell in enumerate(line)) for line in lines)
    return "\n".join(line.rstrip() for line in padded)
