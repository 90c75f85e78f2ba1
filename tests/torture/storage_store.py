"""Does I/O: the embedded store under torture, with roll-ups and sealed days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

from collector.seams import StorageFailed
from collector.stores.embedded import EmbeddedStore
from tests.support.line import FLOW, STATE, T0, batch
from tests.torture.storages import Snapshot, Step

HOUR_MS = 3_600_000


class _Clock:
    """Quiet hours are due to be rolled up, and days to be sealed: the clock jumps whenever it is looked at."""

    def __init__(self) -> None:
        self.now_ms = T0 + 10 * HOUR_MS

    def monotonic_ms(self) -> int:
        return self.now_ms

    def utc_ms(self) -> int:
        self.now_ms += 1_500_000
        return self.now_ms


class StoreStorage:
    """collector/stores/embedded.py."""

    name = "store"
    refusal: type[Exception] = StorageFailed

    def open(self, folder: Path) -> EmbeddedStore:
        return EmbeddedStore(folder / "store.sqlite", _Clock())

    def close(self, handle: EmbeddedStore) -> None:
        handle.close()

    def steps(self, random: Random) -> Sequence[Step]:
        found = []
        for turn in range(24):
            at_ms = turn * 700_000
            flow = replace(FLOW, unit="l/s") if turn > 15 else FLOW
            batches = [
                batch(2 * turn, [at_ms + 1000 * n for n in range(20)], [round(random.random(), 3) for _ in range(20)], flow),
                batch(2 * turn + 1, [at_ms], [turn % 2 == 0], STATE),
            ]
            found.append(Step("write", lambda s, b=batches, t=turn: s.write(b, 10 * t + 10)))  # type: ignore[misc]
            if turn % 6 == 5:  # late, and one instant again
                late = [batch(1000 + turn, [at_ms - 3 * HOUR_MS, at_ms], [1.5, 2.5], flow)]
                found.append(Step("late", lambda s, b=late, t=turn: s.write(b, 10 * t + 11)))  # type: ignore[misc]
            if turn in {8, 18}:
                found.append(Step("restart"))
            if turn % 7 == 6:
                found.append(Step("written again", lambda s, b=batches, t=turn: s.write(b, 10 * t + 12)))  # type: ignore[misc]
        return found

    def read(self, handle: EmbeddedStore) -> Snapshot:
        series = sorted(handle.series(), key=lambda info: info.key)
        window = (T0 - 9 * HOUR_MS, T0 + 9 * HOUR_MS)
        return {
            "identity": "", "told": [p.code for p in handle.problems()],
            "cursor": handle.cursor(), "series": series, "latest": sorted(handle.latest().items()),
            "readings": [handle.range(info.key, *window) for info in series],
            "counts": [handle.count(info.key, 0, 4_000_000_000_000) for info in series],
            "minutes": [handle.minutes(info.key, *window) for info in series],
        }  # fmt: skip

    def go_on(self, handle: EmbeddedStore, last: Snapshot) -> str:
        handle.write([batch(9999, [5], [77.0])], last["cursor"] + 1)
        found = [s.value for s in handle.range(FLOW.key, T0 + 5, T0 + 6)]
        return "" if (found, handle.cursor()) == ([77.0], last["cursor"] + 1) else f"after the crash: {found} {handle.cursor()}"
