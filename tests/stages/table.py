"""Pure but for `write`: the table of stages as docs/testing.md holds it, between two marks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.stages.plan import Break

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
BEGIN, END = "<!-- stages: begin -->\n", "<!-- stages: end -->\n"


def markdown(breaks: Sequence[Break]) -> str:
    """The table, in the order of the line."""
    lines = ["| stage | what was broken | test that failed |", "|---|---|---|"]
    for planned in breaks:
        tests = "<br>".join(f"`{_short(test)}`" for test in planned.tests)
        lines.append(f"| {planned.stage} | {planned.what} (`{planned.name}`, {planned.file}) | {tests} |")
    return "\n".join(lines) + "\n"


def shown() -> str:
    """The table that the page holds. Raises ValueError where the marks are missing."""
    text = PAGE.read_text(encoding="utf-8")
    return text[text.index(BEGIN) + len(BEGIN) : text.index(END)]


def write(breaks: Sequence[Break]) -> None:
    """Puts the table into the page."""
    text = PAGE.read_text(encoding="utf-8")
    head, tail = text[: text.index(BEGIN) + len(BEGIN)], text[text.index(END) :]
    PAGE.write_text(head + markdown(breaks) + tail, encoding="utf-8")


def _short(test: str) -> str:
    return test.removeprefix("tests/")
