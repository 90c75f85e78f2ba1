"""Pure. What is judged together: the process watches that look at the same series, with these series in the order of measurement.

Readings wait until every source of the group that is not silent has passed them, and are then judged by instant. So a watch waits
for nothing but the sources of its own series: neither a slow gateway beside it nor a bus that is behind delays it or makes it late.
What comes later than that is counted, not judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from collector.domain.identity import SeriesKey
from collector.domain.series import SeriesColumn
from collector.rules.arrivals import MAX_AHEAD_MS, Arrivals, Source
from collector.rules.signal import Known, Slot
from collector.rules.watch import Watch
from edge_agent.contract.message import Value

MAX_WAIT_MS = 300_000
"""However far another gateway is behind, nothing waits longer; where batches are longer, as long as these."""

GroupKey = tuple[SeriesKey, ...]
"""The series of a group, sorted."""


class Waiting(NamedTuple):
    """One reading that waits for its turn."""

    at_ms: int
    slot: int
    value: Value
    quality: int


class SlotState(msgspec.Struct, array_like=True):
    """A signal in the rule state."""

    at_ms: int
    known: Known
    known_at_ms: int


class GroupState(msgspec.Struct):
    """All that a restart must know of a group, its watches apart."""

    series: list[SeriesKey]
    slots: list[SlotState]
    waiting: list[Waiting] = []
    oldest_received_ms: int = 0
    """When the waiting reading that came first came."""
    judged_ms: int = 0
    """Everything up to here has been judged."""


class Group:
    """See the module. slots: one for each series of the key, in its order."""

    def __init__(self, key: GroupKey, slots: Sequence[Slot]) -> None:
        self.key = key
        self.slots = tuple(slots)
        self.watches: list[Watch] = []
        self.sources: frozenset[Source] = frozenset()
        self.gateways = frozenset(one.gateway for one in key)
        self.waiting: list[Waiting] = []
        self.judged_ms = 0
        self._oldest_received_ms = 0
        self._number = {one: number for number, one in enumerate(key)}

    def put(self, column: SeriesColumn, received_ms: int, limit_ms: int) -> int:
        """Queues the readings of one of its series; gives how many came too late."""
        number = self._number[column.series.key]
        if not self.waiting:
            self._oldest_received_ms = received_ms
        late = 0
        for at_ms, value, quality in zip(column.times, column.values, column.qualities, strict=True):
            if at_ms <= self.judged_ms:
                late += 1
            elif at_ms <= limit_ms:
                self.waiting.append(Waiting(at_ms, number, value, quality))
        return late

    def judge(self, arrivals: Arrivals, now_ms: int) -> Iterator[Watch]:
        """Judges what may be judged now; yields each watch as it begins or ends a warning. Must be run to its end."""
        until_ms = self._until_ms(arrivals, now_ms)
        if until_ms <= self.judged_ms or not self.waiting:
            return
        waiting = self.waiting
        if len(waiting) > 1:
            waiting.sort(key=_by_time)
        if waiting[-1].at_ms <= until_ms:
            self.waiting = []
        else:
            count = next(n for n, reading in enumerate(waiting) if reading.at_ms > until_ms)
            waiting, self.waiting = waiting[:count], waiting[count:]
        self._oldest_received_ms = now_ms
        slots, last = self.slots, len(waiting) - 1
        for n, (at_ms, number, value, quality) in enumerate(waiting):
            slot = slots[number]
            if at_ms > slot.at_ms:
                slot.put(at_ms, value, quality)
            if n == last or waiting[n + 1].at_ms != at_ms:
                self.judged_ms = at_ms
                for watch in self.watches:
                    if watch.judge(at_ms):
                        yield watch

    def slot(self, key: SeriesKey) -> Slot:
        """Of one of its series."""
        return self.slots[self._number[key]]

    def resume(self, away_ms: int) -> None:
        """The collector was away for so long: nothing has waited while it was."""
        self._oldest_received_ms += away_ms

    def is_caught_up(self, arrivals: Arrivals, now_ms: int, live_ms: int) -> bool:
        """True when what stands now is the present: what still waits is recent, or nothing more is coming."""
        if arrivals.is_caught_up(self.gateways, now_ms):
            return all(reading.at_ms >= now_ms - live_ms for reading in self.waiting)
        return not self.waiting and arrivals.is_at_rest(self.gateways, now_ms)

    def dump(self) -> GroupState:
        """For the rule state."""
        slots = [SlotState(slot.at_ms, slot.known, slot.known_at_ms) for slot in self.slots]
        return GroupState(list(self.key), slots, list(self.waiting), self._oldest_received_ms, self.judged_ms)

    def load(self, state: GroupState) -> None:
        """Takes over a state of these series, and of others or not."""
        at = {one: number for number, one in enumerate(state.series)}
        for slot, one in zip(self.slots, self.key, strict=True):
            saved = state.slots[at[one]]
            slot.at_ms, slot.known, slot.known_at_ms = saved.at_ms, saved.known, saved.known_at_ms
        mine = {at[one]: number for number, one in enumerate(self.key)}
        self.waiting = [reading._replace(slot=mine[reading.slot]) for reading in state.waiting if reading.slot in mine]
        self._oldest_received_ms, self.judged_ms = state.oldest_received_ms, state.judged_ms

    def _until_ms(self, arrivals: Arrivals, now_ms: int) -> int:
        if self.waiting and now_ms - self._oldest_received_ms > MAX_WAIT_MS:
            longest_ms = max(MAX_WAIT_MS, arrivals.longest_wait_ms(self.sources))
            if now_ms - self._oldest_received_ms > longest_ms:
                return now_ms + MAX_AHEAD_MS
        return arrivals.passed_ms(self.sources, now_ms)


def key_of(watch: Watch) -> GroupKey:
    """The group a watch belongs to."""
    return tuple(sorted({view.slot.key for _, view in watch.views}))


def covering(states: Mapping[GroupKey, GroupState], key: GroupKey) -> GroupState | None:
    """The state of a group with exactly these series, else of the smallest that has all of them."""
    if key in states:
        return states[key]
    wanted = set(key)
    return min((state for one, state in states.items() if wanted <= set(one)), key=lambda state: len(state.series), default=None)


def _by_time(reading: Waiting) -> tuple[int, int]:
    return reading.at_ms, reading.slot
