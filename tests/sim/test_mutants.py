"""Laws: bugs that a reasonable person could write are noticed within a few seeds; the manual shows them all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sim.mutants import PLANTED, QUICK, rows
from tests.sim.scenario import run
from tests.sim.world import SimFailure

ROOT = Path(__file__).parents[2]


def is_noticed(name: str) -> bool:
    for seed in PLANTED[name].seeds:
        try:
            run(seed, PLANTED[name].parts)
        except SimFailure:
            return True
    return False


@pytest.mark.parametrize("name", QUICK)
def test_planted_bugs_are_noticed(name: str) -> None:
    assert is_noticed(name), f"{name} went unnoticed in {len(PLANTED[name].seeds)} seeds"


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in PLANTED if name not in QUICK])
def test_all_planted_bugs_are_noticed(name: str) -> None:
    assert is_noticed(name), f"{name} went unnoticed in {len(PLANTED[name].seeds)} seeds"


def test_the_manual_shows_them_all() -> None:
    assert len(PLANTED) >= 25
    assert "\n".join(rows()) in (ROOT / "docs" / "reliability.md").read_text("utf-8")
