"""Does I/O: lets the n-th call of a workload fail, for every n, and looks at what the code believes then and afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from edge_agent.common.problem import ProblemError
from tests.torture import vfs
from tests.torture.recorder import Recorder, lay_out, recording
from tests.torture.storages import Snapshot, Step, Storage, observe

CODES = {
    "write": (vfs.IOERR_WRITE, vfs.FULL), "sync": (vfs.IOERR_FSYNC,), "open": (vfs.CANTOPEN,), "read": (vfs.IOERR_READ,),
    "truncate": (vfs.IOERR_TRUNCATE,), "delete": (vfs.IOERR_DELETE,),
}  # fmt: skip
TRIES = 6


@dataclass(slots=True)
class Fault:
    """The call number `at` fails, and `more` behind it; then the medium is sound again."""

    at: int
    more: int
    choice: int
    struck: int = 0
    kind: str = ""

    def __call__(self, number: int, kind: str) -> int:
        if not self.at <= number <= self.at + self.more:
            return vfs.OK
        self.struck += 1
        self.kind = self.kind or kind
        codes = CODES[kind]
        return codes[self.choice % len(codes)]


@dataclass(frozen=True, slots=True)
class Reference:
    """The run without faults: what is there after each step, and how many calls there were."""

    steps: list[Step]
    snapshots: list[Snapshot]
    calls: int
    begins: list[int]
    """After how many calls each step began."""


def reference(storage: Storage, folder: Path, seed: int) -> Reference:
    """Runs the workload on a sound medium."""
    steps = [Step("start"), *storage.steps(Random(seed))]
    run = _Run(storage, folder / "live", Fault(-1, 0, 0))
    snapshots = [observe(storage, folder / "nothing")]
    begins = []
    with recording(run.recorder):
        for step in steps:
            begins.append(run.recorder.asked)
            assert run.do(step) is None
            with run.recorder.paused():
                snapshots.append(run.seen(folder))
        asked = run.recorder.asked
        run.end()
    return Reference(steps, snapshots, asked, begins)


class _Run:
    """A workload under a fault."""

    def __init__(self, storage: Storage, live: Path, fault: Fault) -> None:
        live.mkdir(parents=True)
        self.storage = storage
        self.live = live
        self.recorder = Recorder(live, fault=fault, seed=fault.at)
        self.handle: Any = None

    def do(self, step: Step) -> Exception | None:
        """Carries out one step; gives what it raised of the kind that tells of a refusing medium."""
        try:
            if step.do is not None:
                step.do(self.handle)
            else:
                self.end()
                self.handle = self.storage.open(self.live)
        except (self.storage.refusal, ProblemError) as refused:
            return refused
        return None

    def end(self) -> None:
        if self.handle is not None:
            handle, self.handle = self.handle, None
            self.storage.close(handle)

    def seen(self, folder: Path) -> Snapshot:
        """What a start would find now, if nothing happened to the kernel."""
        lay_out(self.recorder.disk.killed(), folder / "seen")
        return observe(self.storage, folder / "seen")


def try_one(storage: Storage, known: Reference, folder: Path, fault: Fault) -> str:
    """Empty, or what went wrong: a step that succeeded and is not durable, a value doubled, lost, or a run that does not go on."""
    run = _Run(storage, folder / "live", fault)
    told = 0
    with recording(run.recorder):
        for number, step in enumerate(known.steps):
            tries, before = 0, fault.struck
            while (refused := run.do(step)) is not None:
                tries += 1
                if tries > TRIES + fault.more:
                    return f"{step.label}: does not go on after the fault: {refused}"
                if run.handle is None:  # a program that cannot start ends; systemd starts it again
                    continue
            told = number + 1
            if fault.struck > before or number == len(known.steps) - 1:
                trouble = _power_cut(storage, known, run, folder, told)
                if trouble:
                    return f"{step.label}: {trouble}"
        with run.recorder.paused():
            trouble = _unlike(known, told, run.seen(folder))
        run.end()
    return f"at the end: {trouble}" if trouble else ""


def _power_cut(storage: Storage, known: Reference, run: _Run, folder: Path, told: int) -> str:
    """What was told so far stands on the medium, whatever became of the calls before."""
    for mode, files in (("dropped", run.recorder.disk.dropped()), ("torn", run.recorder.disk.torn(Random(told)))):
        lay_out(files, folder / "cut")
        with run.recorder.paused():
            found = observe(storage, folder / "cut")
        if trouble := _unlike(known, told, found):
            return f"after a power cut ({mode}): {trouble}"
    return ""


def _unlike(known: Reference, told: int, found: Snapshot) -> str:
    expected = known.snapshots[told]
    keys = [key for key in expected if key != "identity" and expected[key] != found[key]]
    return "; ".join(f"{key}: {repr(expected[key])[:200]} became {repr(found[key])[:200]}" for key in keys)
