"""Does I/O: records a workload, rebuilds the disk as a crash at each call leaves it, and lets the real code open that."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.torture.disk import Call, Disk
from tests.torture.recorder import Recorder, lay_out, recording
from tests.torture.storages import Snapshot, Step, Storage, observe


@dataclass(frozen=True, slots=True)
class Tale:
    """A recorded run. of each step: after how many calls it began and returned; snapshots[n]: what n returned steps have told."""

    steps: list[Step]
    calls: list[Call]
    begins: list[int]
    ends: list[int]
    snapshots: list[Snapshot]

    def at(self, position: int) -> tuple[int, Step | None]:
        """After so many calls: how many steps have returned, and the one under way."""
        returned = sum(end <= position for end in self.ends)
        under_way = self.steps[returned] if returned < len(self.steps) and self.begins[returned] <= position else None
        return returned, under_way


@dataclass(slots=True)
class Counts:
    """What was tried."""

    states: int = 0
    findings: list[str] = field(default_factory=list)


def record(storage: Storage, folder: Path, seed: int = 1) -> Tale:
    """Runs the workload once and writes down every call."""
    live = folder / "live"
    live.mkdir(parents=True)
    steps = [Step("start"), *storage.steps(Random(seed))]
    begins, ends, snapshots = [], [], [observe(storage, folder / "nothing")]
    recorder = Recorder(live)
    with recording(recorder):
        handle: Any = None
        for step in steps:
            begins.append(len(recorder.calls))
            if step.do is not None:
                step.do(handle)
            else:
                if handle is not None:
                    storage.close(handle)
                handle = storage.open(live)
            ends.append(len(recorder.calls))
            with recorder.paused():
                snapshots.append(_seen(storage, live, folder / "copy"))
        storage.close(handle)
    return Tale(steps, recorder.calls, begins, ends, snapshots)


def _seen(storage: Storage, live: Path, copy: Path) -> Snapshot:
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(live, copy, ignore=shutil.ignore_patterns("*-shm"))
    return observe(storage, copy)


@dataclass(frozen=True, slots=True)
class State:
    """One disk after a crash. disk: what a second crash would find under it (mode `killed` alone)."""

    position: int
    mode: str
    files: dict[str, bytes]
    disk: Disk


def states(tale: Tale, seed: int, torn: int, positions: set[int] | None = None) -> Iterator[State]:
    """Every prefix of the calls; there, what was not synced kept, dropped, and torn in so many ways. Each distinct disk once."""
    random = Random(seed)
    disk = Disk()
    met: set[bytes] = set()
    for position in range(len(tale.calls) + 1):
        if position:
            disk.apply(tale.calls[position - 1], random)
        if positions is not None and position not in positions:
            continue
        found = [("killed", disk.killed())]
        if not disk.is_settled():
            found += [("dropped", disk.dropped()), *((f"torn {n}", disk.torn(random)) for n in range(torn))]
        returned, under_way = tale.at(position)
        for mode, files in found:
            mark = hashlib.sha256(repr((returned, under_way is None)).encode())
            for name in sorted(files):
                mark.update(name.encode() + hashlib.sha256(files[name]).digest())
            if mark.digest() not in met:
                met.add(mark.digest())
                yield State(position, mode, files, disk)


def judge(storage: Storage, tale: Tale, state: State, folder: Path) -> str:
    """Empty, or what the real code did wrong with this disk."""
    lay_out(state.files, folder)
    where = f"{storage.name}: call {state.position}, {state.mode}"
    try:
        if state.mode == "killed" and not state.disk.is_settled():
            found, trouble = _killed_then_cut(storage, tale, state, folder)
            if trouble:
                return f"{where}: {trouble}"
        else:
            found = observe(storage, folder)
        trouble = _unlike(tale, state.position, found) or _goes_on(storage, folder, found)
    except Exception as error:  # noqa: BLE001 - whatever it raises is a finding
        trouble = f"raises {type(error).__name__}: {error}"
    return f"{where}: {trouble}" if trouble else ""


def _killed_then_cut(storage: Storage, tale: Tale, state: State, folder: Path) -> tuple[Snapshot, str]:
    """What the code reads after a kill it believes and may tell: a power cut right behind it may not take it away."""
    recorder = Recorder(folder, state.disk.copy())
    with recording(recorder):
        handle = storage.open(folder)
        found = storage.read(handle)
    cut = recorder.disk.dropped()
    storage.close(handle)
    beside = folder.with_name("cut")
    lay_out(cut, beside)
    after = observe(storage, beside)
    if not _same(found, after, tale.at(state.position)[0]):
        return found, f"believed after a kill, gone after a power cut: {_differing(found, after)}"
    return found, ""


def _unlike(tale: Tale, position: int, found: Snapshot) -> str:
    returned, under_way = tale.at(position)
    before = tale.snapshots[returned]
    if _same(before, found, returned):
        return ""
    if under_way is not None:
        after = tale.snapshots[returned + 1]
        if _same(after, found, returned) or (under_way.between is not None and under_way.between(before, after, found)):
            return ""
    return f"during {under_way.label if under_way else 'rest'} after {returned} steps: {_differing(before, found)}"


def _same(expected: Snapshot, found: Snapshot, returned: int) -> bool:
    if not returned:  # nobody was told its identity yet
        return {**expected, "identity": ""} == {**found, "identity": ""}
    return expected == found


def _goes_on(storage: Storage, folder: Path, found: Snapshot) -> str:
    handle = storage.open(folder)
    try:
        second = storage.read(handle)
        if second != found:
            return f"a second open differs: {_differing(found, second)}"
        return storage.go_on(handle, found)
    finally:
        storage.close(handle)


def _differing(expected: Snapshot, found: Snapshot) -> str:
    return "; ".join(
        f"{key}: {repr(expected[key])[:200]} became {repr(found[key])[:200]}" for key in expected if expected[key] != found[key]
    )


def run(storage: Storage, folder: Path, seed: int, torn: int, at_most: int | None = None) -> Counts:
    """Records, rebuilds, judges. at_most: a sample of about so many states."""
    tale = record(storage, folder / "recorded", seed)
    positions = None
    if at_most is not None:
        wanted = max(1, at_most // 3)
        positions = set(Random(seed).sample(range(len(tale.calls) + 1), min(wanted, len(tale.calls) + 1)))
    counts = Counts()
    for state in states(tale, seed, torn, positions):
        if at_most is not None and counts.states >= at_most:
            break
        counts.states += 1
        if finding := judge(storage, tale, state, folder / "state"):
            counts.findings.append(finding)
    return counts
