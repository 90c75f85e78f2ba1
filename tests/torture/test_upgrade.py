"""Upgrade: the disk state of every release opens with the present code, and a crash inside the migration leaves it readable."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random
from typing import Any

import pytest

from collector.io.log_mending import mend
from collector.io.log_takeover import take_over
from tests.support.golden_state import GOLDEN, unpack
from tests.torture.disk import Content, Disk
from tests.torture.recorder import Recorder, lay_out, recording
from tests.torture.storage_log import LogStorage
from tests.torture.storage_operations import OperationsStorage
from tests.torture.storage_outbox import OutboxStorage
from tests.torture.storage_store import StoreStorage
from tests.torture.storages import Storage, observe

RELEASES = sorted(path.name for path in GOLDEN.iterdir() if path.is_dir())


class _TakenOver(LogStorage):
    """The log as the program opens it: an older one is taken over first."""

    def open(self, folder: Path) -> Any:
        mend(folder / "log.sqlite")
        take_over(folder / "log.sqlite")
        return super().open(folder)


STORAGES: list[Storage] = [OutboxStorage(), _TakenOver(), OperationsStorage(), StoreStorage()]
names = [storage.name for storage in STORAGES]


def _golden(release: str, storage: Storage, folder: Path) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The files of one storage as that release left them, where the storage looks for them; and what was in them."""
    expected = unpack(release, folder / "unpacked")
    place, stem = ("agent", "outbox.db") if storage.name == "outbox" else ("collector", f"{storage.name}.sqlite")
    under = "state/" if storage.name == "outbox" else ""
    found = sorted((folder / "unpacked" / place).glob(f"{stem}*"))
    return {f"{under}{path.name}": path.read_bytes() for path in found if not path.name.endswith("-shm")}, expected


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("storage", STORAGES, ids=names)
def test_the_state_of_a_release_is_read_whole(storage: Storage, release: str, folder: Path) -> None:
    files, expected = _golden(release, storage, folder)
    assert files
    lay_out(files, folder / "state")
    found = observe(storage, folder / "state")
    if storage.name == "outbox":
        assert found["trouble"] == ("", 0, 0)
        assert len(found["stored"]) >= expected["outbox_parts"]
    elif storage.name == "log":
        assert (found["identity"], found["last"], len(found["records"])) == (expected["log_id"], *expected["records"])
        assert (found["damaged"], len(found["lanes"])) == (0, len(expected["lanes"]))
    elif storage.name == "operations":
        assert [warning.id for warning in found["warnings"]] == expected["warnings"]
        assert (found["cursor"], found["audit"], found["told"]) == (expected["judged"], None, [])
    else:
        assert (found["cursor"], found["told"]) == (expected["stored"], [])
        assert sum(found["counts"]) > 200, "readings"
    handle = storage.open(folder / "state")
    assert storage.read(handle) == found, "a second start finds the same"
    storage.close(handle)


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("storage", STORAGES, ids=names)
def test_a_crash_inside_the_migration_leaves_it_readable(
    storage: Storage, release: str, folder: Path, request: pytest.FixtureRequest
) -> None:
    files, _ = _golden(release, storage, folder)
    lay_out(files, folder / "whole")
    expected = observe(storage, folder / "whole")
    live = folder / "live"
    lay_out(files, live)
    disk = Disk()
    disk.files = {name: Content(bytearray(content), bytearray(content), is_named=True) for name, content in files.items()}
    recorder = Recorder(live, disk.copy())
    with recording(recorder):
        storage.close(storage.open(live))
    assert len(recorder.calls) > 10, "there was something to migrate"
    random, findings, tried = Random(7), [], 0
    step = max(1, len(recorder.calls) // 25)
    for number, call in enumerate(recorder.calls):
        disk.apply(call, random)
        if number % step and call.kind not in {"sync", "folder", "delete", "rename"}:
            continue
        for mode, left in (("killed", disk.killed()), ("dropped", disk.dropped()), ("torn", disk.torn(random))):
            tried += 1
            lay_out(left, folder / "left")
            try:
                found = observe(storage, folder / "left")
            except Exception as error:  # noqa: BLE001 - whatever it raises is a finding
                findings.append(f"call {number}, {mode}: raises {type(error).__name__}: {error}")
                continue
            if found != expected:
                keys = [key for key in expected if expected[key] != found[key]]
                findings.append(f"call {number}, {mode}: {keys}")
    shutil.rmtree(folder / "left")
    assert findings == []
    assert tried > 30
