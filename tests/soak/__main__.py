"""Does I/O: `python -m tests.soak --hours 1`: the demo's real programs for hours; memory, descriptors and threads must not grow.

The demo runs as a child; every program below it is looked at each ten seconds. The first tenth of the time (at least five minutes
of an hour's run) is warm-up. New descriptors are named. Exit code 1 if anything grew, if the demo ended early, or if its account
did not come out right.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

from tests.soak.measure import MIB, Open, Sample, judge

EVERY_S = 10.0
MOST_SLOPE = 1.0
"""MiB an hour."""
END_S = 120.0
NAMES = (
    ("collector.io.embedded_broker", "broker"),
    ("collector", "collector"),
    ("edge_agent", "agent"),
    ("examples.station_sim", ""),
)
"""What a command line names, and how it is called here; the simulated stations are not the product and are left out."""


def main(arguments: list[str]) -> int:
    """Prints a line a minute and a table at the end."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--hours", type=float, default=1.0, help="how long (1)")
    parser.add_argument("--samples", type=Path, help="write every sample here, as JSON lines")
    chosen = parser.parse_args(arguments)
    seconds = chosen.hours * 3600
    looked: dict[str, list[Sample]] = defaultdict(list)
    with tempfile.TemporaryFile() as output:
        command = [sys.executable, "-m", "examples.demo", "--seconds", str(int(seconds)), "--check"]
        demo = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            _watch(demo, seconds, looked)
            code = demo.wait(END_S)
        finally:
            demo.terminate()
            demo.wait(END_S)
        output.seek(0)
        last = output.read().decode(errors="replace").splitlines()[-6:]
    if chosen.samples:
        rows = (_row(name, sample) for name, samples in looked.items() for sample in samples)
        chosen.samples.write_text("\n".join(rows) + "\n")
    return _report(looked, seconds, code, last)


def _row(name: str, sample: Sample) -> str:
    return json.dumps({"program": name, **vars(sample), "descriptors": sorted(sample.descriptors)})


def _watch(demo: subprocess.Popen[bytes], seconds: float, looked: dict[str, list[Sample]]) -> None:
    begin = time.monotonic()
    told_at = 0.0
    while demo.poll() is None and (at_s := time.monotonic() - begin) < seconds:
        for name, sample in _look(demo.pid, at_s):
            looked[name].append(sample)
        if at_s >= told_at:
            told_at += 60
            now = ", ".join(f"{name} {samples[-1].resident_bytes / MIB:.1f}" for name, samples in sorted(looked.items()))
            print(f"{at_s / 60:6.1f} min  MiB: {now}", flush=True)
        time.sleep(EVERY_S)


def _look(root: int, at_s: float) -> list[tuple[str, Sample]]:
    found = []
    for pid in _below(root):
        process = Path(f"/proc/{pid}")
        try:
            words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
            status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
            name = _name(words)
            if name and "VmRSS" in status:
                resident, threads = int(status["VmRSS"].split()[0]) << 10, int(status["Threads"])
                found.append((name, Sample(at_s, resident, _open_of(process), threads)))
        except OSError:  # it has just ended
            continue
    return found


def _open_of(process: Path) -> Open:
    found = []
    for entry in (process / "fd").iterdir():
        with suppress(FileNotFoundError):  # it has just been closed
            found.append((int(entry.name), str(entry.readlink())))
    return frozenset(found)


def _name(words: list[str]) -> str:
    for module, name in NAMES:
        if module in words:
            sites = [Path(word).stem for word in words if word.endswith(".yaml")]
            return f"{name}-{sites[0]}" if name == "agent" and sites else name
    return ""


def _below(pid: int) -> list[int]:
    """Every process that `pid` started, and theirs."""
    found: list[int] = []
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return found
    for task in tasks:
        try:
            children = [int(word) for word in (task / "children").read_text().split()]
        except OSError:
            continue
        for child in children:
            found += [child, *_below(child)]
    return found


def _report(looked: dict[str, list[Sample]], seconds: float, code: int, last: list[str]) -> int:
    warm_s = max(seconds / 10, min(300.0, seconds / 3))
    complaints = [] if code == 0 else [f"the demo ended with code {code}: " + " / ".join(last)]
    named: list[str] = []
    print(f"\n{'program':<18}{'samples':>9}{'MiB at first':>14}{'at last':>9}{'slope MiB/h':>13}{'descriptors':>13}{'threads':>10}")
    for name, samples in sorted(looked.items()):
        warm = [sample for sample in samples if sample.at_s >= warm_s]
        if len(warm) < 6:
            complaints.append(f"{name}: only {len(warm)} samples after the warm-up")
            continue
        v = judge(name, warm)
        counts = f"{v.descriptors[0]} -> {v.descriptors[1]}", f"{v.threads[0]} -> {v.threads[1]}"
        print(
            f"{name:<18}{v.samples:>9}{v.first_mib:>14.1f}{v.last_mib:>9.1f}{v.slope_mib_per_hour:>13.2f}{counts[0]:>13}{counts[1]:>10}"
        )
        named += [f"{name}: new descriptor {each}" for each in v.new]
        complaints += v.complaints(MOST_SLOPE)
    if len(looked) < 4:
        complaints.append(f"only {sorted(looked)} were seen")
    print("\n".join(["", *named, "", *last, "", *(complaints or ["Nothing grew."])]))
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
