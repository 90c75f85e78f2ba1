"""A crash inside the rescue of a damaged database: the next start ends what was begun, and it is told of."""

from __future__ import annotations

import logging
from pathlib import Path
from random import Random

import pytest

from tests.torture import crash
from tests.torture.disk import Content, Disk
from tests.torture.recorder import Recorder, lay_out, recording
from tests.torture.storage_log import LogStorage
from tests.torture.storage_operations import OperationsStorage
from tests.torture.storage_store import StoreStorage
from tests.torture.storages import Snapshot, Storage, observe

STORAGES: list[tuple[Storage, str]] = [
    (LogStorage(), "log.sqlite"),
    (OperationsStorage(), "operations.sqlite"),
    (StoreStorage(), "store.sqlite"),
]
DRAWN = ("identity",)
"""Drawn anew by a rescue that begins anew."""


def _damaged(storage: Storage, name: str, folder: Path) -> dict[str, bytes]:
    """What the workload left, everything in the database's own file, and a table's page that is none any more."""
    tale = crash.record(storage, folder / "recorded")
    disk = Disk()
    for call in tale.calls:
        disk.apply(call, Random(1))
    files = disk.killed()
    content = bytearray(files[name])
    page = next(page for page in range(5, len(content) // 4096) if content[page * 4096] in (0x0A, 0x0D))
    content[page * 4096 : page * 4096 + 40] = bytes(range(40))
    return files | {name: bytes(content)}


def _about(found: Snapshot) -> Snapshot:
    return {key: value for key, value in found.items() if key not in DRAWN}


@pytest.mark.parametrize(("storage", "name"), STORAGES, ids=[storage.name for storage, _ in STORAGES])
def test_a_kill_at_each_step_of_a_rescue_loses_nothing_and_is_told(
    storage: Storage, name: str, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    files = _damaged(storage, name, folder)
    lay_out(files, folder / "whole")
    expected = _about(observe(storage, folder / "whole"))
    assert expected["told"]
    live = folder / "live"
    lay_out(files, live)
    disk = Disk()
    disk.files = {file: Content(bytearray(content), bytearray(content), is_named=True) for file, content in files.items()}
    recorder = Recorder(live, disk.copy())
    with recording(recorder):
        storage.close(storage.open(live))
    assert sum(call.kind == "rename" for call in recorder.calls) >= 3, "there was something to rescue"
    random, findings, tried = Random(7), [], 0
    step = max(1, len(recorder.calls) // 40)
    for number, call in enumerate(recorder.calls):
        disk.apply(call, random)
        if number % step and call.kind not in {"sync", "folder", "delete", "rename"}:
            continue
        for mode, left in (("killed", disk.killed()), ("dropped", disk.dropped()), ("torn", disk.torn(random))):
            tried += 1
            lay_out(left, folder / "left")
            try:
                found = _about(observe(storage, folder / "left"))
                again = _about(observe(storage, folder / "left"))
            except Exception as error:  # noqa: BLE001 - whatever it raises is a finding
                findings.append(f"call {number} {call.kind}, {mode}: raises {type(error).__name__}: {error}")
                continue
            if not found == again == expected:
                keys = [key for key in expected if not expected[key] == found[key] == again[key]]
                findings.append(f"call {number} {call.kind}, {mode}: {keys}")
    assert findings == []
    assert tried > 60
