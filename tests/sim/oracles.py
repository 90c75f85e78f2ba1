"""Pure. What must hold at each step and at rest. The oracles keep their own books and look into neither machine.

At each step: no receipt beyond the durable log; no (epoch, lane, sequence) with two contents or two stamps, no readings under two
sequences; memory within its bounds. At rest: every reading is in the log exactly once, under its gateway and epoch, with its true
time within the stated bound; what is missing is explained by a crash inside the durability window, a gap record, or a backup that
was restored; `low` never rose over anything held without a receipt that no gap record tells of; and every batch in
the log has its birth there. What stands behind the log is asked by rest.py.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from collector.intake.core import Intake
from collector.intake.records import BatchKey, Record
from edge_agent.contract import encoding
from edge_agent.contract import message as m
from edge_agent.delivery import machine as ev
from edge_agent.delivery.courier import Courier
from tests.sim.plan import Plan
from tests.sim.world import World

if TYPE_CHECKING:
    from tests.sim.logs import SimLog

FRACTION = 10_000_000
"""Parts of a level's unit that hold the number of its reading."""
FORGED = 10_000_000
"""No run sends so much: a receipt beyond it is a lie."""
ONE_BATCH = 300_000
"""What a bound may be passed by: the batch that passes it, births, gap records."""
LaneName = tuple[str, str, m.Lane]
"""Gateway, epoch, lane."""
decode_receipt = lru_cache(maxsize=512)(encoding.decode_receipt)
"""Whoever says a receipt and whoever hears it look at the same one."""
_frame = msgspec.json.Decoder(m.DataFrame | m.Birth)


@dataclass(frozen=True, slots=True)
class Taken:
    """One reading or event. true_ms: true UTC of its taking; known_ms: true UTC when the agent got it."""

    number: int
    gateway: str
    epoch: str
    true_ms: int
    known_ms: int
    is_event: bool


@dataclass(slots=True)
class LaneBook:
    """What is known of one lane of one gateway."""

    contents: dict[int, tuple[int | None, bytes]] = field(default_factory=dict)
    """Sequence to stamp and body, as first seen."""
    seq_of: dict[bytes, int] = field(default_factory=dict)
    """Body to sequence, of bodies with readings: no two are equal."""
    held: set[int] = field(default_factory=set)
    """Seen, without a receipt."""
    unwritten: set[int] = field(default_factory=set)
    """Of these the ones never seen durable: a crash takes them."""
    vouched_ms: dict[int, int] = field(default_factory=dict)
    """When such as were durable on the card, with their birth, went out last."""
    passed: set[int] = field(default_factory=set)
    """Held, yet `low` rose over them: a gap record must tell of each."""
    top_low: int = 1
    checked: dict[str, int] = field(default_factory=dict)
    """Per log id: sequences up to here are known to be in that log, or below top_low."""


class Oracles:
    """The books of one run. The machines under test stand here, so that a planted bug can replace them."""

    courier_class: type[Courier] = Courier
    intake_class: type[Intake] = Intake

    def __init__(self, world: World) -> None:
        self._world = world
        self._readings: dict[int, Taken] = {}
        self._open: defaultdict[str, list[Taken]] = defaultdict(list)
        """Per gateway, those of the present run."""
        self._excused: set[int] = set()
        self._lanes: defaultdict[LaneName, LaneBook] = defaultdict(LaneBook)
        self._lost_births_ms: dict[tuple[str, str], int] = {}
        """Gateway and hash of births that a restore took, and when."""
        self._lost_gaps: list[tuple[str, m.Gap]] = []

    # --- the agent's side ---

    def taken(self, gateway: str, epoch: str, true_ms: int, is_event: bool = False) -> int:
        """A new reading's number, which is its value, or an event's."""
        number = len(self._readings) + 1
        taken = Taken(number, gateway, epoch, true_ms, self._world.now_ms, is_event)
        self._readings[number] = taken
        self._open[gateway].append(taken)
        return number

    def count(self) -> int:
        """Readings and events so far."""
        return len(self._readings)

    def crashed(self, gateway: str, safe_before_ms: int) -> None:
        """A crash takes what is neither on the card nor safe by its window."""
        self._excused.update(t.number for t in self._open[gateway] if t.known_ms >= safe_before_ms)
        self.stopped(gateway)

    def stopped(self, gateway: str) -> None:
        """The agent is gone, with all that was only in its memory."""
        self._open[gateway].clear()
        for (name, _, _), book in self._lanes.items():
            if name == gateway and book.unwritten:
                book.held -= book.unwritten
                book.unwritten.clear()

    def started(self, gateway: str, epoch: str) -> None:
        """An agent begins, and its epoch is new."""
        if any(name[:2] == (gateway, epoch) for name in self._lanes):
            raise self._world.fail(f"{gateway}: epoch {epoch} is used again")

    def written(self, gateway: str, write: ev.Write) -> None:
        """A write is durable."""
        for stored in write.add:
            book = self._seen(gateway, stored.key, stored.t0, stored.body)
            book.unwritten.discard(stored.key.seq)

    def bounded(self, gateway: str, courier: Courier, plan: Plan) -> None:
        """However long an outage lasts, memory keeps its bounds."""
        outbox = courier.holding.outbox
        if outbox.memory_only_bytes > plan.unsafe_bytes + ONE_BATCH:
            raise self._world.fail(f"{gateway}: {outbox.memory_only_bytes} bytes only in memory, allowed are {plan.unsafe_bytes}")
        if outbox.depth_bytes > plan.settings.max_bytes + ONE_BATCH:
            raise self._world.fail(f"{gateway}: {outbox.depth_bytes} bytes held, allowed are {plan.settings.max_bytes}")

    def published(self, gateway: str, publish: ev.Publish) -> None:
        """A message goes out."""
        head = _frame.decode(encoding.unpack(publish.payload))
        body = bytes(head.body if isinstance(head, m.Birth) else head.d)
        if (head.e, head.l, head.s) != tuple(publish.key):
            raise self._world.fail(f"{gateway}: {publish.key} is sent as {head.e} {head.l} {head.s}")
        book = self._seen(gateway, publish.key, head.t0, body)
        if head.s not in book.unwritten:
            book.vouched_ms[head.s] = self._world.now_ms
        if head.low > book.top_low:
            book.top_low = head.low
            book.passed |= {seq for seq in book.held if seq < head.low}

    def _seen(self, gateway: str, key: ev.Key, t0: int | None, body: bytes) -> LaneBook:
        book = self._lanes[gateway, key.epoch, key.lane]
        before = book.contents.get(key.seq)
        if before is None:
            if body.startswith(b'{"blocks"') and book.seq_of.setdefault(body, key.seq) != key.seq:
                raise self._world.fail(f"{gateway}: {key} has what {book.seq_of[body]} had before")
            book.contents[key.seq] = (t0, body)
            book.held.add(key.seq)
            book.unwritten.add(key.seq)
            return book
        if before[1] != body:
            self._grown(gateway, key, before[1], body)
            body = max(before[1], body, key=lambda each: len(_numbers(each)))
            book.contents[key.seq] = (before[0], body)
        if before[0] is None:
            book.contents[key.seq] = (t0, body)
        elif t0 is not None and before[0] != t0:
            raise self._world.fail(f"{gateway}: {key} was stamped {before[0]} and then {t0}")
        return book

    def _grown(self, gateway: str, key: ev.Key, one: bytes, other: bytes) -> None:
        """A draft of a batch that waits for company holds a part of it; after a crash the draft is what is left."""
        few, many = sorted((set(_numbers(one)), set(_numbers(other))), key=len)
        if key.lane != m.NORMAL or not few < many:
            raise self._world.fail(f"{gateway}: {key} has two contents")

    def receipt_reached(self, gateway: str, receipt: m.Receipt) -> None:
        """The agent hears a receipt."""
        for claim in receipt.lanes:
            book = self._lanes.get((gateway, claim.e, claim.l))
            if book is not None and claim.upto < FORGED and not (claim.ranges and claim.ranges[-1][1] >= FORGED):
                book.held = {seq for seq in book.held if not _covers(claim, seq)}

    # --- the collector's side ---

    def restored(self, log: SimLog, backup: SimLog) -> None:
        """What the log had and the backup lacks is gone, unless its agent still holds it."""
        for key, record in log.records.items():
            if key in backup.records:
                continue
            if record.kind == "birth":
                self._lost_births_ms[key.gateway, _hash(record)] = self._world.now_ms
            else:
                self._excused.update(number for number, *_ in contents(record))
                self._lost_gaps += [(key.gateway, gap) for gap in _data(record).d.gaps]

    def receipted(self, log: SimLog, gateway: str, receipt: m.Receipt) -> None:
        """The collector says what is durable."""
        if gateway not in self._open:
            return  # a stranger: he may have told any `low`
        for claim in receipt.lanes:
            book = self._lanes[gateway, claim.e, claim.l]
            begin = max(book.checked.get(log.log_id, 0) + 1, book.top_low)
            for first, last in ((begin, claim.upto), *claim.ranges):
                for seq in range(max(first, book.top_low), last + 1):
                    if BatchKey("sim", gateway, claim.e, claim.l, seq) not in log.records:
                        where = f"{gateway} {claim.e} {claim.l} {seq}"
                        raise self._world.fail(f"collector: receipt for {where}, which is not in the log")
            book.checked[log.log_id] = max(begin - 1, claim.upto)

    # --- at rest ---

    def at_rest(self, log: SimLog) -> None:
        """Everything is in the log that belongs there. Raises SimFailure."""
        seen, gaps = self._read(log)
        for gateway, gap in gaps:
            self._lanes[gateway, gap.e, gap.l].passed.difference_update(range(gap.a, gap.z + 1))
        self._explain([t for n, t in self._readings.items() if n not in seen and n not in self._excused], gaps)
        for (gateway, epoch, lane), book in self._lanes.items():
            lost = {seq for seq in book.passed if BatchKey("sim", gateway, epoch, lane, seq) not in log.records}
            if {n for seq in lost for n in _numbers(book.contents[seq][1])} - self._excused:
                raise self._world.fail(f"{gateway}: low rose over {epoch} {lane} {sorted(lost)[:5]}, held and never receipted")

    def _read(self, log: SimLog) -> tuple[set[int], list[tuple[str, m.Gap]]]:
        seen: set[int] = set()
        gaps = list(self._lost_gaps)
        births = {(r.key.gateway, _hash(r)) for r in log.records.values() if r.kind == "birth"}
        for record in log.records.values():
            if record.kind == "birth" or record.key.gateway not in self._open:
                continue
            head = _data(record)
            gaps += [(record.key.gateway, gap) for gap in head.d.gaps]
            if (record.key.gateway, head.b) not in births and not self.is_orphan(record):
                raise self._world.fail(f"{record.key}: its birth {head.b} is not in the log")
            for number, at_ms, bound_ms, _ in contents(record):
                self._check(record.key, number, at_ms, bound_ms)
                if number in seen:
                    raise self._world.fail(f"{record.key}: reading {number} is in the log twice")
                seen.add(number)
        return seen, gaps

    def is_orphan(self, record: Record) -> bool:
        """True for a batch without a birth that nobody owes: a restore took the birth, and the agent holds neither any more.

        What went out from the card after the restore is none: as long as an agent holds a batch, it holds its birth.
        """
        head, key = _data(record), record.key
        lost_ms = self._lost_births_ms.get((key.gateway, head.b))
        if lost_ms is None:
            return False
        sent_ms = self._lanes[key.gateway, key.epoch, key.lane].vouched_ms.get(key.seq, -1)
        return sent_ms <= lost_ms or self._excused.issuperset(number for number, *_ in contents(record))

    def _check(self, key: BatchKey, number: int, at_ms: int, bound_ms: int) -> None:
        taken = self._readings.get(number)
        if taken is None or (taken.gateway, taken.epoch) != (key.gateway, key.epoch):
            raise self._world.fail(f"{key}: reading {number} was never taken there")
        if abs(at_ms - taken.true_ms) > bound_ms:
            raise self._world.fail(f"{key}: reading {number} is {at_ms - taken.true_ms:+d} ms from the truth, bound {bound_ms} ms")

    def _explain(self, missing: list[Taken], gaps: list[tuple[str, m.Gap]]) -> None:
        """Each missing reading is in a batch that a gap record names, or such a batch was dropped before anybody saw it.

        Of a batch of which a draft alone was seen, the gap record counts what came after it too. It counts readings alone, so
        of unseen urgent batches any event may have been a part.
        """
        told: set[int] = set()
        unseen: defaultdict[tuple[str, str], int] = defaultdict(int)
        events: set[tuple[str, str]] = set()
        for gateway, gap in set(gaps):  # one that was dropped with its batch is told again
            contents = self._lanes[gateway, gap.e, gap.l].contents
            known = [seq for seq in range(gap.a, gap.z + 1) if seq in contents]
            numbers = [n for seq in known for n in _numbers(contents[seq][1])]
            told.update(numbers)
            unseen[gateway, gap.e] += max(0, gap.readings - sum(not self._readings[n].is_event for n in numbers))
            if len(known) <= gap.z - gap.a and gap.l == m.URGENT:
                events.add((gateway, gap.e))
        for taken in missing:
            where = (taken.gateway, taken.epoch)
            if taken.number in told or (taken.is_event and where in events):
                continue
            if taken.is_event or unseen[where] <= 0:
                what = "event" if taken.is_event else "reading"
                age_s = (self._world.now_ms - taken.known_ms) / 1000
                raise self._world.fail(f"{taken.gateway}: {what} {taken.number} of epoch {taken.epoch} is lost, {age_s:.0f} s old")
            unseen[where] -= 1


def _covers(claim: m.LaneReceipt, seq: int) -> bool:
    return seq <= claim.upto or any(first <= seq <= last for first, last in claim.ranges)


def _data(record: Record) -> m.Data:
    head = encoding.decode_sequenced(record.payload)
    assert isinstance(head, m.Data)
    return head


def _hash(record: Record) -> str:
    head = encoding.decode_sequenced(record.payload)
    assert isinstance(head, m.Birth)
    return head.h


def _numbers(body: bytes) -> list[int]:
    """The numbers in a body; a birth has none."""
    return [] if body.startswith(b'{"software"') else [number for number, *_ in _numbers_at(encoding.decode_body(body), 0)]


def _numbers_at(body: m.Body, t0: int) -> list[tuple[int, int, bool]]:
    """Number, stamp, and whether it is an event's."""
    found: list[tuple[int, int, bool]] = []
    for block in body.blocks:
        times = encoding.times_ms(t0, block)
        for column in block.c:
            found += [(number_of(value), at, False) for value, at in zip(column.v, times, strict=True)]
    for event in body.events:
        number = event.about.get("n")
        if event.kind == "sim.event" and isinstance(number, int):
            found.append((number, t0 + event.t, True))
    return found


def number_of(value: m.Value) -> int:
    """The number of the reading with this value: a count, or the fraction of a level."""
    if isinstance(value, float):
        return round(value % 1 * FRACTION)
    return int(value or 0)


def contents(record: Record) -> list[tuple[int, int, int, bool]]:
    """Number, stamp and bound of every reading and event of a data record, and whether it is an event."""
    head = _data(record)
    bound_ms = head.c.bound_ms if head.c is not None else 1000
    return [(number, at, bound_ms, is_event) for number, at, is_event in _numbers_at(head.d, head.t0)]
