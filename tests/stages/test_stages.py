"""The planted breaks can still be planted, the manual shows them, and (long) tests notice each."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stages import table
from tests.stages.breaks import BREAKS
from tests.stages.plan import Break
from tests.stages.run import run
from tests.stages.workbench import ROOT, Unsound, Workbench, planted


def named(planned: Break) -> str:
    return planned.name


def test_names_are_used_once() -> None:
    assert len({planned.name for planned in BREAKS}) == len(BREAKS) >= 20


@pytest.mark.parametrize("planned", BREAKS, ids=named)
def test_it_can_be_planted(planned: Break) -> None:
    text = (ROOT / planned.file).read_text(encoding="utf-8")
    assert planted(text, planned) != text
    assert planned.tests
    suites = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "tests" / "suites").glob("*.py"))
    for test in planned.tests:
        file, *names = test.split("::")
        there = (ROOT / file).read_text(encoding="utf-8")
        for name in names:
            assert f"def {name}(" in there + suites or f"class {name}" in there, test


def test_the_manual_shows_every_break() -> None:
    assert table.shown() == table.markdown(BREAKS), "run `python -m tests.stages --write`"


def test_what_stands_there_twice_or_never_is_not_planted() -> None:
    twice = Break("b", "s", "w", "f", "same", "other", ())
    for text in ("same same", "nothing"):
        with pytest.raises(Unsound):
            planted(text, twice)


@pytest.mark.long
def test_an_unnoticed_break_is_told(tmp_path: Path) -> None:
    harmless = Break(
        "harmless", "s", "w", "edge_agent/model/scaling.py", "Pure. ", "Pure: ", ("tests/edge_agent/model/test_scaling.py",)
    )
    assert Workbench(tmp_path).try_break(harmless).missed == harmless.tests


@pytest.mark.long
@pytest.mark.timeout(3000)
def test_every_break_is_noticed() -> None:
    said: list[str] = []
    assert run(BREAKS, 2, said.append) == [], "\n".join(said)
