"""Does I/O: what a stopped collector's state folder says: readings of the store, places of readings in the log."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from collector.intake.interpret import Births, interpret
from collector.io.sqlite_log import SqliteLog
from collector.stores.embedded import EmbeddedStore
from edge_agent.contract.encoding import decode_sequenced
from edge_agent.contract.message import Data
from edge_agent.model.link_health import LINK_POINTS
from tests.chaos.account import BatchName, Logged
from tests.chaos.part import ChaosError
from tests.support.programs import REPOSITORY


@dataclass
class Holes:
    """What `collector account` calls absent: (gateway, epoch, lane) to first and last sequence."""

    spans: dict[tuple[str, str, str], list[tuple[int, int]]] = field(default_factory=dict)

    def covers(self, gateway: str, batch: BatchName) -> bool:
        """True if the batch stands in one of them."""
        epoch, lane, seq = batch
        return any(first <= seq <= last for first, last in self.spans.get((gateway, epoch, lane), ()))


def holes(config: Path) -> Holes:
    """As `collector account --json` gives them."""
    command = [sys.executable, "-m", "collector", "account", "--json", "--config", str(config)]
    said = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if said.returncode not in (0, 1):
        raise ChaosError(f"collector account gave code {said.returncode}: {said.stderr[-1000:]}")
    found = Holes()
    for day in json.loads(said.stdout)["days"]:
        for absent in day["absent"]:
            spans = found.spans.setdefault((day["gateway"], absent["epoch"], absent["lane"]), [])
            spans.append((absent["first"], absent["last"]))
    return found


Series = tuple[int, int]
Place = tuple[int, int, int]


def series_of(device: str, point: str) -> Series | None:
    """`d3`, `p5`: unit 3, point 5. None: what the agent measures itself, how well it reaches the device; no instrument gave it."""
    return None if point in LINK_POINTS else (int(device[1:]), int(point[1:]))


def stored(state: Path) -> dict[str, dict[Series, list[tuple[int, int]]]]:
    """Every reading with a value, by gateway and series."""
    found: dict[str, dict[Series, list[tuple[int, int]]]] = {}
    store = EmbeddedStore(state / "store.sqlite")
    try:
        for info in store.series():
            series = series_of(info.key.device, info.key.point)
            if series is not None:
                rows = [(s.time_ms, s.value) for s in store.range(info.key, 0, 1 << 60) if s.value is not None]
                found.setdefault(info.key.gateway, {})[series] = rows  # type: ignore[assignment]
    finally:
        store.close()
    return found


def logged(state: Path) -> tuple[str, dict[str, dict[Place, Logged]], set[tuple[str, BatchName]]]:
    """Log id; by gateway the place of each reading; every batch (gateway, name)."""
    log = SqliteLog(state / "log.sqlite")
    places: dict[str, dict[Place, Logged]] = {}
    batches: set[tuple[str, BatchName]] = set()
    births = Births()
    try:
        births.load(log.births())
        position = 0
        while records := log.read(position, 1000):
            position = records[-1].offset
            for record in records:
                key = record.key
                name: BatchName = (key.epoch, key.lane, key.seq)
                batches.add((key.gateway, name))
                head = decode_sequenced(record.payload)
                one = interpret(record, births)
                if one is None or not isinstance(head, Data):
                    continue
                source, bound_ms = (head.c.source, head.c.bound_ms) if head.c is not None else ("", 0)
                known = places.setdefault(key.gateway, {})
                for column in one.columns:
                    series = series_of(column.series.key.device, column.series.key.point)
                    for time_ms, value in zip(column.times, column.values, strict=True):
                        if series is not None and isinstance(value, int):
                            known[(*series, value)] = Logged(name, bound_ms, source, time_ms)
        return log.log_id, places, batches
    finally:
        log.close()
