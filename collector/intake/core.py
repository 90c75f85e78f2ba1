"""Pure. The intake machine: from MQTT messages to durable records and receipts, `step(now_ms, event) -> actions`.

now_ms is the collector's clock, ms UTC. Messages are gathered while a commit is under way (group commit). A receipt speaks only of
what a finished commit made durable; what a failed commit held is forgotten, and the agents send it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from collector.domain.identity import GatewayId
from collector.domain.pulse import GatewayPulse
from collector.intake import accounting
from collector.intake.records import BatchKey, LaneState, Poison, Record
from edge_agent.contract import encoding
from edge_agent.contract import message as m
from edge_agent.contract.topics import RETAINED, Kind

MAX_PENDING = 10_000
MAX_PENDING_BYTES = 64 << 20
"""Messages that wait for a slow disk; beyond it they are let go without receipt and come again."""
HOLD_MS = 1000
MAX_HOLD_MS = 3_600_000
LANES_IN_RECEIPT = 8
NEW_LANES_PER_HOUR = 200
"""New epochs a gateway may begin before it counts as a flood (a crash loop with the units' 5 s restarts stays below)."""
ASK_AGAIN_MS = 60_000
HEARD_LATELY_MS = 3_600_000
FAILED_PAUSE_MS = 1000
POISON_BYTES = 64 << 10

LaneKey = tuple[str, str, str, m.Lane]


@dataclass(frozen=True, slots=True)
class Start:
    """First event: what the log knows. births: hashes of the births it holds."""

    log_id: str
    lanes: Sequence[LaneState] = ()
    births: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message came. gateway and kind are None for a topic that is none of the contract."""

    topic: str
    gateway: GatewayId | None
    kind: Kind | None
    payload: bytes
    retained: bool = False


@dataclass(frozen=True, slots=True)
class Connected:
    """The broker link is up and subscribed."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The broker link is gone."""


@dataclass(frozen=True, slots=True)
class Committed:
    """The append with this token is durable."""

    token: int


@dataclass(frozen=True, slots=True)
class CommitFailed:
    """The append with this token failed."""

    token: int
    reason: str


@dataclass(frozen=True, slots=True)
class Tick:
    """The time asked for by WakeAt."""


Event = Start | Arrived | Connected | Disconnected | Committed | CommitFailed | Tick


@dataclass(frozen=True, slots=True)
class Append:
    """Make these durable in one commit. At most one is under way at a time."""

    token: int
    records: Sequence[Record]
    lanes: Sequence[LaneState]
    poison: Sequence[Poison]


@dataclass(frozen=True, slots=True)
class Publish:
    """Send this to a gateway."""

    gateway: GatewayId
    kind: Kind
    payload: bytes


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Send Tick at this time; a later one replaces an earlier one."""

    ms: int


Action = Append | Publish | WakeAt


@dataclass(slots=True)
class _Gateway:
    """What is known of one gateway."""

    hold_ms: int = HOLD_MS
    heard_ms: int | None = None
    online: bool | None = None
    software: str = ""
    epoch: str = ""
    owed_at_ms: int | None = None
    """When a receipt must go out at the latest."""
    settled: bool = False
    """Something became durable, or came twice, since the last receipt."""
    begun_ms: list[int] = field(default_factory=list)
    """When it began its newest lanes."""


class Intake:
    """The whole intake of a collector."""

    def __init__(self) -> None:
        self._log_id = ""
        self._committed: dict[LaneKey, LaneState] = {}
        self._tentative: dict[LaneKey, LaneState] = {}
        self._gateways: dict[GatewayId, _Gateway] = {}
        self._births: set[str] = set()
        self._asked: dict[tuple[GatewayId, str], int] = {}
        self._records: list[Record] = []
        self._poison: list[Poison] = []
        self._dirty: set[LaneKey] = set()
        self._pending_bytes = 0
        self._commit: tuple[int, set[LaneKey]] | None = None
        self._committing: dict[LaneKey, LaneState] = {}
        self._token = 0
        self._pause_until_ms = 0
        self._connected = False
        self.let_go = 0
        """Messages not taken because the disk was slow, or a bound of the contract was reached; they come again."""
        self.failed = ""
        """Why the last commit failed; empty when it did not."""

    def step(self, now_ms: int, event: Event) -> list[Action]:
        """What to do now that `event` has happened."""
        actions = self._handle(now_ms, event)
        actions += self._append(now_ms)
        actions += self._receipts(now_ms)
        owed = [g.owed_at_ms for g in self._gateways.values() if g.owed_at_ms is not None and g.settled]
        if self._records and self._commit is None:
            owed.append(self._pause_until_ms)
        return [*actions, WakeAt(max(now_ms + 1, min(owed)))] if owed else actions

    def pulses(self) -> list[GatewayPulse]:
        """Every gateway as seen now."""
        return [self._pulse(name, gateway) for name, gateway in sorted(self._gateways.items())]

    def lanes(self) -> list[LaneState]:
        """The accounting as committed."""
        return list(self._committed.values())

    def _handle(self, now_ms: int, event: Event) -> list[Action]:
        match event:
            case Start():
                self._log_id = event.log_id
                self._committed = {_lane_key(lane): lane for lane in event.lanes}
                self._tentative = dict(self._committed)
                self._births = set(event.births)
                for lane in event.lanes:
                    gateway = self._gateway(GatewayId(lane.site, lane.gateway))
                    gateway.heard_ms = max(gateway.heard_ms or 0, lane.heard_ms)
            case Arrived():
                return self._arrived(now_ms, event)
            case Connected():
                self._connected = True
                for gateway in self._gateways.values():
                    if gateway.heard_ms is not None and now_ms - gateway.heard_ms < HEARD_LATELY_MS:
                        gateway.owed_at_ms, gateway.settled = now_ms, True
            case Disconnected():
                self._connected = False
            case Committed():
                self._durable(event.token)
            case CommitFailed():
                self._lost(now_ms, event)
            case Tick():
                pass
        return []

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
                    self._gateway(event.gateway).heard_ms = now_ms
                case _:
                    return self._quarantine(now_ms, event, "topic", f"{event.kind} does not come from a gateway")
        except encoding.Malformed as malformed:
            return self._quarantine(now_ms, event, malformed.reason, malformed.detail)
        return []

    def _sequenced(self, now_ms: int, event: Arrived, name: GatewayId) -> list[Action]:
        head = encoding.decode_sequenced(event.payload)
        gateway = self._gateway(name)
        if not event.retained:
            gateway.heard_ms = now_ms
        if isinstance(head, m.Birth):
            hold_ms = encoding.decode_birth_body(bytes(head.body)).receipt_hold_ms
            gateway.hold_ms = min(max(0, hold_ms), MAX_HOLD_MS)
        key: LaneKey = (name.site, name.gateway, head.e, head.l)
        state = self._tentative.get(key)
        if state is None:
            gateway.begun_ms = [ms for ms in gateway.begun_ms if now_ms - ms < 3_600_000]
            if len(gateway.begun_ms) >= NEW_LANES_PER_HOUR:
                self.let_go += 1
                return []
            gateway.begun_ms.append(now_ms)
            state = accounting.first_contact(*key, head.low, now_ms)
        if now_ms < self._pause_until_ms or len(self._records) >= MAX_PENDING or self._pending_bytes > MAX_PENDING_BYTES:
            self.let_go += 1
            return []
        state, verdict = accounting.account(state, head.s, head.low, now_ms)
        if verdict == "refused":
            self.let_go += 1
            return []
        self._tentative[key] = state
        self._dirty.add(key)
        if gateway.owed_at_ms is None:
            gateway.owed_at_ms = now_ms + gateway.hold_ms
        if verdict == "duplicate":
            gateway.settled = gateway.settled or key in self._committed
            return []
        self._take(now_ms, event, name, head)
        return self._ask_birth(now_ms, name, head)

    def _take(self, now_ms: int, event: Arrived, name: GatewayId, head: m.Sequenced) -> None:
        key = BatchKey(name.site, name.gateway, head.e, head.l, head.s)
        birth = isinstance(head, m.Birth)
        self._records.append(Record(0, key, now_ms, event.payload, "birth" if birth else "data"))
        self._pending_bytes += len(event.payload)
        gateway = self._gateway(name)
        if not gateway.epoch or encoding.parse_epoch(head.e)[0] >= encoding.parse_epoch(gateway.epoch)[0]:
            gateway.epoch = head.e
        if isinstance(head, m.Birth):
            self._births.add(head.h)

    def _ask_birth(self, now_ms: int, name: GatewayId, head: m.Sequenced) -> list[Action]:
        """Asks for a birth that has not come, at most once a minute."""
        if isinstance(head, m.Birth) or head.b in self._births:
            return []
        if now_ms - self._asked.get((name, head.b), 0) < ASK_AGAIN_MS:
            return []
        if len(self._asked) > MAX_PENDING:
            self._asked.clear()
        self._asked[(name, head.b)] = now_ms
        command = m.Command(m.VERSION, f"birth-{head.b[:16]}", "birth", until=now_ms + ASK_AGAIN_MS)
        return [Publish(name, Kind.CMD, encoding.encode(command))]

    def _status(self, now_ms: int, event: Arrived, name: GatewayId) -> None:
        status = encoding.decode_status(event.payload)
        gateway = self._gateway(name)
        gateway.online = status.state == "online"
        gateway.software = status.software or gateway.software
        if gateway.online and not event.retained:
            gateway.heard_ms = now_ms

    def _time(self, now_ms: int, event: Arrived, name: GatewayId) -> list[Action]:
        question = encoding.decode_time(event.payload)
        if not isinstance(question, m.TimeAsk):
            return []  # our own answer: question and answer share a topic
        self._gateway(name).heard_ms = now_ms
        return [Publish(name, Kind.TIME, encoding.encode(m.TimeTell(m.VERSION, question.id[:64], now_ms)))]

    def _quarantine(self, now_ms: int, event: Arrived, reason: str, detail: str) -> list[Action]:
        if len(self._poison) < MAX_PENDING:
            self._poison.append(Poison(event.topic[:256], event.payload[:POISON_BYTES], reason, detail[:500], now_ms))
        return []

    def _gateway(self, name: GatewayId) -> _Gateway:
        return self._gateways.setdefault(name, _Gateway())

    # --- commits and receipts ----------------------------------------------------------------------------------------

    def _append(self, now_ms: int) -> list[Action]:
        if self._commit is not None or now_ms < self._pause_until_ms or not (self._records or self._poison or self._dirty):
            return []
        if not self._records and not self._poison:
            return []  # counts of duplicates alone ride with the next commit
        self._token += 1
        lanes = [self._tentative[key] for key in sorted(self._dirty)]
        action = Append(self._token, self._records, lanes, self._poison)
        self._commit = (self._token, self._dirty)
        self._committing = {key: self._tentative[key] for key in self._dirty}
        self._records, self._poison, self._dirty, self._pending_bytes = [], [], set(), 0
        return [action]

    def _durable(self, token: int) -> None:
        if self._commit is None or self._commit[0] != token:
            return
        self._committed |= self._committing
        for site, gateway, _, _ in self._committing:
            self._gateway(GatewayId(site, gateway)).settled = True
        self._commit, self.failed = None, ""

    def _lost(self, now_ms: int, event: CommitFailed) -> None:
        if self._commit is None or self._commit[0] != event.token:
            return
        self.let_go += len(self._records)
        self._tentative = dict(self._committed)
        self._records, self._dirty, self._pending_bytes = [], set(), 0
        self._commit, self.failed = None, event.reason
        self._pause_until_ms = now_ms + FAILED_PAUSE_MS

    def _receipts(self, now_ms: int) -> list[Action]:
        if not self._connected:
            return []
        due = [n for n, g in self._gateways.items() if g.settled and g.owed_at_ms is not None and g.owed_at_ms <= now_ms]
        actions: list[Action] = []
        for name in due:
            gateway = self._gateways[name]
            lanes = [state for key, state in self._committed.items() if key[:2] == name]
            newest = sorted(lanes, key=lambda state: (state.heard_ms, state.epoch), reverse=True)[:LANES_IN_RECEIPT]
            receipt = m.Receipt(m.VERSION, self._log_id, [accounting.receipt_of(state) for state in newest])
            actions.append(Publish(name, Kind.RECEIPT, encoding.encode(receipt)))
            gateway.settled = False
            waits = any(key[:2] == name for key in self._dirty) or (
                self._commit is not None and any(k[:2] == name for k in self._commit[1])
            )
            gateway.owed_at_ms = now_ms + gateway.hold_ms if waits else None
        return actions

    def _pulse(self, name: GatewayId, gateway: _Gateway) -> GatewayPulse:
        lanes = [state for key, state in self._committed.items() if key[:2] == name]
        return GatewayPulse(
            name, gateway.heard_ms, gateway.online, gateway.software, gateway.epoch,
            sum(s.received for s in lanes), sum(s.duplicate for s in lanes), sum(s.lost for s in lanes),
            sum(accounting.behind(s) for s in lanes),
        )  # fmt: skip


def _lane_key(state: LaneState) -> LaneKey:
    return (state.site, state.gateway, state.epoch, state.lane)


__all__ = [
    "Action", "Append", "Arrived", "CommitFailed", "Committed", "Connected", "Disconnected", "Event", "Intake", "Publish", "Start",
    "Tick", "WakeAt",
]  # fmt: skip
