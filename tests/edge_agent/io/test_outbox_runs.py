"""Earlier runs in the outbox file: of this gateway, the newest sixteen, through damage too."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from edge_agent.delivery.machine import Run
from edge_agent.io.outbox import OutboxFile
from edge_agent.io.outbox_notes import RUNS_KEPT

T0 = 1_800_000_000_000


def runs_of(path: Path, count: int, gateway: str = "s/g") -> None:
    """So many starts, each with two notes of its run."""
    for _ in range(count):
        file = OutboxFile(path, gateway)
        file.open()
        epoch = file.new_epoch("00000000000000aa")
        number = int(epoch.partition("-")[0])
        file.write([], [], [], Run(epoch, 1, 1, 0))
        file.write([], [], [], Run(epoch, 100 * number, number, T0 + number))
        file.close()


def opened(path: Path, gateway: str = "s/g") -> tuple[Run, ...]:
    file = OutboxFile(path, gateway)
    try:
        return file.open().runs
    finally:
        file.close()


def test_the_newest_note_of_each_run_is_there_in_the_order_of_the_runs(tmp_path: Path) -> None:
    runs_of(tmp_path / "outbox.db", 12)
    assert [(run.normal, run.urgent, run.utc_ms) for run in opened(tmp_path / "outbox.db")] == [
        (100 * number, number, T0 + number) for number in range(1, 13)
    ]


def test_runs_are_bounded(tmp_path: Path) -> None:
    runs_of(tmp_path / "outbox.db", RUNS_KEPT + 9)
    found = opened(tmp_path / "outbox.db")
    assert RUNS_KEPT <= len(found) <= RUNS_KEPT + 1
    assert found[-1].urgent == RUNS_KEPT + 9


def test_a_cloned_card_does_not_tell_of_the_other_gateway(tmp_path: Path) -> None:
    runs_of(tmp_path / "outbox.db", 2, "s/g")
    runs_of(tmp_path / "outbox.db", 1, "s/h")
    assert [run.urgent for run in opened(tmp_path / "outbox.db", "s/h")] == [3]
    assert [run.urgent for run in opened(tmp_path / "outbox.db", "s/g")] == [1, 2]


def test_a_damaged_note_is_no_run_and_the_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    runs_of(path, 3)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE note SET sealed = zeroblob(20) WHERE name LIKE 'run/2-%'")
    assert [run.urgent for run in opened(path)] == [1, 3]
