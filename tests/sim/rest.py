"""Pure. What must hold behind the log when everything is at rest: store, warnings, cursors, and the size of every table."""

from __future__ import annotations

from dataclasses import dataclass

from collector.domain.identity import GatewayId
from collector.intake.records import Record
from edge_agent.contract import encoding
from edge_agent.contract import message as m
from tests.sim.consumers import without_faults
from tests.sim.county import SimCollector
from tests.sim.gateway import SimGateway
from tests.sim.liar import STRANGER
from tests.sim.logs import hashes
from tests.sim.oracles import contents, number_of
from tests.sim.world import World

FEW = 64
"""Entries that a table may keep at rest."""


@dataclass(frozen=True, slots=True)
class Judged:
    """How many warnings there were, and whether they could be compared with those of a line without faults."""

    warnings: int = 0
    compared: bool = False


def ask(world: World, collector: SimCollector, gateways: list[SimGateway]) -> Judged:
    """Raises SimFailure."""
    _store(world, collector)
    _cursors(world, collector)
    _sizes(world, collector, gateways)
    return _warnings(world, collector)


def _store(world: World, collector: SimCollector) -> None:
    log, store = collector.log, collector.store
    stored: dict[int, int] = {}
    for (key, at_ms), value in store.cells.items():
        number = number_of(value)
        if number in stored:
            raise world.fail(f"reading {number} is in the store twice: at {stored[number]} and at {at_ms} ({key})")
        stored[number] = at_ms
    replaced = {number_of(value) for _, _, value in store.replaced}
    for record in log.records.values():
        if record.kind == "birth" or record.key.gateway == STRANGER:
            continue
        for number, at_ms, _, is_event in contents(record):
            if is_event:
                continue
            found = stored.pop(number, None)
            if found is None and record.key not in log.rotten and number not in replaced and not _is_orphan(collector, record):
                raise world.fail(f"{record.key}: reading {number} is in the log and not in the store")
            if found is not None and found != at_ms:
                raise world.fail(f"{record.key}: reading {number} is stamped {at_ms} in the log and {found} in the store")
    if stored:
        raise world.fail(f"readings {sorted(stored)[:5]} are in the store and not in the log")


def _is_orphan(collector: SimCollector, record: Record) -> bool:
    """A batch that waits for its birth for ever, and nobody owes it."""
    head = encoding.decode_sequenced(record.payload)
    if not isinstance(head, m.Data) or not collector.oracles.is_orphan(record):
        return False
    return (GatewayId(record.key.site, record.key.gateway), head.b) not in hashes(collector.log.births())


def _cursors(world: World, collector: SimCollector) -> None:
    readers = collector.readers
    if readers is None:
        raise world.fail("the collector is not there")
    last, rotten = collector.log.last_offset(), {r.offset for r in collector.log.records.values() if r.key in collector.log.rotten}
    while last in rotten:
        last -= 1
    if readers.position() < last:
        raise world.fail(f"what follows the log stands at {readers.position()} of {last}")
    # what waits for a birth that nobody has any more is let go after seven days
    held = set(readers.written.held) | set(readers.judged.held if readers.judged is not None else ())
    records = collector.log.records.values()
    strange = {record.offset for record in records if record.key.gateway == STRANGER or _is_orphan(collector, record)}
    if held - strange:
        raise world.fail(f"records {sorted(held - strange)[:5]} still wait for their birth")


def _warnings(world: World, collector: SimCollector) -> Judged:
    readers = collector.readers
    machine = collector.intake
    if readers is None or readers.judge is None or machine is None:
        return Judged()
    told, counts = collector.ledger.warnings, readers.judge.counts
    if counts["late"] or counts["ahead"] or collector.log.rotten:
        return Judged(len(told))  # the engine itself says that it did not judge everything
    wanted = without_faults(collector.log, machine.pulses())
    if wanted is None:
        return Judged(len(told))
    if wanted != told:
        missing = {id: over for id, over in wanted.items() if told.get(id, -1) != over}
        more = {id: over for id, over in told.items() if wanted.get(id, -1) != over}
        raise world.fail(f"warnings differ: without faults {missing}, with them {more}")
    return Judged(len(told), compared=True)


def _sizes(world: World, collector: SimCollector, gateways: list[SimGateway]) -> None:
    sizes: dict[str, int] = {}
    for gateway in gateways:
        courier = gateway.courier
        if courier is None:
            raise world.fail(f"{gateway.name} is not there")
        holding = courier.holding
        sizes |= {
            "births kept": len(holding.outbox.kept_births), "lanes held": len(holding.outbox.lanes),
            "under way": len(holding.window.flying) + holding.is_fetching,
            "memory only": holding.outbox.memory_only_bytes // 1000, "in memory": holding.outbox.cached_bytes // 1000,
        }  # fmt: skip
        for name, size in sizes.items():
            if size > FEW:
                raise world.fail(f"{gateway.name}: {size} {name} at rest")
    machine = collector.intake
    if machine is None:
        raise world.fail("the collector is not there")
    owed = sum(len(gateway.owed) for gateway in machine._gateways.values())
    if owed > FEW:
        raise world.fail(f"collector: {owed} lanes are owed a receipt at rest")
