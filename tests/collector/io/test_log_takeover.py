"""The log of release 0.1.0 is taken over: all of it or nothing, whatever is killed, and once."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from collector.intake.records import Record
from collector.io.log_takeover import take_over
from collector.io.sqlite_log import SqliteLog
from edge_agent.common import hazard
from edge_agent.common.problem import ProblemError
from tests.support.golden_state import unpack


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The golden log, as kill -9 left it."""
    unpack("v0.1.0", tmp_path)
    return tmp_path / "collector" / "log.sqlite"


def old_records(path: Path) -> list[tuple[int, bytes]]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT offset, payload FROM record ORDER BY offset").fetchall()


def same(records: list[Record]) -> list[tuple[int, bytes]]:
    return [(r.offset, r.payload) for r in records]


@pytest.mark.parametrize("segment_bytes", [1, 64 << 20])
def test_everything_is_there_as_it_was(old: Path, tmp_path: Path, segment_bytes: int) -> None:
    expected, before = unpack("v0.1.0", tmp_path), old_records(old)
    assert take_over(old, segment_bytes) == 0
    assert take_over(old) == 0
    log = SqliteLog(old)
    assert log.log_id == expected["log_id"]
    assert same(log.read(0, 1000)) == before
    assert log.last_offset() == expected["records"][0] == len(before)
    lanes = sorted([s.epoch, s.lane, s.upto, s.received, s.duplicate, s.lost] for s in log.lanes())
    assert lanes == expected["lanes"]
    assert [r.kind for r in log.births()] == ["birth"]
    again = log.read(0, 3)
    assert log.append(again, [], []) == len(before), "what is there is not taken again"
    assert log.trim(len(before)) > 0
    assert [r.offset for r in log.read(0, 1000)][-1] == len(before)
    log.close()


def test_a_trimmed_log_keeps_its_offsets_and_a_damaged_record_stays_behind(old: Path) -> None:
    with closing(sqlite3.connect(old)) as database:
        database.execute("DELETE FROM record WHERE offset < 9 AND kind = 'data'")
        database.execute("UPDATE record SET payload = x'00' WHERE offset = 11")
        database.execute("DELETE FROM record WHERE offset = 14")
        database.commit()
    left = [row for row in old_records(old) if row[0] != 11]
    assert take_over(old) == 1
    log = SqliteLog(old)
    assert same(log.read(0, 1000)) == left
    assert log.last_offset() == 14, "an offset is never given twice"
    assert log.damaged() == 0
    log.close()


@pytest.mark.parametrize("where", ["log.spill.before", "log.spill.after", "log.takeover.before", "log.takeover.after"])
def test_a_kill_anywhere_in_it_changes_nothing(old: Path, where: str) -> None:
    with closing(sqlite3.connect(old)) as database:  # a gap: two runs
        database.execute("DELETE FROM record WHERE offset = 5")
        database.commit()
    before = old_records(old)
    program = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom collector.io.log_takeover import take_over\n"
        "from edge_agent.common import hazard\n"
        "def strike(name):\n"
        "    if name == sys.argv[2]: os.kill(os.getpid(), signal.SIGKILL)\n"
        "hazard.strike = strike\ntake_over(Path(sys.argv[1]), 1)\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(old), where], check=False, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    take_over(old, 1)
    log = SqliteLog(old)
    assert same(log.read(0, 1000)) == before
    names = {segment.name for segment in log.segments()}
    assert {file.name for file in log.folder.iterdir()} <= names
    log.close()


def test_a_medium_that_refuses_leaves_the_old_log(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = old_records(old)

    def strike(name: str) -> None:
        if name == "log.takeover.before":
            raise OSError("no space left")

    monkeypatch.setattr(hazard, "strike", strike)
    with pytest.raises(ProblemError) as problem:
        take_over(old)
    assert problem.value.problems[0].code == "LOG402"
    monkeypatch.undo()
    assert old_records(old) == before


def test_nothing_happens_where_there_is_no_log(tmp_path: Path) -> None:
    assert take_over(tmp_path / "log.sqlite") == 0
    assert list(tmp_path.iterdir()) == []
