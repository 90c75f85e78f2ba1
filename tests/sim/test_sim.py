"""Laws: the line loses nothing and doubles nothing under any of these seeds' faults, and planted bugs are noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sim.scenario import run
from tests.sim.shrink import Case, read_case

CORPUS = [
    case for line in Path(__file__).with_name("corpus.txt").read_text("utf-8").splitlines() if (case := read_case(line)) is not None
]


@pytest.mark.parametrize("first", range(0, 16, 4))
def test_nothing_is_lost_or_doubled(first: int) -> None:
    for seed in range(first, first + 4):
        run(seed)


@pytest.mark.parametrize("case", CORPUS, ids=str)
def test_cases_that_once_failed(case: Case) -> None:
    case.run()


def test_real_files() -> None:
    run(99)


def test_a_seed_gives_the_same_run_again() -> None:
    assert run(2) == run(2)
