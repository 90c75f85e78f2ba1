"""The real `edge-agent run`: what only its start needs stays out of its memory, and problems are told as ever."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge_agent.cli.lean import HAND_OVER, is_lean
from tests.support.instrument import Behaviour, TcpInstrument
from tests.support.ports import free_port, wait_until

pytestmark = pytest.mark.programs
POINT = "{id: level, table: holding, address: 0, type: u16, unit: m}"


def site(folder: Path, port: int, point: str = POINT) -> Path:
    path = folder / "site.yaml"
    path.write_text(
        f"site: s\ngateway: g\nmqtt: {{brokers: [{{host: 127.0.0.1, port: {free_port()}}}]}}\n"
        f"buses: [{{id: b, tcp: {{host: 127.0.0.1, port: {port}}}, devices: [{{id: d, points: [{point}]}}]}}]\n"
    )
    return path


def command(folder: Path, *more: str) -> list[str]:
    own = ["--state-dir", str(folder / "state"), "--runtime-dir", str(folder / "run"), "--trust-clock"]
    return [sys.executable, "-m", "edge_agent", "run", str(folder / "site.yaml"), *own, *more]


@contextmanager
def running(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "log").open("wb") as log:
        agent = subprocess.Popen(command(folder), stderr=log)
    try:
        wait_until((folder / "run" / "status.json").exists, 30, "the agent runs")
        yield agent
    finally:
        agent.terminate()
        assert agent.wait(20) == 0, (folder / "log").read_text()


def test_the_agent_that_runs_has_not_loaded_what_its_start_needed(tmp_path: Path) -> None:
    with TcpInstrument(Behaviour({1: {0: 7}})) as instrument:
        site(tmp_path, instrument.port)
        with running(tmp_path) as agent:
            maps = Path(f"/proc/{agent.pid}/maps").read_text()
    assert "msgspec" in maps
    assert "pydantic" not in maps
    assert "_yaml" not in maps


def test_a_reload_reads_the_site_anew_and_keeps_the_last_good_one(tmp_path: Path) -> None:
    def log() -> str:
        return (tmp_path / "log").read_text()

    with TcpInstrument(Behaviour({1: {0: 7, 1: 8}})) as instrument:
        path = site(tmp_path, instrument.port)
        good = path.read_text()
        with running(tmp_path) as agent:
            path.write_text(good.replace("u16", "u17"))
            agent.send_signal(signal.SIGHUP)
            wait_until(lambda: "the last good one stays in force" in log(), 20, "the broken file is refused")
            assert "site.yaml:4" in log()
            path.write_text(good.replace("[{id: level", "[{id: depth, table: holding, address: 1}, {id: level"))
            agent.send_signal(signal.SIGHUP)
            wait_until(lambda: "the new site file is in force" in log(), 20, "the new file is taken over")


def test_problems_and_usage_errors_end_it_with_their_own_codes(tmp_path: Path) -> None:
    site(tmp_path, 502, POINT.replace("u16", "u17"))
    wrong = subprocess.run(command(tmp_path), capture_output=True, text=True, check=False)
    assert (wrong.returncode, wrong.stdout) == (78, "")
    assert "site.yaml:4" in wrong.stderr
    unknown = subprocess.run(command(tmp_path, "--no-such"), capture_output=True, text=True, check=False)
    assert unknown.returncode == 2
    assert "USE001" in unknown.stderr
    assert unknown.stderr.count("--no-such") == 1


def test_only_a_command_line_of_run_takes_this_way() -> None:
    assert is_lean(["run", "site.yaml"])
    assert not is_lean(["run", "--help"])
    assert not is_lean(["check", "run"])
    assert not is_lean([])
    assert not is_lean(["run", f"{HAND_OVER}=3", "site.yaml"])
