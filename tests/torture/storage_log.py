"""Does I/O: the collector's log under torture, through `seams.Log` alone but for opening it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from collector.intake.records import LaneState, Poison
from collector.io.log_mending import mend
from collector.io.sqlite_log import SqliteLog
from collector.seams import Log, StorageFailed
from tests.support.line import EPOCH, T0, birth, record
from tests.torture.storages import Snapshot, Step

LANE = LaneState("shiquan", "gw-1", EPOCH, "n", heard_ms=T0)


def open_log(folder: Path) -> Any:
    """The log as the collector opens it. The one place that knows which implementation is under torture."""
    path = folder / "log.sqlite"
    mend(path)
    return SqliteLog(path, segment_bytes=2500, spill_bytes=900)


def _partly_trimmed(before: Snapshot, after: Snapshot, found: Snapshot) -> bool:
    rest = {key: value for key, value in before.items() if key != "records"}
    same = rest == {key: value for key, value in found.items() if key != "records"}
    return same and set(after["records"]) <= set(found["records"]) <= set(before["records"])


class LogStorage:
    """The log: batches, accounting, quarantine, trimming."""

    name = "log"
    refusal: type[Exception] = StorageFailed

    def open(self, folder: Path) -> Any:
        return open_log(folder)

    def close(self, handle: Any) -> None:
        handle.close()

    def steps(self, random: Random) -> Sequence[Step]:
        first = record(0, birth()[0], 1, "u", "birth")
        found = [Step("birth", lambda log: log.append([first], [replace(LANE, lane="u", upto=1, received=1)], []))]
        seq = 0
        for turn in range(14):
            count, size = (3, 200) if turn != 9 else (5, 60_000)
            records = [record(0, random.randbytes(size), seq + n) for n in range(1, count + 1)]
            seq += count
            lane = replace(LANE, upto=seq, received=seq, ranges=((seq + 2, seq + 3),) if turn % 3 == 0 else ())
            poison = [Poison("x/y", random.randbytes(50), "topic", "no topic", T0 + turn)] if turn % 4 == 1 else []
            found.append(Step("append", lambda log, r=records, s=lane, p=poison: log.append(r, [s], p)))  # type: ignore[misc]
            if turn % 5 == 4:
                found.append(Step("come twice", lambda log, r=records, s=lane: log.append(r, [replace(s, duplicate=3)], [])))  # type: ignore[misc]
            if turn in {4, 11}:
                found.append(Step("restart"))
            if turn in {7, 12}:
                below = seq - 6
                found.append(Step("trim", lambda log, at=below: log.trim(at), _partly_trimmed))  # type: ignore[misc]
        return found

    def read(self, handle: Log) -> Snapshot:
        rows, after = list[Any](), 0
        while part := handle.read(after, 7):
            rows += [(r.offset, tuple(r.key), r.kind, r.received_ms, r.payload) for r in part]
            after = part[-1].offset
        births = [(r.offset, r.payload) for r in handle.births()]
        return {
            "identity": handle.log_id, "records": rows, "lanes": sorted(map(repr, handle.lanes())), "births": births,
            "poison": [(p.topic, p.payload, p.received_ms) for p in handle.poison(99)], "last": handle.last_offset(),
            "damaged": handle.damaged(),  # type: ignore[attr-defined]
            "told": [handle.problem().code] if handle.problem() else [],  # type: ignore[attr-defined]
        }  # fmt: skip

    def go_on(self, handle: Log, last: Snapshot) -> str:
        new = record(0, b"after the crash", 1, epoch="9-00000000000000cc")
        lane = LaneState("shiquan", "gw-1", new.key.epoch, "n", 1, received=1, heard_ms=T0)
        at = handle.append([new], [lane], [])
        if at != last["last"] + 1:
            return f"offset {at} after {last['last']}"
        found = handle.read(at - 1, 9)
        return "" if [r.payload for r in found] == [new.payload] and lane in handle.lanes() else f"not there: {found}"
