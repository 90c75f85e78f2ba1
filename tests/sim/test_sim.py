"""Laws: the line loses nothing and doubles nothing under any of these seeds' faults, and planted bugs are noticed."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.contract import encoding
from edge_agent.contract import message as m
from edge_agent.delivery.machine import Key, Stored, Write
from tests.sim.plan import plan
from tests.sim.scenario import Line, Parts, run
from tests.sim.shrink import Case, read_case
from tests.sim.world import BEGIN_MS

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


def test_a_backlog_above_a_mib_is_taken_up_whole_at_a_restart(tmp_path: Path) -> None:
    chosen = replace(plan(99), aimed=0.0)
    assert chosen.has_files
    line = Line(99, Parts(), chosen, tmp_path)
    gateway = line.gateways[0]
    gateway.card.open(with_bodies=True)
    epoch = gateway.card.new_epoch("0" * 16)
    chance = random.Random(1)
    values = [chance.random() for _ in range(1000)]
    body = encoding.encode_body(m.Body([m.Block(list(range(1000)), [m.Column(0, values)])]))
    held = [
        Stored(Key(epoch, "n", seq), "data", "b" * 16, body, 1000, "boot", seq, BEGIN_MS + seq, "ntp", 5) for seq in range(1, 201)
    ]
    for first in range(0, 200, 20):
        assert gateway.card.commit(Write(first, held[first : first + 20], [])) == ""
    gateway.card.crash()
    gateway.start()
    assert gateway.courier is not None
    assert gateway.courier.figures(gateway.mono_ms()).depth >= 200
    line.close()


def test_a_seed_gives_the_same_run_again() -> None:
    assert run(2) == run(2)
