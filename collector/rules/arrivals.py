"""Pure. How far each gateway of one site has come: what of it may go on, and up to which instant nothing more is to be expected.

Batches of one (gateway, epoch, lane) are taken in the order of their sequence (lane.py); a hole holds back what is behind it until
it is filled, declared lost by a gap record, or too old. What fills a hole that was given up goes on too, wherever it still can.

A source is a bus of a gateway in one lane: one thread reads it, so its readings come in the order of their time. Between the buses
of a gateway that order is right to SLACK_MS. What lane `n` has passed lane `u` has passed too, because urgent readings overtake.

All times of arrival are the collector's (`Interpreted.received_ms`, or a tick's), ms UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

import msgspec

from collector.domain.identity import SeriesKey
from collector.domain.interpreted import Interpreted
from collector.rules.lane import Lane
from edge_agent.contract import message as contract
from edge_agent.contract.message import NORMAL, URGENT

SILENT_MS = 30_000
"""A gateway of which no reading has come for this long is waited for no longer, unless it sends more rarely; a hole of its own does
not make it silent."""
LONGEST_BATCH_MS = 2_700_000
"""Batches further apart say nothing of a gateway's habit: it was away. The data saver's are half an hour apart."""
BATCH_LEEWAY_MS = 10_000
"""Beyond half as long again as its batches took: a batch is written, sent and repeated within this."""
RETURN_MS = 30_000
"""After an absence of the collector gateways are waited for so much longer: an agent tries a broker again within this."""
SLACK_MS = 1_000
"""Readings of different buses reach a gateway's batch in an order that is right to this much."""
LIVE_LAG_MS = 60_000
"""What is measured at most this long before it came is news."""
MAX_AHEAD_MS = 60_000
"""Readings from further in the future are not judged: that gateway's clock is wrong."""
MAX_LANES = 16
"""Epochs and lanes remembered of one gateway; the oldest that holds nothing back is forgotten first."""


class Source(NamedTuple):
    """Where readings come from in the order of their time."""

    gateway: str
    bus: str
    lane: contract.Lane


class Flow(msgspec.Struct):
    """One gateway."""

    frontier_ms: int = 0
    """Newest measurement taken from lane n."""
    urgent_ms: int = 0
    """The same of lane u."""
    newest_ms: int = 0
    """Newest measurement or event of any lane."""
    taken_ms: int = 0
    """When the last reading was taken, in the collector's time."""
    heard_ms: int = 0
    """When it was last heard, what it brought held back or not, in the collector's time."""
    grace_ms: int = 0
    """What absences of the collector since then add to the time until it counts as silent."""
    batch_ms: int = 0
    """How far apart its batches are: the longest lately."""
    told_ms: int = 0
    """How long its batches are, as its birth says."""
    batched_ms: int = 0
    """When the last batch of lane n was taken, in the collector's time."""
    born_ms: int = 0
    """When its last birth came, in the collector's time."""
    buses: dict[str, int] = {}
    """Newest measurement by `lane/bus`."""
    lanes: dict[str, Lane] = {}

    @property
    def is_live(self) -> bool:
        """True if what came last was news, not a backlog."""
        return self.taken_ms - self.newest_ms <= LIVE_LAG_MS

    @property
    def limit_ms(self) -> int:
        """It is waited for this long."""
        return max(SILENT_MS, max(self.batch_ms, self.told_ms) * 3 // 2 + BATCH_LEEWAY_MS)

    def is_silent(self, now_ms: int) -> bool:
        """True if nothing has come for too long."""
        return now_ms - max(self.taken_ms, self.heard_ms) - self.grace_ms > self.limit_ms

    def passed_ms(self, bus: str, lane: contract.Lane) -> int:
        """Of this bus nothing older is to be expected in this lane; 0 if nothing has come yet."""
        passed = max(self.buses.get(f"{NORMAL}/{bus}", 0), self.frontier_ms - SLACK_MS)
        if lane == URGENT:
            passed = max(passed, self.buses.get(f"{URGENT}/{bus}", 0), self.urgent_ms - SLACK_MS)
        return max(0, passed)

    def take(self, lane: contract.Lane, oldest_ms: int, newest_ms: int, received_ms: int) -> None:
        """Readings between these instants were taken."""
        self.newest_ms = max(self.newest_ms, newest_ms)
        self.taken_ms = max(self.taken_ms, received_ms)
        if lane == URGENT:
            self.urgent_ms = max(self.urgent_ms, newest_ms)
            return
        self.frontier_ms = max(self.frontier_ms, newest_ms)
        apart_ms = max(newest_ms - oldest_ms, received_ms - self.batched_ms if self.batched_ms else 0)
        if apart_ms <= LONGEST_BATCH_MS and received_ms - newest_ms <= LIVE_LAG_MS:
            self.batch_ms = max(apart_ms, self.batch_ms * 7 // 8)
        self.batched_ms = received_ms


class ArrivalState(msgspec.Struct):
    """All that a restart must know."""

    flows: dict[str, Flow] = {}
    late: int = 0
    ahead: int = 0
    present_ms: int = 0
    """The newest time of the collector that was seen; 0 in states of earlier releases."""


class Arrivals:
    """See the module. `state` may be kept and handed to a new one."""

    def __init__(self, state: ArrivalState | None = None) -> None:
        self.state = state or ArrivalState()

    def arrive(self, message: Interpreted) -> list[Interpreted]:
        """Takes a message and gives those that may go on now, this one or not among them: a lane's in the order of its sequence."""
        now_ms = message.received_ms
        flow = self.state.flows.setdefault(message.gateway.gateway, Flow())
        if message.birth is not None:
            flow.born_ms, flow.told_ms = max(flow.born_ms, now_ms), min(message.birth.batch_ms, LONGEST_BATCH_MS)
        if message.columns or message.events or message.birth is not None:
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

    def resume(self, back_ms: int) -> int:
        """The collector is there again: what was not silent and not too old when it went away is so by no fault of its own.

        Once after it was last heard a gateway also gets the time to find the way back, so that a collector which falls again and
        again does not wait for ever. Gives how long it was away.
        """
        state = self.state
        if not state.present_ms:
            return 0
        away_ms = max(0, back_ms - state.present_ms)
        for flow in state.flows.values():
            if not flow.is_silent(state.present_ms):
                flow.grace_ms += away_ms + (0 if flow.grace_ms else RETURN_MS)
            for lane in flow.lanes.values():
                lane.grace_ms += away_ms + (0 if lane.grace_ms else RETURN_MS)
        state.present_ms = max(state.present_ms, back_ms)
        return away_ms

    def move(self, message: Interpreted, bus_of: Callable[[SeriesKey], str]) -> int:
        """A message is taken: its gateway and buses have come further. Gives the instant beyond which its readings do not count."""
        flow = self.state.flows[message.gateway.gateway]
        limit_ms = message.received_ms + MAX_AHEAD_MS
        oldest_ms = newest_ms = 0
        for column in message.columns:
            first_ms, last_ms = min(column.times, default=0), max(column.times, default=0)
            if last_ms > limit_ms:
                credible = [at_ms for at_ms in column.times if at_ms <= limit_ms]
                self.state.ahead += len(column.times) - len(credible)
                first_ms, last_ms = min(credible, default=0), max(credible, default=0)
            if last_ms:
                # Late readings move their gateway forward too: the others wait for it from now on.
                oldest_ms, newest_ms = min(oldest_ms or first_ms, first_ms), max(newest_ms, last_ms)
                source = f"{message.lane}/{bus_of(column.series.key)}"
                flow.buses[source] = max(flow.buses.get(source, 0), last_ms)
        if newest_ms:
            flow.take(message.lane, oldest_ms, newest_ms, message.received_ms)
        return limit_ms

    def keep_buses(self, gateway: str, buses: Collection[str]) -> None:
        """A birth says which buses there are: others are forgotten."""
        flow = self.state.flows.get(gateway)
        if flow is not None:
            flow.buses = {source: at_ms for source, at_ms in flow.buses.items() if source.partition("/")[2] in buses}

    def note_event(self, gateway: str, at_ms: int, received_ms: int) -> None:
        """An event shows how far a gateway has come, and holds nothing back."""
        flow = self.state.flows[gateway]
        if at_ms <= received_ms + MAX_AHEAD_MS:
            flow.newest_ms = max(flow.newest_ms, at_ms)
            flow.taken_ms = max(flow.taken_ms, received_ms)

    def passed_ms(self, sources: Iterable[Source], now_ms: int) -> int:
        """Up to here every source that is not silent has come; as far as may be when all are silent, 0 before anything has come."""
        least_ms, is_silent = 0, True
        for source in sources:
            flow = self.state.flows.get(source.gateway)
            if flow is None or flow.is_silent(now_ms):
                continue
            is_silent = False
            passed_ms = flow.passed_ms(source.bus, source.lane)
            if passed_ms:
                least_ms = min(least_ms or passed_ms, passed_ms)
            elif now_ms - flow.born_ms <= flow.limit_ms:
                return 0  # it has just said what it will send
        return now_ms + MAX_AHEAD_MS if is_silent else least_ms

    def longest_wait_ms(self, sources: Iterable[Source]) -> int:
        """The longest that one of them is waited for."""
        flows = self.state.flows
        return max((flows[source.gateway].limit_ms for source in sources if source.gateway in flows), default=SILENT_MS)

    def is_caught_up(self, gateways: Iterable[str], now_ms: int) -> bool:
        """True when those of them that are sending send news, and nothing older is held back; False if none is sending."""
        flows = [flow for gateway in gateways if (flow := self.state.flows.get(gateway)) is not None and not flow.is_silent(now_ms)]
        return bool(flows) and all(flow.is_live and not any(lane.held for lane in flow.lanes.values()) for flow in flows)

    def is_at_rest(self, gateways: Iterable[str], now_ms: int) -> bool:
        """True when none of them is sending."""
        return all((flow := self.state.flows.get(gateway)) is None or flow.is_silent(now_ms) for gateway in gateways)

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
