"""Every error message of a site file, as people see it: `tests/golden/site/<case>.yaml` and what `edge-agent check` says of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.cli.main import build_app
from edge_agent.common.program import run
from tests.support.golden import assert_golden

FOLDER = Path(__file__).parents[2] / "golden" / "site"


def test_there_are_cases() -> None:
    assert len(list(FOLDER.glob("*.yaml"))) >= 7


@pytest.mark.parametrize("case", sorted(path.stem for path in FOLDER.glob("*.yaml")))
def test_check_says_exactly_this(case: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)
    code = run(build_app(), ["check", f"{case}.yaml"])
    out, err = capfd.readouterr()
    assert_golden(FOLDER / f"{case}.txt", f"{out}{err}exit {code}\n")
