"""How fast the log takes batches, opens with 200 segments, and what a backup costs it: `python -m benchmarks.log_append [FOLDER]`.

Batches of 270 readings (9 series, 30 instants) of 100 gateways, 64 batches in each commit, as group commit makes them under load.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from itertools import pairwise
from pathlib import Path
from statistics import fmean

from collector.intake.records import BatchKey, LaneState, Record
from collector.io.sqlite_log import SqliteLog
from edge_agent.contract import encoding
from edge_agent.contract import message as m

READINGS, SERIES, GATEWAYS, PER_COMMIT = 270, 9, 100, 64
EPOCH = "1-0123456789abcdef"
SECONDS = 20.0


def payloads(count: int = 200) -> list[bytes]:
    """Encoded batches whose values wander as measured ones do."""
    chance = random.Random(7)
    made = []
    for seq in range(count):
        columns = []
        for series in range(SERIES):
            level = chance.uniform(1, 50)
            values: list[float | int | bool | str | None] = []
            for _ in range(READINGS // SERIES):
                level += chance.gauss(0, 0.05)
                values.append(round(level, 2))
            columns.append(m.Column(series, values))
        body = m.Body([m.Block([0, *[1000] * (READINGS // SERIES - 1)], columns)])
        made.append(encoding.encode(m.Data(m.VERSION, EPOCH, "n", seq + 1, 1, "ab" * 16, 1_790_000_000_000, body)))
    return made


def main() -> None:
    """Prints readings a second, the longest commit, bytes a reading on disk, and the time to open it again."""
    folder = Path(tempfile.mkdtemp(dir=sys.argv[1] if len(sys.argv) > 1 else None))
    bodies = payloads()
    log = SqliteLog(folder / "log.sqlite")
    began, number, longest_s = time.monotonic(), 0, 0.0
    now_ms = time.time_ns() // 1_000_000
    while time.monotonic() - began < SECONDS:
        records, lanes = [], []
        for _ in range(PER_COMMIT):
            gateway, seq = f"gw-{number % GATEWAYS}", number // GATEWAYS + 1
            records.append(Record(0, BatchKey("site", gateway, EPOCH, "n", seq), now_ms, bodies[number % len(bodies)]))
            lanes.append(LaneState("site", gateway, EPOCH, "n", seq, received=seq, heard_ms=now_ms))
            number += 1
        before = time.monotonic()
        log.append(records, lanes, [])
        longest_s = max(longest_s, time.monotonic() - before)
    took_s = time.monotonic() - began
    log.close()
    on_disk = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    rate = number / took_s
    print(f"append   {rate * READINGS:,.0f} readings/s, {rate:,.0f} batches/s, longest commit {longest_s * 1000:.0f} ms")
    print(f"on disk  {on_disk / number / READINGS:.2f} bytes a reading, {on_disk >> 20} MiB")
    before = time.monotonic()
    log = SqliteLog(folder / "log.sqlite")
    opened_s = time.monotonic() - before
    print(f"open     {opened_s * 1000:.1f} ms")
    log.close()
    shutil.rmtree(folder)
    _many_segments(folder, bodies)


def _many_segments(folder: Path, bodies: list[bytes]) -> None:
    """A log of 200 segments of 1 MiB: opening, the first append, the first read; then a backup of it while it is written."""
    log = SqliteLog(folder / "log.sqlite", 1 << 20)
    seq = 0
    while len(log.segments()) < 200:
        log.append([_record(seq + n, bodies) for n in range(PER_COMMIT)], [], [])
        seq += PER_COMMIT
    log.close()
    steps = [time.monotonic()]
    log = SqliteLog(folder / "log.sqlite", 1 << 20)
    steps.append(time.monotonic())
    log.append([_record(seq, bodies)], [], [])
    steps.append(time.monotonic())
    log.read(log.last_offset() // 2, 500)
    steps.append(time.monotonic())
    opened, appended, read = (1000 * (b - a) for a, b in pairwise(steps))
    print(f"200 segments: open {opened:.1f} ms, first append {appended:.1f} ms, first read in the middle {read:.1f} ms")
    for name in ("without", "during"):
        ending, pauses = threading.Event(), [0.0]
        backup = threading.Thread(target=_backup, args=(folder, ending, name == "during"))
        backup.start()
        count = 0
        while not ending.is_set():
            before = time.monotonic()
            log.append([_record(seq + 1 + count + n, bodies) for n in range(PER_COMMIT)], [], [])
            pauses.append(time.monotonic() - before)
            count += PER_COMMIT
        seq += 1 + count
        backup.join()
        print(f"{name} a backup: longest append {1000 * max(pauses):.1f} ms of {len(pauses)}, mean {1000 * fmean(pauses):.2f} ms")
    log.close()
    shutil.rmtree(folder)


def _record(seq: int, bodies: list[bytes]) -> Record:
    key = BatchKey("site", f"gw-{seq % GATEWAYS}", EPOCH, "n", seq // GATEWAYS + 1)
    return Record(0, key, time.time_ns() // 1_000_000, bodies[seq % len(bodies)])


def _backup(folder: Path, ending: threading.Event, really: bool) -> None:
    """By the program itself, in a process of its own; or only the same time."""
    if really:
        config = folder / "c.yaml"
        config.write_text(f"state_directory: {folder}\n")
        command = [sys.executable, "-m", "collector", "backup", str(folder / "b.tar"), "--config", str(config)]
        subprocess.run(command, check=True, capture_output=True)
    else:
        time.sleep(3)
    ending.set()


if __name__ == "__main__":
    main()
