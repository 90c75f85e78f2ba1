"""Laws: the line loses nothing and doubles nothing under any of these seeds' faults, and planted bugs are noticed."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from collector.domain.identity import GatewayId
from collector.domain.pulse import GatewayPulse
from collector.intake.records import BatchKey, Record
from collector.rules.site import EVENT_ON_ITS_WAY_MS
from edge_agent.contract import encoding
from edge_agent.contract import message as m
from edge_agent.delivery.machine import Key, Stored, Write
from tests.sim.consumers import without_faults
from tests.sim.logs import SimLog
from tests.sim.plan import plan
from tests.sim.scenario import Line, Parts, run
from tests.sim.shrink import Case, read_case
from tests.sim.world import BEGIN_MS, World

EPOCH = "1-00000000000000ab"
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


def test_what_was_on_at_the_end_stays_on_while_its_gateway_is_heard() -> None:
    raw, name = encoding.encode_birth_body(m.BirthBody("test 1", [m.Series(0, "device", "level", "m", "tank.level", 1000)]))
    birth = encoding.encode(m.Birth(1, EPOCH, m.URGENT, 1, 1, name, "boot", BEGIN_MS, msgspec.Raw(raw)))
    body = m.Body([], [m.Event(0, "sim.event", True, "device")])
    event = encoding.encode(m.Data(1, EPOCH, m.URGENT, 2, 1, name, BEGIN_MS, body))
    log = SimLog(World(0), "log")
    log.add(Record(0, BatchKey("sim", "gw-0", EPOCH, m.URGENT, 1), BEGIN_MS, birth, "birth"))
    log.add(Record(0, BatchKey("sim", "gw-0", EPOCH, m.URGENT, 2), BEGIN_MS, event, "data"))
    gateway = GatewayId("sim", "gw-0")
    assert without_faults(log) == {}
    assert without_faults(log, [GatewayPulse(gateway, BEGIN_MS + 59_000 + EVENT_ON_ITS_WAY_MS)]) == {}
    assert without_faults(log, [GatewayPulse(gateway, BEGIN_MS + 60_000 + EVENT_ON_ITS_WAY_MS)]) == {
        f"sim-trouble~sim~gw-0~device~{BEGIN_MS}": None
    }


def test_a_seed_gives_the_same_run_again() -> None:
    assert run(2) == run(2)
