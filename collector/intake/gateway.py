"""Pure. What the intake knows of one gateway: its lanes as committed, the receipt it is owed, how it looks from outside."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from collector.domain.identity import GatewayId
from collector.domain.pulse import GatewayPulse, LaneCounts
from collector.intake import accounting
from collector.intake.records import LaneState
from edge_agent.contract import encoding
from edge_agent.contract import message as m

HOLD_MS = 1000
MAX_HOLD_MS = 21_600_000
LANES_IN_RECEIPT = 8
NEW_LANES_PER_HOUR = 200
"""New lanes a gateway may begin before it counts as a flood (a crash loop with the units' 5 s restarts is let in over hours)."""
MAX_LANES = 2000
"""Lanes of a gateway in memory. One that was not heard of while so many others were is on disk only; should something of it come,
it begins where its sender's lowest sequence is, and the log's keys keep single what it has."""
_HOUR_MS = 3_600_000

LaneKey = tuple[str, m.Lane]
"""Epoch and lane."""


@dataclass(slots=True)
class Gateway:
    """One gateway. Times are the collector's, ms UTC."""

    name: GatewayId
    lanes: dict[LaneKey, LaneState] = field(default_factory=dict)
    """The accounting as committed: all that a receipt may speak of."""
    hold_ms: int = HOLD_MS
    """Of lane `n`; see `hold_of`."""
    every: int = 0
    """So many batches of lane `n` make a receipt due at once; 0: only the time does."""
    unreceipted: int = 0
    """Batches of lane `n` that became durable since the last receipt."""
    heard_ms: int | None = None
    online: bool | None = None
    software: str = ""
    epoch: str = ""
    owed_at_ms: int | None = None
    """When the next receipt goes out; None: none is owed."""
    owed: set[LaneKey] = field(default_factory=set)
    """Lanes of which something became durable, or came again, since the last receipt."""
    known: bool = False
    """It has said something: a birth, readings, events, gaps, or its status. Nobody outside hears of it before."""
    begun_ms: list[int] = field(default_factory=list)
    """When it began its newest lanes."""
    past: dict[m.Lane, LaneCounts] = field(default_factory=dict)
    """Counts of the lanes that are on disk only: what is told of a gateway never falls."""
    _pulse: GatewayPulse | None = None

    def hold_of(self, lane: m.Lane) -> int:
        """How long a receipt of this lane may be held back, ms."""
        return min(self.hold_ms, m.URGENT_HOLD_MS) if lane == m.URGENT else self.hold_ms

    def may_begin_lane(self, now_ms: int) -> bool:
        """Counts one more new lane; False when it is a flood."""
        self.begun_ms = [ms for ms in self.begun_ms if 0 <= now_ms - ms < _HOUR_MS]
        if len(self.begun_ms) >= NEW_LANES_PER_HOUR:
            return False
        self.begun_ms.append(now_ms)
        return True

    def begins(self, epoch: str) -> None:
        """A message of this epoch is taken; the one with the highest start counter is the present one."""
        if not self.epoch or encoding.parse_epoch(epoch)[0] > encoding.parse_epoch(self.epoch)[0]:
            self.epoch = epoch
            self._pulse = None

    def hear(self, now_ms: int) -> None:
        """It lives."""
        self.heard_ms = now_ms
        self._pulse = None

    def say_status(self, state: m.Status) -> None:
        """What its status topic says."""
        self.online = state.state == "online"
        self.software = state.software or self.software
        self._pulse = None

    def settle(self, state: LaneState) -> None:
        """This is durable."""
        self.lanes[state.epoch, state.lane] = state
        self.owed.add((state.epoch, state.lane))
        self._pulse = None
        if len(self.lanes) > MAX_LANES:
            self._forget_oldest()

    def owe_newest(self) -> None:
        """A receipt of the newest lanes is owed, whether or not something came."""
        self.owed.update((state.epoch, state.lane) for state in self._newest())

    def receipts(self, log_id: str) -> list[m.Receipt]:
        """Everything owed, at most 8 lanes each; the last one, which stays on the broker, has the lanes heard last."""
        keys = {(state.epoch, state.lane) for state in self._newest()} | (self.owed & self.lanes.keys())
        self.owed.clear()
        self.unreceipted = 0
        states = sorted((self.lanes[key] for key in keys), key=_heard)
        rows = [accounting.receipt_of(state) for state in states]
        first = len(rows) % LANES_IN_RECEIPT
        cuts = [0] * bool(first) + [*range(first, len(rows) + 1, LANES_IN_RECEIPT)]
        return [m.Receipt(m.VERSION, log_id, rows[a:b]) for a, b in pairwise(cuts)]

    def pulse(self) -> GatewayPulse:
        """The gateway as seen now; the same object while nothing changes."""
        if self._pulse is None:
            there = {state.lane for state in self.lanes.values()} | self.past.keys()
            counts = [self._counts(lane) for lane in m.LANES if lane in there]
            self._pulse = GatewayPulse(
                self.name, self.heard_ms, self.online, self.software, self.epoch,
                sum(c.received for c in counts), sum(c.duplicate for c in counts), sum(c.lost for c in counts),
                sum(c.behind for c in counts), tuple(counts),
            )  # fmt: skip
        return self._pulse

    def _counts(self, lane: m.Lane) -> LaneCounts:
        found = self.past.get(lane, LaneCounts(lane, 0, 0, 0, 0))
        for state in self.lanes.values():
            if state.lane == lane:
                found = _sum(found, state)
        return found

    def _forget_oldest(self) -> None:
        oldest = min(self.lanes.values(), key=_heard)
        del self.lanes[oldest.epoch, oldest.lane]
        counts = self.past.get(oldest.lane, LaneCounts(oldest.lane, 0, 0, 0, 0))
        self.past[oldest.lane] = _sum(counts, oldest)._replace(behind=0)

    def _newest(self) -> list[LaneState]:
        return sorted(self.lanes.values(), key=_heard)[-LANES_IN_RECEIPT:]


def _sum(counts: LaneCounts, state: LaneState) -> LaneCounts:
    received, duplicate, lost = counts.received + state.received, counts.duplicate + state.duplicate, counts.lost + state.lost
    return LaneCounts(counts.lane, received, duplicate, lost, counts.behind + accounting.behind(state))


def _heard(state: LaneState) -> tuple[int, str, str]:
    return (state.heard_ms, state.epoch, state.lane)
