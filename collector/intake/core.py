"""Pure. The intake machine: from MQTT messages to durable records and receipts, `step(now_ms, event) -> actions`.

machine.py holds the words, accounting.py the account of a lane, gateway.py what is known of a gateway. now_ms is the collector's
clock, ms UTC; it may step. Messages are gathered while a commit is under way (group commit). A receipt speaks only of what a
finished commit made durable; what a failed commit held is forgotten, and the agents send it again.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from dataclasses import dataclass, field, replace

from collector.domain.identity import GatewayId
from collector.domain.pulse import GatewayPulse
from collector.intake import accounting
from collector.intake.foreign import SENDER, ForeignSenders
from collector.intake.gateway import MAX_HOLD_MS, Gateway
from collector.intake.machine import (
    Action,
    Append,
    Arrived,
    CommitFailed,
    Committed,
    Connected,
    Disconnected,
    Event,
    Foreign,
    Publish,
    Start,
    Tick,
    WakeAt,
)
from collector.intake.records import BatchKey, LaneState, Poison, Record, Refusals
from collector.intake.stand_in import stand_in
from edge_agent.contract import encoding
from edge_agent.contract import message as m
from edge_agent.contract.topics import RETAINED, Kind

MAX_PENDING = 10_000
MAX_PENDING_BYTES = 64 << 20
"""Messages that wait for a slow disk; beyond it they are let go without receipt and come again."""
MAX_POISON = 200
"""Quarantined messages of one commit; more are counted and let go."""
POISON_BYTES = 64 << 10
MAX_SPOILED = 1000
"""Quarantined messages that are known when they come again."""
SHOWN_TOPIC = 100
MAX_ASKED = 10_000
ASK_AGAIN_MS = 60_000
HEARD_LATELY_MS = 3_600_000
IDLE_LANE_MS = 90 * 86_400_000
"""Lanes not heard of for so long stay on disk only: no agent holds anything of theirs any more."""
FAILED_PAUSE_MS = 1000
CLOCK_STEP_MS = 1000

LaneKey = tuple[GatewayId, str, m.Lane]


@dataclass(slots=True)
class _Gathered:
    """What the next commit will hold, or the one under way holds."""

    token: int = 0
    records: list[Record] = field(default_factory=list)
    poison: list[Poison] = field(default_factory=list)
    states: dict[LaneKey, LaneState] = field(default_factory=dict)
    births: set[tuple[GatewayId, str]] = field(default_factory=set)
    due_ms: dict[GatewayId, int] = field(default_factory=dict)
    """When a gateway's receipt is due."""
    normal: Counter[GatewayId] = field(default_factory=Counter)
    """Batches of lane `n`."""
    bytes: int = 0

    @property
    def is_full(self) -> bool:
        """True when no more may wait."""
        return len(self.records) >= MAX_PENDING or self.bytes > MAX_PENDING_BYTES


class Intake:
    """The whole intake of a collector."""

    def __init__(self) -> None:
        self._log_id = ""
        self._gateways: dict[GatewayId, Gateway] = {}
        self._births: set[tuple[GatewayId, str]] = set()
        self._asked: dict[tuple[GatewayId, str], int] = {}
        self._next = _Gathered()
        self._commit: _Gathered | None = None
        self._due: list[tuple[int, GatewayId]] = []
        """Heap of receipts that may go out at a time; entries that a later one replaced are passed over."""
        self._token = 0
        self._pause_until_ms = 0
        self._now_ms = 0
        self._connected = False
        self._refused: Counter[str] = Counter()
        self._last_refused = ("", "")
        self._foreign = ForeignSenders()
        self._spoiled: dict[bytes, None] = {}
        """Digests of what the quarantine got lately, oldest first."""
        self.let_go = 0
        """Messages not taken because the disk was slow, or a bound of the contract was reached; they come again."""
        self.failed = ""
        """Why the last commit failed; empty when it did not."""

    def step(self, now_ms: int, event: Event) -> list[Action]:
        """What to do now that `event` has happened."""
        if now_ms < self._now_ms - CLOCK_STEP_MS:
            self._clock_went_back(now_ms)
        self._now_ms = now_ms
        actions = self._handle(now_ms, event)
        actions += self._append(now_ms)
        actions += self._receipts(now_ms)
        wake_ms = self._wake_ms()
        return actions if wake_ms is None else [*actions, WakeAt(max(now_ms + 1, wake_ms))]

    def pulses(self) -> list[GatewayPulse]:
        """Every known gateway as seen now."""
        return [gateway.pulse() for _, gateway in sorted(self._gateways.items()) if gateway.known]

    def refusals(self) -> Refusals:
        """What was refused so far."""
        return Refusals(dict(self._refused), *self._last_refused)

    def lanes(self) -> list[LaneState]:
        """The accounting as committed."""
        return [state for gateway in self._gateways.values() for state in gateway.lanes.values()]

    def _handle(self, now_ms: int, event: Event) -> list[Action]:
        match event:
            case Start():
                self._start(now_ms, event)
            case Arrived():
                return self._arrived(now_ms, event)
            case Foreign():
                self._keep_foreign(now_ms, event)
            case Connected():
                self._connected = True
                for gateway in self._gateways.values():
                    if gateway.heard_ms is not None and now_ms - gateway.heard_ms < HEARD_LATELY_MS:
                        self._owe_newest(now_ms, gateway)
            case Disconnected():
                self._connected = False
            case Committed():
                self._durable(event.token)
            case CommitFailed():
                self._lost(now_ms, event)
            case Tick():
                pass
        return []

    def _start(self, now_ms: int, event: Start) -> None:
        self._log_id, self._births = event.log_id, set(event.births)
        for state in sorted(event.lanes, key=lambda state: state.heard_ms):
            if now_ms - state.heard_ms >= IDLE_LANE_MS:
                continue
            gateway = self._gateway(GatewayId(state.site, state.gateway))
            gateway.known = True
            gateway.lanes[state.epoch, state.lane] = state
            gateway.begins(state.epoch)
            gateway.hear(state.heard_ms)

    # --- messages --------------------------------------------------------------------------------------------------

    def _arrived(self, now_ms: int, event: Arrived) -> list[Action]:
        if event.gateway is None or event.kind is None:
            return self._quarantine(now_ms, event, "topic", "no topic of the contract")
        if event.retained and event.kind not in RETAINED:
            return self._quarantine(now_ms, event, "retained", f"{event.kind} must not be retained")
        try:
            match event.kind:
                case Kind.DATA | Kind.BIRTH:
                    return self._sequenced(now_ms, event, event.gateway)
                case Kind.STATUS:
                    self._status(now_ms, event, event.gateway)
                case Kind.TIME:
                    return self._time(now_ms, event, event.gateway)
                case Kind.REPLY:
                    encoding.decode_reply(event.payload)
                    self._hear_known(now_ms, event.gateway)
                case _:
                    return self._quarantine(now_ms, event, "topic", f"{event.kind} does not come from a gateway")
        except encoding.Malformed as malformed:
            return self._quarantine(now_ms, event, malformed.reason, malformed.detail)
        return []

    def _sequenced(self, now_ms: int, event: Arrived, name: GatewayId) -> list[Action]:
        if now_ms < self._pause_until_ms or self._next.is_full:
            self.let_go += 1
            return []
        head, malformed = self._decoded(event, name)
        if event.kind is Kind.BIRTH and not isinstance(head, m.Birth):
            return self._quarantine(now_ms, event, "topic", "data on the topic of births")
        gateway = self._gateway(name)
        gateway.known = gateway.known or isinstance(head, m.Birth) or head.d != m.Body()
        if not event.retained:
            gateway.hear(now_ms)
        if isinstance(head, m.Birth):
            body = encoding.decode_birth_body(bytes(head.body))
            gateway.hold_ms = min(max(0, body.receipt_hold_ms), MAX_HOLD_MS)
            gateway.every = max(0, body.receipt_every)
        key: LaneKey = (name, head.e, head.l)
        state = self._account(gateway, key)
        if state is None:
            if not gateway.may_begin_lane(now_ms):
                self.let_go += 1
                return []
            state = accounting.first_contact(name.site, name.gateway, head.e, head.l, head.low, now_ms)
        state, verdict = accounting.account(state, head.s, head.low, now_ms)
        if verdict == "refused":
            self.let_go += 1
            return []
        self._next.states[key] = state
        if verdict == "duplicate" and (head.e, head.l) in gateway.lanes:
            gateway.owed.add((head.e, head.l))
            self._schedule(gateway, now_ms + gateway.hold_of(m.URGENT))  # it missed the receipt, and asks by sending again
        if verdict == "new" and malformed is not None:
            self._quarantine(now_ms, event, malformed.reason, malformed.detail)
            event = replace(event, payload=encoding.encode(head))
        if verdict == "new" or self._is_new_birth(name, head):
            self._take(now_ms, event, name, head)
        return self._ask_birth(now_ms, name, head)

    def _decoded(self, event: Arrived, name: GatewayId) -> tuple[m.Sequenced, encoding.Malformed | None]:
        """The message; or what stands in for one that cannot be read, and why not. Raises Malformed where nothing can."""
        try:
            return encoding.decode_sequenced(event.payload), None
        except encoding.Malformed as malformed:
            gateway = self._gateways.get(name)
            is_known = gateway is not None and gateway.known and len(self._next.poison) < MAX_POISON
            replaced = stand_in(event.payload, malformed) if is_known else None
            if replaced is None:
                raise
            return replaced, malformed

    def _account(self, gateway: Gateway, key: LaneKey) -> LaneState | None:
        """The account of a lane with everything taken so far, committed or not."""
        state = self._next.states.get(key)
        if state is None and self._commit is not None:
            state = self._commit.states.get(key)
        return state or gateway.lanes.get(key[1:])

    def _is_new_birth(self, name: GatewayId, head: m.Sequenced) -> bool:
        """A birth that the log lacks is taken even when its sequence is accounted for: without it data is not understood.

        So it is when another log gave the receipt for it. Should the log have it all the same, its key keeps it single.
        """
        return isinstance(head, m.Birth) and (name, head.h) not in self._births

    def _take(self, now_ms: int, event: Arrived, name: GatewayId, head: m.Sequenced) -> None:
        key = BatchKey(name.site, name.gateway, head.e, head.l, head.s)
        gathered = self._next
        gathered.records.append(Record(0, key, now_ms, event.payload, "birth" if isinstance(head, m.Birth) else "data", head))
        gathered.bytes += len(event.payload)
        gateway = self._gateway(name)
        due_ms = now_ms + gateway.hold_of(head.l)
        gathered.due_ms[name] = min(gathered.due_ms.get(name, due_ms), due_ms)
        gathered.normal[name] += head.l == m.NORMAL
        gateway.begins(head.e)
        if isinstance(head, m.Birth):
            gathered.births.add((name, head.h))
            self._births.add((name, head.h))

    def _ask_birth(self, now_ms: int, name: GatewayId, head: m.Sequenced) -> list[Action]:
        """Asks for a birth that has not come, at most once a minute."""
        if isinstance(head, m.Birth) or (name, head.b) in self._births:
            return []
        if now_ms - self._asked.get((name, head.b), 0) < ASK_AGAIN_MS:
            return []
        if len(self._asked) >= MAX_ASKED:
            self._asked.clear()
        self._asked[name, head.b] = now_ms
        command = m.Command(m.VERSION, f"birth-{head.b[:16]}", "birth", until=now_ms + ASK_AGAIN_MS)
        return [Publish(name, Kind.CMD, encoding.encode(command))]

    def _status(self, now_ms: int, event: Arrived, name: GatewayId) -> None:
        status = encoding.decode_status(event.payload)
        encoding.parse_epoch(status.epoch)
        gateway = self._gateway(name)
        gateway.known = True
        gateway.say_status(status)
        if gateway.online and not event.retained:
            gateway.hear(now_ms)
            if gateway.lanes:  # it has just connected, and the broker may have lost the receipt it kept
                self._owe_newest(now_ms, gateway)

    def _time(self, now_ms: int, event: Arrived, name: GatewayId) -> list[Action]:
        question = encoding.decode_time(event.payload)
        if not isinstance(question, m.TimeAsk):
            return []  # our own answer: question and answer share a topic
        self._hear_known(now_ms, name)
        return [Publish(name, Kind.TIME, encoding.encode(m.TimeTell(m.VERSION, question.id[:64], now_ms)))]

    def _quarantine(self, now_ms: int, event: Arrived, reason: str, detail: str) -> list[Action]:
        self._count_refused(event.topic, reason, 1)
        digest = hashlib.blake2b(event.topic.encode() + b"\0" + event.payload, digest_size=16).digest()
        if digest in self._spoiled:  # it came again: one copy tells all, and many would push the others out
            return []
        if len(self._next.poison) < MAX_POISON:
            self._spoiled[digest] = None
            if len(self._spoiled) > MAX_SPOILED:
                del self._spoiled[next(iter(self._spoiled))]
            self._next.poison.append(Poison(event.topic[:256], event.payload[:POISON_BYTES], reason, detail[:500], now_ms))
        else:
            self.let_go += 1
        return []

    def _keep_foreign(self, now_ms: int, event: Foreign) -> None:
        self._count_refused(event.topic, SENDER, event.count)
        poison = self._foreign.take(now_ms, event) if len(self._next.poison) < MAX_POISON else None
        if poison is not None:
            self._next.poison.append(poison)

    def _count_refused(self, topic: str, reason: str, count: int) -> None:
        self._refused[reason] += count
        self._last_refused = ("".join(c if c.isprintable() else "?" for c in topic[:SHOWN_TOPIC]), reason)

    def _gateway(self, name: GatewayId) -> Gateway:
        found = self._gateways.get(name)
        if found is None:
            found = self._gateways[name] = Gateway(name)
        return found

    def _hear_known(self, now_ms: int, name: GatewayId) -> None:
        """A word that alone makes no gateway."""
        gateway = self._gateways.get(name)
        if gateway is not None:
            gateway.hear(now_ms)

    # --- commits and receipts --------------------------------------------------------------------------------------

    def _append(self, now_ms: int) -> list[Action]:
        """The next commit. Counts of duplicates alone wait for one that has something to keep."""
        gathered = self._next
        if self._commit is not None or now_ms < self._pause_until_ms or not (gathered.records or gathered.poison):
            return []
        self._token += 1
        gathered.token = self._token
        self._commit, self._next = gathered, _Gathered()
        return [Append(self._token, gathered.records, list(gathered.states.values()), gathered.poison)]

    def _durable(self, token: int) -> None:
        done = self._commit
        if done is None or done.token != token:
            return
        self._commit, self.failed = None, ""
        for key, state in done.states.items():
            self._gateway(key[0]).settle(state)
        for name, due_ms in done.due_ms.items():
            gateway = self._gateway(name)
            gateway.unreceipted += done.normal[name]
            is_full = 0 < gateway.every <= gateway.unreceipted
            self._schedule(gateway, self._now_ms if is_full else due_ms)

    def _lost(self, now_ms: int, event: CommitFailed) -> None:
        failed = self._commit
        if failed is None or failed.token != event.token:
            return
        self.let_go += len(failed.records) + len(self._next.records)
        self._births -= failed.births | self._next.births
        poison = (failed.poison + self._next.poison)[:MAX_POISON]
        self._commit, self._next, self.failed = None, _Gathered(poison=poison), event.reason
        self._pause_until_ms = now_ms + FAILED_PAUSE_MS
        self._spoiled.clear()

    def _owe_newest(self, now_ms: int, gateway: Gateway) -> None:
        gateway.owe_newest()
        self._schedule(gateway, now_ms)

    def _schedule(self, gateway: Gateway, at_ms: int) -> None:
        """A receipt goes out at this time at the latest; an earlier appointment stands."""
        if gateway.owed and (gateway.owed_at_ms is None or at_ms < gateway.owed_at_ms):
            gateway.owed_at_ms = at_ms
            heapq.heappush(self._due, (at_ms, gateway.name))

    def _receipts(self, now_ms: int) -> list[Action]:
        actions: list[Action] = []
        while self._connected and self._due and self._due[0][0] <= now_ms:
            at_ms, name = heapq.heappop(self._due)
            gateway = self._gateways[name]
            if gateway.owed_at_ms == at_ms:
                gateway.owed_at_ms = None
                actions += [Publish(name, Kind.RECEIPT, encoding.encode(receipt)) for receipt in gateway.receipts(self._log_id)]
        return actions

    def _wake_ms(self) -> int | None:
        """When there is something to do without a message: a receipt, or what a failed commit left."""
        times = [self._due[0][0]] if self._due and self._connected else []
        if self._commit is None and self._next.poison:
            times.append(self._pause_until_ms)
        return min(times, default=None)

    def _clock_went_back(self, now_ms: int) -> None:
        """Nothing may wait for a time that the clock, set back, reaches only much later."""
        self._pause_until_ms = min(self._pause_until_ms, now_ms + FAILED_PAUSE_MS)
        self._asked.clear()
        self._due = []
        for gateway in self._gateways.values():
            if gateway.owed_at_ms is not None:
                gateway.owed_at_ms = None
                self._schedule(gateway, now_ms)
