"""The whole line under faults: nothing lost, nothing twice, every stamp right; and planted bugs are caught."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sim.mutants import MUTANTS
from tests.sim.oracles import Broken
from tests.sim.run import Run

CORPUS = [int(line.split()[0]) for line in (Path(__file__).parent / "corpus.txt").read_text().splitlines() if line[:1].isdigit()]
FRESH = range(1, 16)
TRIES = 12


@pytest.mark.parametrize("seed", sorted({*CORPUS, *FRESH}))
def test_nothing_is_lost_and_nothing_comes_twice(seed: int) -> None:
    outcome = Run(seed).go()
    assert outcome.must_arrive > 20
    assert outcome.batches > 0


def test_the_same_seed_gives_the_same_run() -> None:
    assert Run(2).go() == Run(2).go()


def test_most_readings_are_past_their_window() -> None:
    outcomes = [Run(seed).go() for seed in FRESH[:5]]
    assert sum(o.must_arrive for o in outcomes) >= 0.8 * sum(o.readings for o in outcomes)
    assert sum(o.kills for o in outcomes) > 50


@pytest.mark.parametrize("name", MUTANTS)
def test_a_planted_bug_is_caught(name: str) -> None:
    for seed in range(1, TRIES + 1):
        try:
            MUTANTS[name](seed).go()
        except (Broken, ValueError, KeyError):  # a program that ends with a defect is noticed too
            return
    pytest.fail(f"{name}: {TRIES} seeds and nobody noticed")
