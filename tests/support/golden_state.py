"""Does I/O: makes a golden disk state of the present release by the real programs: `python -m tests.support.golden_state v0.1.0`.

One simulated station, its agent, the collector with embedded broker and store. A device falls silent, so that a warning is there.
Then the collector is killed (-9), the agent goes on with nobody to take its readings, and is killed too. What both leave on disk is
packed as it lies there: `tests/golden/state/<release>/state.tar.xz`, what is in it in `expected.json`. Made once, never edited.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.support.collector_program import CollectorProgram
from tests.support.ports import wait_until
from tests.support.programs import DEMO, AgentProgram, Stations

GOLDEN = Path(__file__).parents[1] / "golden" / "state"
FOLDERS = {"collector": "state", "agent": "agent/state"}


def make(release: str) -> None:
    """Writes the two files of this release."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        expected = _live(folder)
        target = GOLDEN / release
        target.mkdir(parents=True, exist_ok=True)
        with tarfile.open(target / "state.tar.xz", "w:xz", preset=9) as packed:
            for name, place in FOLDERS.items():
                for file in sorted((folder / place).iterdir()):
                    packed.add(file, f"{name}/{file.name}", filter=_anonymous)
        (target / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")


def unpack(release: str, folder: Path) -> dict[str, Any]:
    """Lays the golden state into `folder` (collector/, agent/); gives what was in it."""
    with tarfile.open(GOLDEN / release / "state.tar.xz") as packed:
        packed.extractall(folder, filter="data")
    expected: dict[str, Any] = json.loads((GOLDEN / release / "expected.json").read_text())
    return expected


def _live(folder: Path) -> dict[str, Any]:
    with (
        Stations(folder, ["shiquan"]) as stations,
        CollectorProgram(folder, (DEMO / "county.yaml").read_text()) as collector,
        AgentProgram("shiquan", stations, collector.broker_port, folder, DELIVERY__WINDOW="1 s") as agent,
    ):
        wait_until(lambda: agent.figure("delivered") > 200, 60, "readings")
        stations.fault("shiquan", "silent:level", on=True)
        wait_until(lambda: _count(folder / "state" / "operations.sqlite", "warnings"), 60, "a warning")
        collector.kill()
        taken = agent.figure("taken")
        wait_until(lambda: agent.figure("taken") > taken + 300, 60, "readings that nobody takes")
        agent.kill()
    state = folder / "state"
    return {
        "records": _rows(state / "log.sqlite", "SELECT last, last FROM state")[0],
        "lanes": _rows(state / "log.sqlite", "SELECT epoch, lane, upto, received, duplicate, lost FROM lane ORDER BY epoch, lane"),
        "log_id": _rows(state / "log.sqlite", "SELECT value FROM meta WHERE name = 'log_id'")[0][0],
        "stored": _rows(state / "store.sqlite", "SELECT value FROM meta WHERE name = 'cursor'")[0][0],
        "batches": _count(state / "store.sqlite", "batch"),
        "judged": _rows(state / "operations.sqlite", "SELECT cursor FROM engine")[0][0],
        "warnings": [row[0] for row in _rows(state / "operations.sqlite", "SELECT id FROM warnings ORDER BY id")],
        "outbox_parts": _count_rows(folder / "agent" / "state" / "outbox.db"),
    }


def _count(path: Path, table: str) -> int:
    return int(_rows(path, f"SELECT count(*) FROM {table}")[0][0])


def _count_rows(outbox: Path) -> int:
    """Of all generations."""
    query = "SELECT name FROM sqlite_master WHERE name GLOB 'part_[0-9]*'"
    return sum(_count(outbox, name) for (name,) in _rows(outbox, query))


def _rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    """Read from a copy, so that the files stay as the kill left them."""
    with tempfile.TemporaryDirectory() as copied:
        for file in path.parent.glob(f"{path.name}*"):
            (Path(copied) / file.name).write_bytes(file.read_bytes())
        with closing(sqlite3.connect(Path(copied) / path.name)) as database:
            return database.execute(query).fetchall()


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    make(sys.argv[1])
