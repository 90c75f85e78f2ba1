"""The demo as a person starts it: checked, and ended by Ctrl-C; and its check finds what is wrong."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from collector.config.county_file import UNNAMED
from collector.domain.county import County
from collector.domain.warning import Warning
from collector.io.operations import SqliteOperations
from edge_agent.common.row_checks import teach
from examples.demo.__main__ import SITES, Demo, check
from tests.support.log_damage import flip_a_bit
from tests.support.ports import wait_until
from tests.support.programs import REPOSITORY, addresses

pytestmark = [pytest.mark.programs, pytest.mark.timeout(240)]

SECONDS = "87"
END_S = 20.0
STAMP_MS = 5000
"""How far the first stamp may lie before the instrument's instant; the replayed record ends ten seconds before that."""


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """One unattended run, and the folder that it left."""
    folder = tmp_path_factory.mktemp("demo") / "run"
    command = [sys.executable, "-m", "examples.demo", "--seconds", SECONDS, "--check", "--dir", str(folder)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=200, check=False), folder


def test_the_check_passes(checked: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    done, _ = checked
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Every reading taken was stored exactly once" in done.stdout


def checked_again(folder: Path) -> list[str]:
    """What the demo's check says of a folder that a run has left."""
    demo = Demo(folder)
    ports = json.loads((folder / "ports.json").read_text())
    demo.environments = {site: addresses(ports[site]) for site in SITES}
    journals = [folder / f"{site}-panel.jsonl" for site in SITES]
    first_ms = min(int(json.loads(journal.read_text().splitlines()[0])[0]) for journal in journals)
    demo.began_ms = first_ms - STAMP_MS
    operations = SqliteOperations(folder / "collector" / "operations.sqlite", County(UNNAMED))
    try:
        return check(demo, [shown(warning) for warning in operations.warnings(limit=500)])
    finally:
        operations.close()


def shown(warning: Warning) -> dict[str, Any]:
    """As the REST interface tells it, as far as the check looks."""
    return {
        "site": warning.site,
        "rule": warning.rule,
        "subject": warning.subject,
        "state": warning.state,
        "over": warning.over_ms is not None,
    }


@pytest.fixture
def left(checked: tuple[subprocess.CompletedProcess[str], Path], tmp_path: Path) -> Path:
    """A copy of what the run left."""
    return Path(shutil.copytree(checked[1], tmp_path / "left", symlinks=True))


def test_what_the_run_left_passes_again(left: Path) -> None:
    assert checked_again(left) == []


def test_a_batch_missing_in_the_store_is_found(left: Path) -> None:
    with sqlite3.connect(left / "collector" / "store.sqlite") as store:
        (batch,) = store.execute(
            "SELECT id FROM batch WHERE site = 'baihe' AND lane = 'n' ORDER BY id DESC LIMIT 1 OFFSET 20"
        ).fetchone()
        store.execute("DELETE FROM batch WHERE id = ?", (batch,))
    store.close()
    found = checked_again(left)
    assert found
    assert {line.partition("/")[0] for line in found} == {"baihe"}
    assert any("taken" in line and "stored" in line for line in found)


def test_a_batch_missing_in_log_and_store_is_found(left: Path) -> None:
    """As if it had never been sent: only the agent's own count knows."""
    with sqlite3.connect(left / "collector" / "store.sqlite") as store:
        epoch, seq = store.execute(
            "SELECT epoch, seq FROM batch WHERE site = 'shiquan' AND epoch LIKE '1-%' AND lane = 'n' LIMIT 1 OFFSET 20"
        ).fetchone()
        store.execute("DELETE FROM batch WHERE epoch = ? AND lane = 'n' AND seq = ?", (epoch, seq))
    store.close()
    flip_a_bit(left / "collector" / "log.sqlite", epoch, "n", seq)
    assert any("taken" in line and "in the log" in line for line in checked_again(left))


def test_a_value_that_no_instrument_gave_is_found(left: Path) -> None:
    journal = left / "baihe-meter.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:10] + lines[11:]))
    assert any("did not give" in line for line in checked_again(left))


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM warnings WHERE id = (SELECT id FROM warnings LIMIT 1)",
        "INSERT INTO warnings (id, site, state, began_ms, body) SELECT id || '-2', site, state, began_ms, body FROM warnings",
    ],
    ids=["missing", "twice"],
)
def test_another_warning_than_expected_is_found(left: Path, change: str) -> None:
    with sqlite3.connect(left / "collector" / "operations.sqlite") as operations:
        teach(operations)
        operations.execute(change)
    operations.close()
    assert any("warning listed" in line for line in checked_again(left))


def descendants(pid: int) -> set[int]:
    """Every process below this one."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents.setdefault(int(text.rpartition(")")[2].split()[1]), []).append(int(stat.parent.name))
    found, ask = set[int](), [pid]
    while ask:
        below = parents.get(ask.pop(), [])
        found.update(below)
        ask += below
    return found


@pytest.mark.parametrize("moment", ["starting", "living"])
def test_ctrl_c_ends_all_of_it(tmp_path: Path, moment: str) -> None:
    said = {"starting": "Loading three days", "living": "outbox"}[moment]
    output = tmp_path / "said.txt"
    with output.open("wb") as file:
        command = [sys.executable, "-m", "examples.demo", "--dir", str(tmp_path / "run")]
        demo = subprocess.Popen(command, cwd=REPOSITORY, stdout=file, stderr=file)
    try:
        wait_until(lambda: said in output.read_text() or demo.poll() is not None, 60, said)
        below = descendants(demo.pid)
        assert len(below) >= {"starting": 2, "living": 5}[moment], "collector, broker, stations, two agents"
        demo.send_signal(signal.SIGINT)
        assert demo.wait(END_S) == 0, output.read_text()
    finally:
        if demo.poll() is None:
            for pid in {*descendants(demo.pid), demo.pid}:
                os.kill(pid, signal.SIGKILL)
            demo.wait()
    assert [pid for pid in below if Path(f"/proc/{pid}").exists()] == []
