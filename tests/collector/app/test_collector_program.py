"""The real program: receipts after commits, kill -9 of collector and broker in traffic, replay, clean end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

from collector.domain.county import County
from collector.domain.identity import SeriesKey
from collector.io.operations import SqliteOperations
from collector.io.sqlite_log import SqliteLog
from collector.stores.embedded import EmbeddedStore
from edge_agent.contract.message import Text
from tests.support.collector_program import CollectorProgram
from tests.support.golden_state import unpack
from tests.support.ports import wait_until
from tests.support.scripted_agent import EPOCH, T0, ScriptedAgent

pytestmark = [pytest.mark.programs, pytest.mark.timeout(600)]
COUNT = SeriesKey("s", "g", "meter", "count")


def stored(program: CollectorProgram, key: SeriesKey = COUNT) -> list[tuple[int, object]]:
    """What the ended program left in its store."""
    store = EmbeddedStore(program.state / "store.sqlite")
    try:
        return [(sample.time_ms, sample.value) for sample in store.range(key, 0, 1 << 60)]
    finally:
        store.close()


def lanes(program: CollectorProgram) -> dict[str, tuple[int, int]]:
    """Lane to (upto, lost)."""
    log = SqliteLog(program.state / "log.sqlite")
    try:
        return {lane.lane: (lane.upto, lane.lost) for lane in log.lanes() if lane.epoch == EPOCH}
    finally:
        log.close()


def on_disk(program: CollectorProgram) -> set[int]:
    """Sequences of lane n that the log holds."""
    log = SqliteLog(program.state / "log.sqlite")
    try:
        return {record.key.seq for record in log.read(0, 10_000) if record.key.lane == "n"}
    finally:
        log.close()


def everything_is_there_once(program: CollectorProgram, agent: ScriptedAgent) -> None:
    wait_until(lambda: (s := program.status()) is not None and s.stored == s.log_last == s.judged > 0, 120, "consumers at the end")
    assert program.end() == 0, program.output()
    count = agent.count * agent.rows
    assert stored(program) == [(T0 + n * 1000, n) for n in range(count)]
    assert lanes(program) == {"n": (agent.count, 0), "u": (1, 0)}


def test_whatever_is_killed_everything_is_stored_once(tmp_path: Path) -> None:
    chance = Random(7)
    with CollectorProgram(tmp_path) as program:
        agent = ScriptedAgent(program.broker_port, 600)
        try:
            for victim in ("broker", "collector", "broker", "collector", "collector"):
                agent.run_until(agent.covered + chance.randint(20, 90))
                if victim == "broker":
                    os.kill(program.broker_pid(), signal.SIGKILL)
                else:
                    durable = agent.receipted()
                    program.kill()
                    assert on_disk(program) >= durable
                    program.start()
            agent.run_until(600)
        finally:
            agent.close()
        everything_is_there_once(program, agent)


def test_a_receipt_speaks_only_of_what_is_committed(tmp_path: Path) -> None:
    with CollectorProgram(tmp_path) as program:
        agent = ScriptedAgent(program.broker_port, 200)
        log = SqliteLog(program.state / "log.sqlite")
        try:
            for target in range(10, 201, 10):
                agent.run_until(target)
                said = max(lane.upto for lane in agent.receipts[-1].lanes if lane.l == "n")
                there = {record.key.seq for record in log.read(0, 10_000) if record.kind == "data"}
                assert set(range(1, said + 1)) <= there
        finally:
            log.close()
            agent.close()
        everything_is_there_once(program, agent)


def test_a_reading_is_queryable_from_another_process_and_nothing_is_wrong(tmp_path: Path) -> None:
    with CollectorProgram(tmp_path) as program:
        agent = ScriptedAgent(program.broker_port, 1, t0=time.time_ns() // 1_000_000 - 60_000)
        store = EmbeddedStore(program.state / "store.sqlite")
        try:
            agent.run_until(1)
            wait_until(lambda: store.latest().get(COUNT), 60, "stored")
        finally:
            store.close()
            agent.close()
        status = program.status()
        assert status is not None
        assert status.problems == []


def test_replay_through_the_whole_line_and_again(tmp_path: Path) -> None:
    (tmp_path / "map.yaml").write_text(
        "time: {column: t, format: unix}\nseries:\n  - {column: a, device: panel, point: a, unit: NTU, role: water.turbidity}\n"
    )
    rows = [f"{1_700_000_000 + 60 * n},{n / 10 if n % 7 else ''}" for n in range(500)]
    (tmp_path / "r.csv").write_text("\n".join(["t,a", *rows]))
    with CollectorProgram(tmp_path) as program:
        command = [
            sys.executable,
            "-m",
            "collector",
            "replay",
            "r.csv",
            "--site",
            "s",
            "--gateway",
            "g",
            "--map",
            "map.yaml",
            "--json",
        ]
        runs = [
            subprocess.run([*command, "--config", str(program.config)], cwd=tmp_path, capture_output=True, text=True, check=False)
            for _ in range(2)
        ]
        assert [run.returncode for run in runs] == [0, 0], runs[0].stderr + runs[1].stderr
        reports = [json.loads(run.stdout) for run in runs]
        assert reports[0]["epoch"] == reports[1]["epoch"]
        wait_until(lambda: (s := program.status()) is not None and s.stored == s.log_last > 0, 60, "stored")
        assert program.end() == 0, program.output()
    expected = [((1_700_000_000 + 60 * n) * 1000, n / 10) for n in range(500) if n % 7]
    assert stored(program, SeriesKey("s", "g", "panel", "a")) == expected


def test_it_ends_within_ten_seconds_and_two_cannot_share_a_state(tmp_path: Path) -> None:
    with CollectorProgram(tmp_path) as program:
        second = subprocess.run(
            [sys.executable, "-m", "collector", "run", "--config", str(program.config)], capture_output=True, text=True, check=False
        )
        assert second.returncode == 1
        assert "COL405" in second.stderr
        began = time.monotonic()
        assert program.end() == 0
        assert time.monotonic() - began < 10
        status = subprocess.run(
            [sys.executable, "-m", "collector", "status", "--config", str(program.config)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert status.returncode in (0, 75)


def test_the_state_of_an_earlier_release_is_taken_over_as_a_whole(tmp_path: Path) -> None:
    """What release 0.1.0 left at kill -9: log, store, warnings; nothing is lost, stored twice or told again."""
    program = CollectorProgram(tmp_path)
    expected = unpack("v0.1.0", tmp_path)
    (tmp_path / "collector").rename(program.state)
    (program.state / "status.json").unlink()
    with program:
        agent = ScriptedAgent(program.broker_port, 3)
        try:
            agent.run_until(3)
        finally:
            agent.close()
        everything_is_there_once(program, agent)
    log = SqliteLog(program.state / "log.sqlite")
    assert [record.offset for record in log.read(0, 100)] == list(range(1, log.last_offset() + 1))
    assert log.last_offset() == expected["records"][0] + 4
    log.close()
    operations = SqliteOperations(program.state / "operations.sqlite", County(Text("县", "County")))
    told = [warning.id for warning in operations.warnings()]
    assert [told.count(id) for id in expected["warnings"]] == [1] * len(expected["warnings"])
    operations.close()
