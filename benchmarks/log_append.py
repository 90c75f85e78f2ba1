"""How fast the log takes batches, and how fast a log of many segments opens: `python -m benchmarks.log_append [FOLDER]`.

Batches of 270 readings (9 series, 30 instants) of 100 gateways, 64 batches in each commit, as group commit makes them under load.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

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


if __name__ == "__main__":
    main()
