"""Does I/O: the three witnesses of the account - the stations' journals, the agents' counters in the log, the collector's store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from collector.intake.interpret import Births, interpret
from collector.io.sqlite_log import SqliteLog
from collector.stores.embedded import EmbeddedStore
from edge_agent.config.load import load_site
from edge_agent.contract.encoding import parse_epoch
from edge_agent.model.points import Device, Point
from edge_agent.model.scaling import value_of
from examples.demo.account import Key

FUNCTION_OF = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}


def stopped(log_path: Path) -> tuple[dict[Key, int], dict[str, Mapping[str, Any]]]:
    """Readings in the log per series of the agents' epochs (replays are epoch 0), and what each agent said as it stopped."""
    log = SqliteLog(log_path)
    births, in_log, said = Births(), dict[Key, int](), dict[str, Mapping[str, Any]]()
    births.load(log.births())
    position = 0
    while records := log.read(position, 1000):
        position = records[-1].offset
        for record in records:
            one = interpret(record, births)
            if one is None or parse_epoch(one.epoch)[0] == 0:
                continue
            for column in one.columns:
                key = (one.gateway.site, column.series.key.device, column.series.key.point)
                in_log[key] = in_log.get(key, 0) + len(column.times)
            for event in one.events:
                if event.kind == "agent.stop":
                    said[one.gateway.site] = dict(event.about)
    log.close()
    return in_log, said


def stored(store_path: Path, since_ms: int) -> dict[Key, list[tuple[int, Any]]]:
    """(time, value) of every reading of the store since then, by series, in order of time."""
    store = EmbeddedStore(store_path)
    rows = {
        (info.key.site, info.key.device, info.key.point): [(s.time_ms, s.value) for s in store.range(info.key, since_ms, 1 << 60)]
        for info in store.series()
    }
    store.close()
    return {key: found for key, found in rows.items() if found}


def served(site_file: Path, environment: Mapping[str, str], run_dir: Path) -> dict[Key, list[Any]]:
    """The values that each instrument gave, in order, by series: the journal's words through the point's scale."""
    site = load_site(site_file, environment=dict(environment)).site
    values: dict[Key, list[Any]] = {}
    for bus in site.buses:
        for device in bus.devices:
            journal = run_dir / f"{site.site}-{device.id}.jsonl"
            for line in journal.read_text(encoding="utf-8").splitlines():
                _, function, address, words = json.loads(line)
                for name, value in values_of_reply(device, function, address, words).items():
                    values.setdefault((site.site, device.id, name), []).append(value)
    return values


def held_back(site_file: Path, environment: Mapping[str, str]) -> frozenset[Key]:
    """The series with a dead-band: of these the agent leaves out what has not changed."""
    site = load_site(site_file, environment=dict(environment)).site
    devices = (device for bus in site.buses for device in bus.devices)
    return frozenset((site.site, d.id, point.id) for d in devices for point in d.points if point.dead_band is not None)


def values_of_reply(device: Device, function: int, address: int, words: list[int]) -> dict[str, Any]:
    """Values by point of one reply; those that others scale (decimals, unit codes) stand in the same one."""
    found: dict[str, Any] = {}
    for point in sorted(_covered(device, function, address, len(words)), key=lambda p: bool(p.scale_by)):
        start = point.address - address
        found[point.id], _ = value_of(point, words[start : start + point.span], found)
    return found


def _covered(device: Device, function: int, address: int, count: int) -> list[Point]:
    return [
        p
        for p in device.points
        if FUNCTION_OF[p.table] == function and address <= p.address and p.address + p.span <= address + count
    ]
