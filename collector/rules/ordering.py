"""Pure. Puts what arrives from the gateways of one site into the order of measurement.

Batches of one (gateway, epoch, lane) are taken in the order of their sequence; a hole holds back what is behind it until it is
filled, declared lost by a gap record, or PATIENCE_MS old. Readings wait until every gateway of the site that is not silent has
passed them, and are then given out by instant. What comes later than that is counted, not judged. The lane that moves a gateway
forward is `n`; urgent readings overtake it and wait for it.

All times of arrival are the collector's (`Interpreted.received_ms`, or a tick's), ms UTC.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from collector.domain.interpreted import Interpreted
from edge_agent.contract.message import URGENT, Value

SILENT_MS = 30_000
"""A gateway of which no reading has come for this long leaves the watermark."""
PATIENCE_MS = 30_000
"""How long a missing sequence holds back those behind it."""
SLACK_MS = 1_000
"""Readings of different buses reach a gateway's batch in an order that is right to this much."""
MAX_WAIT_MS = 300_000
"""However far another gateway is behind, nothing waits longer."""
LIVE_LAG_MS = 60_000
"""What is measured at most this long before it came is news."""
MAX_AHEAD_MS = 60_000
"""Readings from further in the future are not judged: that gateway's clock is wrong."""
MAX_HELD = 2_000
"""Batches held back of one lane."""

MAX_LANES = 16
"""Epochs and lanes remembered of one gateway; the oldest that holds nothing back is forgotten first."""


class Waiting(NamedTuple):
    """One reading that waits for its turn."""

    at_ms: int
    slot: int
    value: Value
    quality: int


class Lane(msgspec.Struct):
    """One (gateway, epoch, lane)."""

    next: int = 1
    held: dict[int, Interpreted] = {}
    since_ms: int = 0
    """Since when a hole has been open."""


class Flow(msgspec.Struct):
    """One gateway."""

    frontier_ms: int = 0
    """Newest measurement taken from lane n."""
    newest_ms: int = 0
    """Newest measurement or event of any lane."""
    taken_ms: int = 0
    """When the last reading came, in the collector's time."""
    lanes: dict[str, Lane] = {}

    @property
    def is_live(self) -> bool:
        """True if what came last was news, not a backlog."""
        return self.taken_ms - self.newest_ms <= LIVE_LAG_MS


class OrderState(msgspec.Struct):
    """All that a restart must know."""

    flows: dict[str, Flow] = {}
    waiting: list[Waiting] = []
    oldest_received_ms: int = 0
    """When the waiting reading that came first came."""
    judged_ms: int = 0
    """Everything up to here has been given out."""
    late: int = 0
    ahead: int = 0


class Ordering:
    """See the module. `state` may be kept and handed to a new one."""

    def __init__(self, state: OrderState | None = None) -> None:
        self.state = state or OrderState()

    def arrive(self, message: Interpreted) -> list[Interpreted]:
        """Takes a message and gives those that are now in sequence, this one or not among them."""
        flow = self.state.flows.setdefault(message.gateway.gateway, Flow())
        lane = self._lane(flow, f"{message.epoch}/{message.lane}")
        if message.seq < lane.next or message.seq in lane.held:
            return []
        if not lane.held:
            lane.since_ms = message.received_ms
        lane.held[message.seq] = message
        ready = self._in_sequence(lane, message.received_ms)
        for gap in [gap for taken in ready for gap in taken.gaps]:
            ready += self._skip(flow, f"{gap.e}/{gap.l}", gap.a, gap.z, message.received_ms)
        return ready

    def patience(self, now_ms: int) -> list[Interpreted]:
        """What was held back behind holes that are too old now."""
        ready: list[Interpreted] = []
        for flow in self.state.flows.values():
            for lane in flow.lanes.values():
                while lane.held and now_ms - lane.since_ms > PATIENCE_MS:
                    lane.next = min(lane.held)
                    ready += self._in_sequence(lane, now_ms)
        return ready

    def put(self, message: Interpreted, slots: list[int]) -> None:
        """Queues the readings of a message that is in sequence; slots: the number of each column's series."""
        state = self.state
        flow = state.flows[message.gateway.gateway]
        limit_ms = message.received_ms + MAX_AHEAD_MS
        if not state.waiting:
            state.oldest_received_ms = message.received_ms
        newest = 0
        for column, slot in zip(message.columns, slots, strict=True):
            for at_ms, value, quality in zip(column.times, column.values, column.qualities, strict=True):
                if at_ms > limit_ms:
                    state.ahead += 1
                    continue
                # Late readings move their gateway forward too: the others wait for it from now on.
                newest = max(newest, at_ms)
                if at_ms <= state.judged_ms:
                    state.late += 1
                else:
                    state.waiting.append(Waiting(at_ms, slot, value, quality))
        if newest:
            flow.newest_ms = max(flow.newest_ms, newest)
            flow.taken_ms = max(flow.taken_ms, message.received_ms)
            if message.lane != URGENT:
                flow.frontier_ms = max(flow.frontier_ms, newest)

    def note_event(self, gateway: str, at_ms: int, received_ms: int) -> None:
        """An event shows how far a gateway has come, and holds nothing back."""
        flow = self.state.flows[gateway]
        if at_ms <= received_ms + MAX_AHEAD_MS:
            flow.newest_ms = max(flow.newest_ms, at_ms)
            flow.taken_ms = max(flow.taken_ms, received_ms)

    def drain(self, now_ms: int) -> Iterator[tuple[int, list[Waiting]]]:
        """The readings whose turn has come, by instant. Must be run to its end."""
        state = self.state
        until_ms = self._watermark(now_ms)
        if until_ms <= state.judged_ms or not state.waiting:
            return
        state.waiting.sort(key=_by_time)
        group: list[Waiting] = []
        count = 0
        for reading in state.waiting:
            if reading.at_ms > until_ms:
                break
            count += 1
            if group and group[0].at_ms != reading.at_ms:
                yield group[0].at_ms, group
                group = []
            group.append(reading)
        if group:
            state.judged_ms = group[0].at_ms
            yield group[0].at_ms, group
        if count:
            del state.waiting[:count]
            state.oldest_received_ms = now_ms

    def is_caught_up(self, now_ms: int, live_ms: int) -> bool:
        """True when every gateway that is sending sends news, and nothing older is held back."""
        active = [flow for flow in self.state.flows.values() if now_ms - flow.taken_ms <= SILENT_MS]
        if not active or any(not flow.is_live or any(lane.held for lane in flow.lanes.values()) for flow in active):
            return False
        return all(reading.at_ms >= now_ms - live_ms for reading in self.state.waiting)

    def is_at_rest(self, now_ms: int) -> bool:
        """True when nothing waits and no gateway is sending: what stands now is all that is known."""
        return not self.state.waiting and all(now_ms - flow.taken_ms > SILENT_MS for flow in self.state.flows.values())

    def _watermark(self, now_ms: int) -> int:
        state = self.state
        if state.waiting and now_ms - state.oldest_received_ms > MAX_WAIT_MS:
            return now_ms + MAX_AHEAD_MS
        live = [flow.frontier_ms for flow in state.flows.values() if flow.frontier_ms and now_ms - flow.taken_ms <= SILENT_MS]
        return min(live) - SLACK_MS if live else self._rest(now_ms)

    def _rest(self, now_ms: int) -> int:
        silent = all(now_ms - flow.taken_ms > SILENT_MS for flow in self.state.flows.values())
        return now_ms + MAX_AHEAD_MS if silent else 0

    @staticmethod
    def _lane(flow: Flow, name: str) -> Lane:
        known = flow.lanes.get(name)
        if known is not None:
            return known
        if len(flow.lanes) >= MAX_LANES:
            idle = next((old for old, lane in flow.lanes.items() if not lane.held), next(iter(flow.lanes)))
            del flow.lanes[idle]
        return flow.lanes.setdefault(name, Lane())

    def _in_sequence(self, lane: Lane, now_ms: int) -> list[Interpreted]:
        ready = []
        if len(lane.held) > MAX_HELD:
            lane.next = min(lane.held)
        while (message := lane.held.pop(lane.next, None)) is not None:
            ready.append(message)
            lane.next += 1
        if ready:
            lane.since_ms = now_ms
        return ready

    def _skip(self, flow: Flow, name: str, first: int, last: int, now_ms: int) -> list[Interpreted]:
        lane = self._lane(flow, name)
        if first <= lane.next <= last:
            lane.next = last + 1
        return self._in_sequence(lane, now_ms)


def _by_time(reading: Waiting) -> tuple[int, int]:
    return reading.at_ms, reading.slot
