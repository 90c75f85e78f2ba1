"""Laws: the line loses nothing and doubles nothing under any of these seeds' faults, and planted bugs are noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sim.mutants import PLANTED
from tests.sim.scenario import run
from tests.sim.world import SimFailure

CORPUS = [
    int(line.split("#")[0])
    for line in Path(__file__).with_name("corpus.txt").read_text().splitlines()
    if line.split("#")[0].strip()
]


@pytest.mark.parametrize("first", range(0, 40, 10))
def test_nothing_is_lost_or_doubled(first: int) -> None:
    for seed in range(first, first + 10):
        run(seed)


@pytest.mark.parametrize("seed", CORPUS)
def test_seeds_that_once_failed(seed: int) -> None:
    run(seed)


@pytest.mark.parametrize("name", PLANTED)
def test_planted_bugs_are_caught(name: str) -> None:
    caught = []
    for seed in range(100, 130):
        try:
            run(seed, PLANTED[name])
        except SimFailure as failure:
            caught.append(str(failure))
            break
    assert caught, f"{name} went unnoticed in 30 seeds"


def test_a_seed_gives_the_same_run_again() -> None:
    assert run(2) == run(2)
