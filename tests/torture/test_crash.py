"""Crash at every I/O: every disk that a kill or a power cut leaves opens by itself and holds what was told, once, nothing else."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.torture import crash
from tests.torture.disk import Call, Disk
from tests.torture.storage_log import LogStorage
from tests.torture.storage_operations import OperationsStorage
from tests.torture.storage_outbox import OutboxStorage
from tests.torture.storage_store import StoreStorage
from tests.torture.storages import Storage

STORAGES: list[Storage] = [OutboxStorage(), LogStorage(), OperationsStorage(), StoreStorage()]
SAMPLE = 380
TORN = 6
LEAST = 10_000
names = [storage.name for storage in STORAGES]


@pytest.mark.parametrize("storage", STORAGES, ids=names)
def test_a_sample_of_the_disks_that_a_crash_leaves(storage: Storage, folder: Path) -> None:
    counts = crash.run(storage, folder, seed=1, torn=TORN, at_most=SAMPLE)
    assert counts.findings == []
    assert counts.states > SAMPLE // 2


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_every_disk_that_a_crash_leaves(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    findings, states = list[str](), 0
    for storage in STORAGES:
        counts = crash.run(storage, folder / storage.name, seed=2, torn=TORN)
        findings += counts.findings
        states += counts.states
        with capsys.disabled():
            print(f"\n{storage.name}: {counts.states} states, {len(counts.findings)} lost, doubled or unreadable", end="")
    with capsys.disabled():
        print(f"\ncrash states: {states}")
    assert findings == []
    assert states >= LEAST


class _Hasty(OutboxStorage):
    """An outbox that says "durable" before it is: what this torture is there to find."""

    def open(self, folder: Path) -> Any:
        handle = super().open(folder)
        database = handle.file._open_database()
        assert isinstance(database, sqlite3.Connection)
        database.execute("PRAGMA synchronous=NORMAL").fetchall()
        return handle


def test_a_storage_that_tells_too_early_is_found_out(folder: Path) -> None:
    counts = crash.run(_Hasty(), folder, seed=1, torn=2, at_most=200)
    assert any("dropped" in finding for finding in counts.findings)


def test_a_storage_that_believes_what_a_kill_left_is_found_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.io.outbox.settle", lambda database, path: None)
    counts = crash.run(OutboxStorage(), folder, seed=1, torn=0, at_most=300)
    assert any("believed after a kill" in finding for finding in counts.findings)


def test_the_workload_is_what_it_says(folder: Path) -> None:
    """The last snapshots hold something of every kind, so that equal snapshots mean something."""
    last = {storage.name: crash.record(storage, folder / storage.name).snapshots for storage in STORAGES}
    assert max(len(s["stored"]) for s in last["outbox"]) > 40
    assert len(last["outbox"][-1]["stored"]) == 3
    assert any(s["anchors"] for s in last["outbox"])
    log = last["log"][-1]
    assert (len(log["poison"]), len(log["lanes"]), len(log["births"])) == (4, 2, 1)
    assert log["last"] >= 45
    assert len(log["records"]) < log["last"], "something was trimmed"
    operations = last["operations"][-1]
    assert (len(operations["warnings"]), len(operations["summaries"]), operations["audit"]) == (16, 4, None)
    assert {state.state for about in operations["deliveries"] for state in about} >= {"sent", "waiting"}
    assert sum(map(sum, [last["store"][-1]["counts"]])) > 500


class TestDisk:
    """The disk of the torture itself."""

    def disk(self, *calls: Call) -> Disk:
        disk = Disk()
        for call in calls:
            disk.apply(call, Random(1))
        return disk

    def test_what_was_synced_is_there_and_the_rest_by_sectors(self) -> None:
        disk = self.disk(
            Call("create", "a"), Call("write", "a", 0, b"x" * 1024), Call("sync", "a"), Call("write", "a", 0, b"y" * 1024)
        )
        assert disk.killed() == {"a": b"y" * 1024}
        assert disk.dropped() == {"a": b"x" * 1024}
        found = {disk.torn(Random(seed))["a"] for seed in range(60)}
        assert found == {a * 512 + b * 512 for a in (b"x", b"y") for b in (b"x", b"y")}

    def test_a_lost_sync_is_never_made_good(self) -> None:
        disk = self.disk(Call("create", "a"), Call("write", "a", 0, b"old"), Call("sync", "a"), Call("write", "a", 0, b"new"))
        disk.apply(Call("lost", "a"), Random(1))
        disk.apply(Call("sync", "a"), Random(1))
        assert disk.killed() == {"a": b"new"}
        assert disk.dropped()["a"] in {b"old", b"new"}

    def test_a_renamed_file_is_never_nowhere(self) -> None:
        disk = self.disk(Call("create", "a"), Call("write", "a", 0, b"1"), Call("sync", "a"), Call("rename", "a", 0, b"b"))
        found = [set(disk.torn(Random(seed))) for seed in range(60)]
        assert {frozenset(names) for names in found} == {frozenset("a"), frozenset("b"), frozenset("ab")}

    def test_names_are_durable_by_a_sync_of_their_own(self) -> None:
        disk = self.disk(Call("create", "a"), Call("write", "a", 0, b"1"))
        assert disk.dropped() == {}
        disk.apply(Call("sync", "a"), Random(1))
        disk.apply(Call("delete", "a"), Random(1))
        assert disk.killed() == {}
        assert disk.dropped() == {"a": b"1"}
        disk.apply(Call("folder", ""), Random(1))
        assert disk.dropped() == {}
