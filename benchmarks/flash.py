"""Does I/O: what the outbox writes to flash, at a block device.

The real Courier and OutboxFile; only the time between windows is not waited for.

    python -m benchmarks flash

Compared with a plain script: a row per reading with a commit each, and with twenty readings per commit.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

from benchmarks.block_device import Medium, Written, medium
from benchmarks.station import Station
from benchmarks.table import Figure, show
from edge_agent.contract.message import LANES, LaneReceipt, Receipt
from edge_agent.delivery import machine as ev
from edge_agent.delivery.courier import Courier
from edge_agent.delivery.durability import DEAD_MESSAGES
from edge_agent.delivery.wear import estimate
from edge_agent.io.outbox import OutboxFile
from edge_agent.model.points import Delivery

KIB, MIB = 1 << 10, 1 << 20
WINDOWS = 600
RELEASE_PERCENT = 10
"""Releasing what is confirmed costs no rewrite of the file: at most this of its bytes."""
UTC_MS = 1_790_000_000_000
EPOCH = "0123456789abcdef"


class Line:
    """One agent's delivery on a medium; time is a number. With `receipts` the collector answers at once."""

    def __init__(self, folder: Path, station: Station, settings: Delivery = Delivery(), *, receipts: bool) -> None:
        self._file = OutboxFile(folder / "outbox.db")
        opened = self._file.open()
        self._courier = Courier(settings)
        self._receipts = receipts
        self.station = station
        self.now_ms = 1000
        self.writes = 0
        self._wake_ms: int | None = None
        self._top: dict[tuple[str, str], int] = {}
        self.epoch = self._file.new_epoch(EPOCH)
        self.tell(
            ev.Start(self.epoch, "boot", station.birth, opened.stored, opened.set_aside, opened.anchors, shelves=opened.shelves)
        )
        self.tell(ev.ClockSet(self.now_ms, UTC_MS + self.now_ms, "ntp", 5))
        if receipts:
            self.tell(ev.Connected())

    def tell(self, event: ev.Event) -> None:
        """One step and all that follows from it."""
        events, sent = [event], False
        while events:
            for action in self._courier.step(self.now_ms, events.pop(0)):
                match action:
                    case ev.Write():
                        self._file.write(action.add, action.forget, action.anchors)
                        self.writes += 1
                        events.append(ev.Written(action.token))
                    case ev.Fetch():
                        events.append(ev.Fetched(*self._file.fetch(action.span.each())))
                    case ev.Publish():
                        at = action.key.epoch, action.key.lane
                        self._top[at] = max(self._top.get(at, 0), action.key.seq)
                        sent = True
                    case ev.WakeAt():
                        self._wake_ms = action.mono_ms
            if sent and not events:
                sent = False
                claims = [LaneReceipt(epoch, lane, top) for (epoch, lane), top in self._top.items() if lane in LANES]
                events.append(ev.ReceiptCame(Receipt(1, "log", claims)))

    def run(self, seconds: int, every_s: int = 1) -> int:
        """Reads and delivers for so long; gives the readings taken."""
        taken = 0
        for _ in range(seconds // every_s):
            next_ms = self.now_ms + 1000 * every_s
            while self._wake_ms is not None and self._wake_ms <= next_ms:
                self.now_ms, self._wake_ms = max(self.now_ms, self._wake_ms), None
                self.tell(ev.Tick())
            self.now_ms = next_ms
            readings = self.station.read(self.now_ms)
            taken += len(readings)
            self.tell(ev.Taken(readings))
        return taken

    def connect(self) -> None:
        """The link is back; the collector answers everything at once."""
        self.tell(ev.Connected())

    @property
    def depth(self) -> int:
        return self._courier.figures(self.now_ms).depth

    def close(self) -> None:
        self._file.close()


def offline(points: int) -> tuple[Written, int, int]:
    """Bytes of WINDOWS windows without a link, after the start; writes; readings."""
    with medium() as flash:
        line = Line(flash.folder, Station(points), receipts=False)
        line.run(60)
        before, writes = flash.written(), line.writes
        taken = line.run(10 * WINDOWS)
        written, writes = flash.written().since(before), line.writes - writes
        line.close()
    return written, writes, taken


def online() -> Written:
    """Bytes of a day of ten points a second with a batch every 5 s, each with its receipt inside the window, after the start."""
    with medium() as flash:
        line = Line(flash.folder, Station(10), receipts=True)
        line.run(60)
        before = flash.written()
        line.run(86_400, every_s=5)
        written = flash.written().since(before)
        line.close()
    return written


def release(batches: int) -> tuple[Written, int]:
    """Bytes of confirming a backlog of so many batches, and the bytes of the file with its backlog."""
    with medium() as flash:
        line = Line(flash.folder, Station(10), receipts=False)
        line.run(5 * batches)
        before = flash.written()
        size = (flash.folder / "outbox.db").stat().st_size
        line.connect()
        line.run(60)
        assert line.depth < 5, line.depth
        written = flash.written().since(before)
        line.close()
    return written, size


def drain(batches: int, a_write: int, *, in_order: bool) -> tuple[Written, int]:
    """The same of the file alone, so many a write, while each write brings a new window: less what the windows alone cost."""
    with medium() as flash:
        line = Line(flash.folder, Station(10), receipts=False)
        line.run(5 * batches)
        line.close()
        file = OutboxFile(flash.folder / "outbox.db")
        opened = file.open()
        keys = [*(each.key for each in opened.stored), *(key for shelf in opened.shelves for key in shelf.span.each())]
        (window, *_), _ = file.fetch(keys[:1])
        if not in_order:
            Random(1).shuffle(keys)
        drained, size = _windows(flash, file, window, keys, a_write), (flash.folder / "outbox.db").stat().st_size
        alone = OutboxFile(flash.folder / "alone.db")
        alone.open()
        return drained.since(_windows(flash, alone, window, [None] * len(keys), a_write)), size


def _windows(flash: Medium, file: OutboxFile, window: ev.Stored, forget: Sequence[ev.Key | None], a_write: int) -> Written:
    """Bytes of a window of one batch for every so many to be forgotten."""
    before = flash.written()
    for number, at in enumerate(range(0, len(forget), a_write)):
        new = replace(window, key=ev.Key(f"9-{EPOCH}", "n", number + 1))
        file.write([new], [key for key in forget[at : at + a_write] if key is not None])
    written = flash.written().since(before)
    file.close()
    return written


def plain_script(readings: int, per_commit: int) -> float:
    """Bytes per reading of a row per reading, SQLite as it comes."""
    with medium() as flash:
        database = sqlite3.connect(flash.folder / "plain.db", isolation_level=None)
        database.execute("CREATE TABLE reading(time REAL, point TEXT, value REAL, sent INTEGER)")
        station = Station(10)
        rows = [(r.taken_ms, str(r.series), r.value, 0) for t in range(readings // 10) for r in station.read(1000 * t)]
        before = flash.written()
        for at in range(0, len(rows), per_commit):
            database.execute("BEGIN")
            database.executemany("INSERT INTO reading VALUES(?,?,?,?)", rows[at : at + per_commit])
            database.execute("COMMIT")
        written = flash.written().since(before)
        database.close()
    return bytes_of(written) / readings


def bytes_of(written: Written) -> int:
    """At the device where there is one."""
    return written.process if written.device is None else written.device


def _against_estimate(measured: Written, points: int, taken: int) -> Iterator[Figure]:
    """What `edge-agent check` says of it; neither may be half as much again as the other."""
    said = estimate(Delivery(), [("n", 1000)] * points).offline_bytes_a_day
    real = bytes_of(measured) * 86_400 * points / taken
    yield Figure(f"  {points} points: what `check` says a day, over what was measured", said / real, "x", 1.5)
    yield Figure("  and the other way round", real / said, "x", 1.5)


def figures() -> Sequence[Figure]:
    """Everything, in one run."""
    found = []
    small, writes, taken = offline(10)
    found += [*_against_estimate(small, 10, taken)] if small.device is not None else []
    found += [
        Figure(
            f"offline, {taken // writes} readings a window of 10 s: a window, at the device",
            bytes_of(small) / writes / KIB,
            "KiB",
            40,
        ),
        Figure("  the same, as the process's writes", small.process / writes / KIB, "KiB", 12),
        Figure("  the same, a reading", bytes_of(small) / taken, "B"),
    ]
    large, writes, taken = offline(100)
    found += [*_against_estimate(large, 100, taken)] if large.device is not None else []
    found += [
        Figure(f"offline, {taken // writes} readings a window: a reading, at the device", bytes_of(large) / taken, "B", 64),
        Figure("  the same, as the process's writes", large.process / taken, "B"),
    ]
    found.append(
        Figure("online, a batch each 5 s, receipts inside the window: a day, at the device", bytes_of(online()) / MIB, "MiB", 1)
    )
    freed, size = release(10_000)
    found.append(
        Figure(
            f"a backlog of 10,000 batches ({size / MIB:.1f} MiB) is confirmed: of its file, at the device",
            100 * bytes_of(freed) / size,
            "%",
            RELEASE_PERCENT,
        )
    )
    for words, a_write, in_order in (("in order", 500, True), ("in any order", DEAD_MESSAGES, False)):
        freed, size = drain(10_000, a_write, in_order=in_order)
        what = f"  the same {words}, {a_write:,} a write, each with a new window; without these"
        found.append(Figure(what, 100 * bytes_of(freed) / size, "%", RELEASE_PERCENT))
    found.append(Figure("plain script, a row and a commit a reading: a reading, at the device", plain_script(1000, 1), "B"))
    found.append(Figure("plain script, twenty rows a commit: a reading, at the device", plain_script(4000, 20), "B"))
    return found


def main() -> int:
    """Prints the table; 1 if a demand does not hold."""
    return show("flash: bytes written by the outbox", list(figures()))


if __name__ == "__main__":
    sys.exit(main())
