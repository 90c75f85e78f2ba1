"""Pure. What a restart must know of a site, as the warning engine saves it, and how states of earlier releases are read.

Version 2 (up to release 0.1): one order of time for a whole site, with one slot for each series.
"""

from __future__ import annotations

import msgspec

from collector.domain.series import SeriesInfo
from collector.rules.arrivals import ArrivalState, Flow
from collector.rules.group import GroupState, SlotState, Waiting
from collector.rules.signal import Known
from collector.rules.watch import WatchState
from edge_agent.contract.message import NORMAL, Device, Lane


class SeriesState(msgspec.Struct, array_like=True):
    """A series of the site."""

    series: SeriesInfo
    lane: Lane
    has_readings: bool = False


class Happening(msgspec.Struct, array_like=True):
    """The newest event of one kind and subject."""

    at_ms: int
    on: bool
    epoch: str


class SiteState(msgspec.Struct):
    """All that a restart must know of a site."""

    series: list[SeriesState]
    devices: dict[str, dict[str, Device]]
    arrivals: ArrivalState
    groups: list[GroupState]
    watches: list[WatchState]
    happenings: dict[str, Happening]
    orphans: list[WatchState]


class _Slot2(msgspec.Struct, array_like=True):
    series: SeriesInfo
    at_ms: int
    known: Known
    known_at_ms: int


class _Order2(msgspec.Struct):
    flows: dict[str, Flow] = {}
    waiting: list[Waiting] = []
    oldest_received_ms: int = 0
    judged_ms: int = 0
    late: int = 0
    ahead: int = 0
    present_ms: int = 0


class SiteState2(msgspec.Struct):
    """Version 2."""

    slots: list[_Slot2]
    devices: dict[str, dict[str, Device]]
    order: _Order2
    watches: list[WatchState]
    happenings: dict[str, Happening]
    orphans: list[WatchState]

    def upgraded(self) -> SiteState:
        """As the present version: one group of all series, from which each group takes its own."""
        order = self.order
        together = GroupState(
            [slot.series.key for slot in self.slots],
            [SlotState(slot.at_ms, slot.known, slot.known_at_ms) for slot in self.slots],
            order.waiting, order.oldest_received_ms, order.judged_ms,
        )  # fmt: skip
        return SiteState(
            [SeriesState(slot.series, NORMAL) for slot in self.slots], self.devices,
            ArrivalState(order.flows, order.late, order.ahead, order.present_ms),
            [together], self.watches, self.happenings, self.orphans,
        )  # fmt: skip
