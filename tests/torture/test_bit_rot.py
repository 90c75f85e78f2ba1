"""Bit rot: a bit flipped in each page is found, never served as a value, told to a person; the rest stays readable."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from edge_agent.common.problem import ProblemError
from tests.torture import crash
from tests.torture.disk import SECTOR, Call, Disk
from tests.torture.recorder import lay_out
from tests.torture.storage_log import LogStorage
from tests.torture.storage_operations import OperationsStorage
from tests.torture.storage_outbox import OutboxStorage
from tests.torture.storage_store import StoreStorage
from tests.torture.storages import Snapshot, Storage

PAGE = 4096
WHOLE_SECTOR = -1
ABOUT = {"identity", "trouble", "damaged", "cursor", "state", "last", "head", "audit", "told", "counts", "poison", "minutes"}
"""Keys of a snapshot that are no values, or follow from what is left."""
STORAGES: list[Storage] = [OutboxStorage(backlog=2), LogStorage(), OperationsStorage(), StoreStorage()]
names = [storage.name for storage in STORAGES]


def _values(snapshot: Snapshot) -> set[str]:
    return {f"{key} {value!r}" for key in snapshot if key not in ABOUT for value in _each(snapshot[key])}


def _each(found: Any) -> Iterator[Any]:
    """Single values; what came of a notice is told without the other side's words, which may be missing."""
    if isinstance(found, list):
        for part in found:
            yield from _each(part)
    elif hasattr(found, "notice"):
        yield (found.notice.id, found.channel)
    elif isinstance(found, tuple) and len(found) == 2 and isinstance(found[1], list):
        yield from _each(found[1])
    else:
        yield found


def _rotten(storage: Storage, folder: Path, bits: int, at_most: int | None) -> tuple[dict[str, int], list[str]]:
    tale = crash.record(storage, folder / "recorded")
    ever = set().union(*(_values(snapshot) for snapshot in tale.snapshots))
    last = _values(tale.snapshots[-1])
    calls = tale.calls[: tale.ends[-1]]  # not closed: what came last stands in the write-ahead log alone
    disk = Disk()
    for call in calls:
        disk.apply(call, Random(1))
    files = disk.killed()
    places = [
        (name, place, bit) for name, content in files.items() for place in range(0, len(content), PAGE) for bit in range(bits)
    ]
    if at_most is not None:
        places = Random(5).sample(places, min(at_most, len(places)))
    counts = {"flips": 0, "sectors": 0, "told": 0, "refused": 0}
    findings = []
    for name, place, bit in [*places, *_durable_sectors(calls, files, len(places) // 8)]:
        random = Random(f"{name} {place} {bit}")
        rotten = bytearray(files[name])
        if bit == WHOLE_SECTOR:
            rotten[place : place + SECTOR] = random.randbytes(SECTOR)
        else:
            rotten[min(len(rotten) - 1, place + random.randrange(PAGE))] ^= 1 << random.randrange(8)
        lay_out(files | {name: bytes(rotten)}, folder / "rotten")
        counts["sectors" if bit == WHOLE_SECTOR else "flips"] += 1
        finding = _look(storage, folder / "rotten", ever, last, counts)
        if finding:
            findings.append(f"{storage.name} {name} {'page' if bit >= 0 else 'sector'} at {place}, {bit}: {finding}")
    return counts, findings


def _durable_sectors(calls: Sequence[Call], files: dict[str, bytes], count: int) -> list[tuple[str, int, int]]:
    """Of write-ahead logs, without the last two transactions.

    A sector that the last one lacks, or the mark of the commit before it, is not to be told from a torn write.
    """
    found = []
    for name, content in files.items():
        if name.endswith("-wal") and content:
            syncs = [n for n, call in enumerate(calls) if (call.kind, call.path) == ("sync", name)]
            last = [call for call in calls[syncs[-3] :] if (call.kind, call.path) == ("write", name)]
            end = min((call.offset for call in last), default=len(content))
            found += [(name, place, WHOLE_SECTOR) for place in range(0, end - SECTOR, SECTOR)]
    return Random(6).sample(found, min(count, len(found)))


def _look(storage: Storage, folder: Path, ever: set[str], last: set[str], counts: dict[str, int]) -> str:
    try:
        handle = storage.open(folder)
        try:
            found = storage.read(handle)
            told = _told(found)
        finally:
            storage.close(handle)
    except (ProblemError, storage.refusal):
        counts["refused"] += 1
        return ""
    except Exception as error:  # noqa: BLE001 - whatever it raises is a finding
        return f"raises {type(error).__name__}: {error}"
    counts["told"] += told
    values = _values(found)
    if values - ever:
        return f"served what was never written: {sorted(values - ever)[0]:.200}"
    return f"lost in silence: {sorted(last - values)[0]:.200}" if last - values and not told else ""


def _told(found: Snapshot) -> bool:
    return bool(found.get("told") or found.get("damaged") or found.get("audit") or any(found.get("trouble", ())))


@pytest.mark.parametrize("storage", STORAGES, ids=names)
def test_a_sample_of_flipped_bits(storage: Storage, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    counts, findings = _rotten(storage, folder, bits=3, at_most=90)
    assert findings == []
    assert counts["told"] > 2, counts


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("storage", STORAGES, ids=names)
def test_a_bit_in_each_page(
    storage: Storage, folder: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.CRITICAL)
    counts, findings = _rotten(storage, folder, bits=24, at_most=None)
    with capsys.disabled():
        print(f"\n{storage.name}: {counts}", end="")
    assert findings == []
