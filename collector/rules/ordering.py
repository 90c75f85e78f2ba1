"""Pure. Puts what arrives from the gateways of one site into the order of measurement.

Batches of one (gateway, epoch, lane) are taken in the order of their sequence (lane.py); a hole holds back what is behind it until
it is filled, declared lost by a gap record, or too old. Readings wait until every gateway of the site that is not silent has passed
them, and are then given out by instant. What comes later than that is counted, not judged; what fills a hole that was given up is
judged where its instants are still to come. The lane that moves a gateway forward is `n`; urgent readings overtake it and wait.

All times of arrival are the collector's (`Interpreted.received_ms`, or a tick's), ms UTC.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from collector.domain.interpreted import Interpreted
from collector.rules.lane import Lane
from edge_agent.contract.message import URGENT, Value

SILENT_MS = 30_000
"""A gateway of which no reading has come for this long leaves the watermark; a hole of its own does not make it silent."""
RETURN_MS = 30_000
"""After an absence of the collector gateways are waited for so much longer: an agent tries a broker again within this."""
SLACK_MS = 1_000
"""Readings of different buses reach a gateway's batch in an order that is right to this much."""
MAX_WAIT_MS = 300_000
"""However far another gateway is behind, nothing waits longer."""
LIVE_LAG_MS = 60_000
"""What is measured at most this long before it came is news."""
MAX_AHEAD_MS = 60_000
"""Readings from further in the future are not judged: that gateway's clock is wrong."""
MAX_LANES = 16
"""Epochs and lanes remembered of one gateway; the oldest that holds nothing back is forgotten first."""


class Waiting(NamedTuple):
    """One reading that waits for its turn."""

    at_ms: int
    slot: int
    value: Value
    quality: int


class Flow(msgspec.Struct):
    """One gateway."""

    frontier_ms: int = 0
    """Newest measurement taken from lane n."""
    newest_ms: int = 0
    """Newest measurement or event of any lane."""
    taken_ms: int = 0
    """When the last reading was taken, in the collector's time."""
    heard_ms: int = 0
    """When it was last heard, what it brought held back or not, in the collector's time."""
    grace_ms: int = 0
    """What absences of the collector since then add to the time until it counts as silent."""
    lanes: dict[str, Lane] = {}

    @property
    def is_live(self) -> bool:
        """True if what came last was news, not a backlog."""
        return self.taken_ms - self.newest_ms <= LIVE_LAG_MS

    def is_silent(self, now_ms: int) -> bool:
        """True if nothing has come for too long."""
        return now_ms - max(self.taken_ms, self.heard_ms) - self.grace_ms > SILENT_MS


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
    present_ms: int = 0
    """The newest time of the collector that was seen; 0 in states of earlier releases."""


class Ordering:
    """See the module. `state` may be kept and handed to a new one."""

    def __init__(self, state: OrderState | None = None) -> None:
        self.state = state or OrderState()

    def arrive(self, message: Interpreted) -> list[Interpreted]:
        """Takes a message and gives those that may go on now, this one or not among them: a lane's in the order of its sequence."""
        now_ms = message.received_ms
        flow = self.state.flows.setdefault(message.gateway.gateway, Flow())
        if message.columns or message.events:
            flow.heard_ms, flow.grace_ms = max(flow.heard_ms, now_ms), 0
        return self._with_lost(flow, self._lane(flow, f"{message.epoch}/{message.lane}").take(message, now_ms), now_ms)

    def patience(self, now_ms: int) -> list[Interpreted]:
        """Time passes: what was held back behind holes that are too old now."""
        self.state.present_ms = max(self.state.present_ms, now_ms)
        ready: list[Interpreted] = []
        for flow in self.state.flows.values():
            for lane in list(flow.lanes.values()):
                if lane.held:
                    ready += self._with_lost(flow, lane.give_up(now_ms), now_ms)
        return ready

    def resume(self, back_ms: int) -> None:
        """The collector is there again: what was not silent and not too old when it went away is so by no fault of its own.

        Once after it was last heard a gateway also gets the time to find the way back, so that a collector which falls again and
        again does not wait for ever.
        """
        state = self.state
        if not state.present_ms:
            return
        away_ms = max(0, back_ms - state.present_ms)
        for flow in state.flows.values():
            if not flow.is_silent(state.present_ms):
                flow.grace_ms += away_ms + (0 if flow.grace_ms else RETURN_MS)
            for lane in flow.lanes.values():
                lane.grace_ms += away_ms + (0 if lane.grace_ms else RETURN_MS)
        state.oldest_received_ms += away_ms
        state.present_ms = max(state.present_ms, back_ms)

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
        active = [flow for flow in self.state.flows.values() if not flow.is_silent(now_ms)]
        if not active or any(not flow.is_live or any(lane.held for lane in flow.lanes.values()) for flow in active):
            return False
        return all(reading.at_ms >= now_ms - live_ms for reading in self.state.waiting)

    def is_at_rest(self, now_ms: int) -> bool:
        """True when nothing waits and no gateway is sending: what stands now is all that is known."""
        return not self.state.waiting and all(flow.is_silent(now_ms) for flow in self.state.flows.values())

    def _watermark(self, now_ms: int) -> int:
        state = self.state
        if state.waiting and now_ms - state.oldest_received_ms > MAX_WAIT_MS:
            return now_ms + MAX_AHEAD_MS
        live = [flow.frontier_ms for flow in state.flows.values() if flow.frontier_ms and not flow.is_silent(now_ms)]
        return min(live) - SLACK_MS if live else self._rest(now_ms)

    def _rest(self, now_ms: int) -> int:
        silent = all(flow.is_silent(now_ms) for flow in self.state.flows.values())
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

    def _with_lost(self, flow: Flow, ready: list[Interpreted], now_ms: int) -> list[Interpreted]:
        """With what stood behind the sequences that these declare lost."""
        for taken in ready:  # grows while it is walked: what is freed may tell of more
            for gap in taken.gaps:
                ready += self._lane(flow, f"{gap.e}/{gap.l}").lose(gap.a, gap.z, now_ms)
        return ready


def _by_time(reading: Waiting) -> tuple[int, int]:
    return reading.at_ms, reading.slot
