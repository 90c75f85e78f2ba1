"""The rescue of a damaged outbox, cut short at every call: no sound row is lost, and the damage is told."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

from edge_agent.delivery.machine import Anchor, Key
from edge_agent.io.outbox import OutboxFile
from tests.torture.disk import Content, Disk
from tests.torture.recorder import Recorder, lay_out, recording
from tests.torture.storage_outbox import EPOCH, OutboxStorage, stored
from tests.torture.storages import observe

ROWS = 12


def _damaged(folder: Path) -> dict[str, bytes]:
    """An outbox whose newest rows stand in its write-ahead log alone, as a kill leaves it; its start counter is spoiled there."""
    path = folder / "state" / "outbox.db"
    file = OutboxFile(path)
    file.open()
    random = Random(3)
    for seq in range(1, ROWS + 1):
        file.write([stored(seq, random)], [Key(EPOCH, "n", 1)], [Anchor(EPOCH, 77, "ntp", 40)])
    file.new_epoch("00000000000000aa")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE note SET sealed = zeroblob(30) WHERE name = 'starts'")
    files = {f"state/{name}": (path.parent / name).read_bytes() for name in ("outbox.db", "outbox.db-wal")}
    file.close()
    shutil.rmtree(path.parent)
    assert files["state/outbox.db-wal"]
    return files


def test_a_rescue_that_is_cut_short_loses_nothing(folder: Path) -> None:
    files = _damaged(folder / "made")
    storage = OutboxStorage()
    disk = Disk()
    disk.files = {name: Content(bytearray(content), bytearray(content), is_named=True) for name, content in files.items()}
    live = folder / "live"
    lay_out(files, live)
    recorder = Recorder(live, disk.copy())
    with recording(recorder):
        storage.close(storage.open(live))
    assert [call.kind for call in recorder.calls].count("rename") >= 3, "rescued, set aside, in place"
    findings, tried = list[str](), 0
    random = Random(7)
    for number, call in enumerate([None, *recorder.calls]):
        if call is not None:
            disk.apply(call, random)
            if number % 3 and call.kind not in {"sync", "folder", "delete", "rename"}:
                continue
        for mode, left in (
            ("killed", disk.killed()),
            ("dropped", disk.dropped()),
            ("torn", disk.torn(random)),
        ):
            if not left.keys() & {"state/outbox.db", "state/outbox.db.rescued"}:
                continue  # the disk of the torture may lose both names of a rename; no file system does
            tried += 1
            lay_out(left, folder / "left")
            try:
                found = observe(storage, folder / "left")
                again = observe(storage, folder / "left")
            except Exception as error:  # noqa: BLE001 - whatever it raises is a finding
                findings.append(f"call {number}, {mode}: raises {type(error).__name__}: {error}")
                continue
            seqs = sorted(row[0][2] for row in found["stored"])
            if seqs != list(range(2, ROWS + 1)) or not found["anchors"] or found != again:
                findings.append(f"call {number}, {mode}: {seqs} {found['anchors']} {found['trouble']}")
            if not found["trouble"][0]:
                findings.append(f"call {number}, {mode}: not told")
    assert findings == []
    assert tried > 60
