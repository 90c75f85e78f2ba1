"""Does I/O: how near to the wire's bound a serial bus is read, with and without faults, beside other masters.

    python -m benchmarks bus          BENCH_PYTHON=...: the Python that has minimalmodbus and modpoll

Three instruments on a simulated line (benchmarks/uart.py), two requests of ten registers each. The cycle is what the line saw; the
bound is calculated of byte times, turn-around and silences for the same requests. Every value is compared with what the
instrument held.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.table import Figure, show
from benchmarks.uart import BLOCKS, COUNT, DEAD, FAULTS, UNITS, Seen, bound_s, register, uart
from edge_agent.bus import BusRunner
from edge_agent.common.clock import SystemClock
from edge_agent.model.points import Bus, Device, Point, Serial
from edge_agent.model.reading import Reading

BAUDRATES = (9600, 115_200)
SECONDS = float(os.environ.get("BENCH_SECONDS", "6"))
HOW = "python -m venv other; other/bin/pip install minimalmodbus modpoll 'pymodbus<3.7'; BENCH_PYTHON=other/bin/python"
CYCLE = len(UNITS) * len(BLOCKS)
PERCENT_AT_9600, MS_AT_115200 = 3.0, 0.5


@dataclass(frozen=True)
class Run:
    """What came of one run."""

    who: str
    fault: str
    baudrate: int
    seen: Seen
    values: int
    wrong: int

    @property
    def exchange_s(self) -> float:
        """Without faults the median time of a cycle over its exchanges; with faults the whole time over those answered well."""
        begun = self.seen.begun_s[CYCLE:]
        if len(begun) <= CYCLE:
            return float("inf")
        if self.fault == "none":
            return median(b - a for a, b in zip(begun, begun[CYCLE:], strict=False)) / CYCLE
        return (begun[-1] - begun[0]) / (len(begun) - 1)

    @property
    def over_percent(self) -> float:
        return 100 * (self.exchange_s / bound_s(self.baudrate) - 1)

    @property
    def over_ms(self) -> float:
        return 1000 * (self.exchange_s - bound_s(self.baudrate))


def units_of(fault: str) -> tuple[int, ...]:
    return (*UNITS, DEAD) if fault == "dead device" else UNITS


def ours(baudrate: int, fault: str) -> Run:
    """The real bus in its thread."""
    devices = []
    for unit in units_of(fault):
        points = tuple(
            Point(1000 * unit + at + i, f"u{unit}", f"p{at + i}", "holding", at + i, "u16", period_ms=20)
            for at in BLOCKS
            for i in range(COUNT)
        )
        devices.append(Device(f"u{unit}", unit, points, turnaround_ms=5))
    readings: list[Reading] = []
    with uart(baudrate, fault) as line:
        bus = Bus("line", Serial(line.path, baudrate), "rtu", tuple(devices))
        runner = BusRunner(bus, SystemClock(), readings.extend, lambda _: None, 1)
        stop = threading.Event()
        thread = threading.Thread(target=runner.run, args=(stop,))
        thread.start()
        time.sleep(SECONDS)
        stop.set()
        thread.join()
        seen = line.end()
    values = [reading for reading in readings if reading.value is not None]
    wrong = sum(reading.value != register(*divmod(reading.series, 1000)) for reading in values)
    return Run("edge-agent", fault, baudrate, seen, len(values), wrong)


def plain(name: str, python: str, baudrate: int, fault: str) -> Run:
    """A loop of bus_rivals.py."""
    with uart(baudrate, fault) as line:
        units = ",".join(map(str, units_of(fault)))
        seconds = max(SECONDS, 26.0) if (name, fault) == ("pymodbus", "dead device") else SECONDS
        command = [python, str(Path(__file__).with_name("bus_rivals.py")), name, line.path, str(baudrate), str(seconds), units]
        told = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
        seen = line.end()
    values = json.loads(told)
    return Run(name, fault, baudrate, seen, len(values), sum(word != register(unit, at) for unit, at, word in values))


def modpoll(python: str, baudrate: int, fault: str) -> Run:
    """The program of that name, as fast as it goes; values are those it prints."""
    with tempfile.TemporaryDirectory() as folder, uart(baudrate, fault) as line:
        config = Path(folder) / "units.csv"
        rows = []
        for unit in units_of(fault):
            rows.append(f"device,u{unit},{unit},,")
            for at in BLOCKS:
                rows.append(f"poll,holding_register,{at},{COUNT},BE_BE")
                rows += [f"ref,u{unit}a{at + i},{at + i},uint16,r" for i in range(COUNT)]
        config.write_text("\n".join(rows) + "\n", encoding="ascii")
        command = [python, "-m", "modpoll", "-f", str(config), "--rtu", line.path, "--rtu-baud", str(baudrate)]
        command += ["-r", "0.01", "--interval", "0", "--delay", "0"]
        environment = os.environ | {"PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
        timer = threading.Timer(max(SECONDS, 8.0), process.terminate)
        timer.start()
        told = process.communicate(timeout=60)[0]
        timer.cancel()
        seen = line.end()
    values = [(int(u), int(a), int(v)) for u, a, v in re.findall(r"u(\d+)a(\d+)\s*\|[^|]*\|[^|]*\|\s*(\d+)\s*\|", told)]
    return Run("modpoll", fault, baudrate, seen, len(values), sum(v != register(u, a) for u, a, v in values))


def has(python: str, module: str) -> bool:
    return subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False).returncode == 0


def runs() -> Sequence[Run]:
    """All of them; says which other masters are not there."""
    python = os.environ.get("BENCH_PYTHON", sys.executable)
    made = []
    there = {name: has(python, "modpoll.main" if name == "modpoll" else name) for name in ("minimalmodbus", "modpoll")}
    for name, is_there in there.items():
        if not is_there:
            print(f"{name}: not installed ({HOW})")
    for baudrate in BAUDRATES:
        for fault in FAULTS:
            made.append(ours(baudrate, fault))
            made.append(plain("pymodbus", sys.executable, baudrate, fault))
            if there["minimalmodbus"]:
                made.append(plain("minimalmodbus", python, baudrate, fault))
            if there["modpoll"]:
                made.append(modpoll(python, baudrate, fault))
    return made


def main() -> int:
    """Prints the table; 1 where a demand is missed."""
    made = runs()
    head = f"| {'baud':>6} | {'faults':<15} | {'master':<13} | {'cycle':>10} | {'bound':>9} | {'ratio':>6} |"
    print(f"\n{head} values | wrong | broken silences |")
    for run in made:
        bound_ms, cycle_ms = 1000 * CYCLE * bound_s(run.baudrate), 1000 * CYCLE * run.exchange_s
        line = f"| {run.baudrate:>6} | {run.fault:<15} | {run.who:<13} | {cycle_ms:7.1f} ms | {bound_ms:6.1f} ms"
        found = f"{run.values:>6} | {run.wrong:>5} | {run.seen.broken:>5} of {run.seen.requests:<6}"
        print(f"{line} | {cycle_ms / bound_ms:6.3f} | {found} |")
    own = [run for run in made if run.who == "edge-agent"]
    slow, fast = (next(run for run in own if run.baudrate == rate and run.fault == "none") for rate in BAUDRATES)
    return show(
        "Bus: Modbus RTU on a simulated line",
        [
            Figure("9600 baud, no faults: cycle over the wire's bound", slow.over_percent, "%", PERCENT_AT_9600),
            Figure("115200 baud, no faults: an exchange over the wire's bound", fast.over_ms, "ms", MS_AT_115200),
            Figure("all runs of edge-agent: wrong values", sum(run.wrong for run in own), "", 0),
            Figure("all runs of edge-agent: broken silences", sum(run.seen.broken for run in own), "", 0),
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
