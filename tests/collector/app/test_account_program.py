"""`collector account` and `collector quarantine` beside the real program."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from edge_agent.contract import encoding
from edge_agent.contract import message as m
from tests.support.collector_line import PlainClient
from tests.support.collector_program import CollectorProgram
from tests.support.ports import wait_until
from tests.support.scripted_agent import EPOCH, ScriptedAgent

pytestmark = pytest.mark.programs
DATA = "waterworks/s/g/data"
OLD = "0-00000000000000bb"
T0 = 1_767_225_600_000
"""2026-01-01T00:00:00Z: eight in the morning at the site."""
COUNTY = "sites:\n  - {id: s, name: {zh: 站, en: station}, zone: Asia/Shanghai}\n"


def told(program: CollectorProgram, *words: str) -> tuple[int, dict[str, object]]:
    """Exit code and JSON of a command."""
    command = [sys.executable, "-m", "collector", *words, "--json", "--config", str(program.config)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    return run.returncode, json.loads(run.stdout)


def days(program: CollectorProgram, *words: str) -> dict[str, dict[str, object]]:
    return {day["day"]: day for day in told(program, "account", *words)[1]["days"]}  # type: ignore[attr-defined, index, misc]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectorProgram]:
    with CollectorProgram(tmp_path_factory.mktemp("account"), COUNTY) as made:
        yield made


def test_each_day_says_what_was_expected_and_what_came_of_it(program: CollectorProgram) -> None:
    agent = ScriptedAgent(program.broker_port, 40, t0=T0)
    client = PlainClient(program.broker_port)
    try:
        agent.run_until(40)
        wait_until(lambda: days(program).get("2026-01-01", {}).get("received") == 41, 20, "counted")
        assert told(program, "account")[0] == 0
        gap = m.Gap(OLD, "n", 3, 9, 70, "overflow", T0 - 86_400_000, T0 - 86_000_000)
        head = (m.VERSION, EPOCH, "u", 5, 5, "00", T0)
        client.publish(DATA, encoding.encode(m.Data(*head, m.Body(gaps=[gap]))))  # type: ignore[arg-type]
        wait_until(lambda: "2025-12-31" in days(program), 20, "the gap is known")
    finally:
        agent.close()
        client.close()
    code, body = told(program, "account")
    assert code == 1
    assert body["total"] == {
        "expected": 54, "received": 42, "lost": 10, "missing": 2, "late": 40, "duplicate": 0,
        "received_readings": 400, "lost_readings": 70, "late_readings": 400,
    }  # fmt: skip
    before = days(program)["2025-12-31"]
    assert before["why"] == {"overflow": 7}
    (hole,) = [hole for hole in before["absent"] if hole["why"] == "overflow"]  # type: ignore[attr-defined]
    assert (hole["epoch"], hole["lane"], hole["first"], hole["last"], hole["readings"]) == (OLD, "n", 3, 9, 70)
    assert (hole["from"], hole["to"]) == ("2025-12-31T00:00:00Z", "2025-12-31T00:06:40Z")
    assert set(days(program, "--day", "2026-01-01")) == {"2026-01-01"}
    assert told(program, "account", "--site", "elsewhere")[0] == 0
    assert told(program, "account", "--day", "yesterday")[0] == 2
    assert told(program, "account", "--day", "2026-01-01", "--to", "2026-01-02")[0] == 2


def test_an_account_survives_kills_and_people_can_read_it(program: CollectorProgram) -> None:
    before = told(program, "account")
    program.kill()
    assert told(program, "account") == before
    program.start()
    wait_until(lambda: told(program, "account") == before, 20, "the same after a restart")
    shown = subprocess.run(
        [sys.executable, "-m", "collector", "account", "--config", str(program.config)], capture_output=True, text=True, check=False
    )
    assert shown.returncode == 1
    lines = shown.stdout.splitlines()
    assert any(line.split()[:4] == ["s", "g", "2026-01-01", "45"] for line in lines), shown.stdout
    assert any("overflow" in line and "batches 3-9, 70 readings" in line for line in lines), shown.stdout
    assert any(line.startswith("total") for line in lines)
