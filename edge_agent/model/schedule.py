"""Pure. When which request of a bus is due.

Each request has a grid of instants, its period apart, that never drifts: a late turn does not move the next one, and turns that
were missed altogether are skipped. The instants have numbers, so that it can be told what a turn reads. Devices that fail are taken
out and probed now and then: the time that probes take stays within a share of the bus, intervals grow and are jittered, and the
others keep their period.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Request = TypeVar("Request", bound=Hashable)
_FIRST_PROBE_MS = 1000
_LONGEST_WAIT_MS = 60_000
_BURST_PROBES = 3
"""Probes that may follow one another faster than the budget when a device begins to fail."""
_JITTER = 0.2
_KEPT_BACK = 0.08
"""Part of the budget that is kept for what it costs to notice that a device fails."""


@dataclass(frozen=True, slots=True)
class Due(Generic[Request]):
    """This request is to be sent now."""

    request: Request
    is_probe: bool = False
    turn: int = field(default=0, compare=False)
    """Number of the newest instant of its grid that has come."""
    late_ms: int = field(default=0, compare=False)
    """How long after its instant the turn is taken."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is due before this monotonic time."""

    until_ms: int


@dataclass(slots=True)
class _Turn:
    device: str
    period_ms: int
    due_ms: int
    origin_ms: int
    """Instant 0 of its grid."""
    order: int

    def number(self, at_ms: int) -> int:
        """Of the newest instant that has come."""
        return (at_ms - self.origin_ms) // self.period_ms


@dataclass(slots=True)
class _Probe:
    cost_ms: int
    interval_ms: int
    due_ms: int
    credit_ms: float
    turn: int = 0


def probe_interval_ms(cost_ms: float, failing: int, budget: float) -> int:
    """At least so often each of so many failing devices is probed in the long run, a probe without answer costing cost_ms."""
    return int((1 + _JITTER) * max(_FIRST_PROBE_MS, cost_ms * failing / (budget * (1 - _KEPT_BACK))))


class Schedule(Generic[Request]):
    """Turns of the requests of one bus."""

    def __init__(self, probe_budget: float, seed: int, now_ms: int) -> None:
        """probe_budget: share of bus time for failing devices, above 0. seed: of the jitter."""
        self.missed = 0
        """Turns that were skipped because the bus was too slow."""
        self._budget = max(probe_budget, 1e-3)
        self._steady = self._budget * (1 - _KEPT_BACK)
        self._seed = seed & 0xFFFFFFFF
        self._turns: dict[Request, _Turn] = {}
        self._probes: dict[str, _Probe] = {}
        self._credited_ms = now_ms
        self._orders = 0

    def add(self, request: Request, device: str, period_ms: int, first_ms: int, origin_ms: int | None = None) -> None:
        """A request is asked at first_ms and then on the grid through origin_ms (None: first_ms). A known one is made anew."""
        self._orders += 1
        self._turns[request] = _Turn(device, period_ms, first_ms, first_ms if origin_ms is None else origin_ms, self._orders)

    def hurry(self, request: Request, now_ms: int) -> None:
        """A request is due at once, and then on its grid."""
        if request in self._turns:
            self._turns[request].due_ms = now_ms

    def turn(self, request: Request, now_ms: int) -> int:
        """Number of the newest instant of a request's grid that has come."""
        return self._turns[request].number(now_ms)

    def remove(self, request: Request) -> None:
        """A request is not asked any more."""
        self._turns.pop(request, None)

    def next(self, now_ms: int) -> Due[Request] | Wait:
        """What is due, longest overdue first. The turn is taken: ask, and tell `spent` of a probe.

        Probes that the budget allows go first, because on a bus that is too slow something else is always due.
        """
        self._earn(now_ms)
        until_ms = now_ms + _LONGEST_WAIT_MS
        for device, probe in sorted(self._probes.items(), key=lambda item: item[1].due_ms):
            at_ms = max(probe.due_ms, now_ms + self._lacking_ms(probe))
            requests = [request for request, turn in self._turns.items() if turn.device == device]
            if at_ms <= now_ms and requests:
                return self._probe(requests, probe, now_ms)
            until_ms = min(until_ms, max(at_ms, now_ms + 1))
        live = ((turn.due_ms, turn.order, request) for request, turn in self._turns.items() if turn.device not in self._probes)
        soonest = min(live, key=lambda item: item[:2], default=None)
        if soonest is None or soonest[0] > now_ms:
            return Wait(until_ms if soonest is None else min(until_ms, soonest[0]))
        turn = self._turns[soonest[2]]
        self._advance(turn, now_ms)
        return Due(soonest[2], turn=turn.number(now_ms), late_ms=now_ms - soonest[0])

    def skip(self, device: str, now_ms: int) -> None:
        """What is due of a device is left out this time, because it just failed twice."""
        for turn in self._turns.values():
            if turn.device == device and turn.due_ms <= now_ms:
                self._advance(turn, now_ms)

    def suspend(self, device: str, cost_ms: int, now_ms: int) -> None:
        """The device fails: from now on it is only probed. cost_ms: what one probe without answer takes."""
        if device in self._probes:
            return
        self._earn(now_ms)
        cost_ms = max(cost_ms, 1)
        first_ms = now_ms + self._jittered(_FIRST_PROBE_MS)
        self._probes[device] = _Probe(cost_ms, _FIRST_PROBE_MS, first_ms, float(_BURST_PROBES * cost_ms))

    def resume(self, device: str, now_ms: int) -> None:
        """The device answers again: its requests are due at once and then in their periods. Harmless for others."""
        if self._probes.pop(device, None) is None:
            return
        for turn in self._turns.values():
            if turn.device == device:
                turn.due_ms = now_ms

    def spent(self, device: str, spent_ms: int) -> None:
        """A probe of the device took this long."""
        if device in self._probes:
            self._probes[device].credit_ms -= spent_ms

    def probe_interval_ms(self, device: str) -> int:
        """A failing device is probed at least so often in the long run, as the budget allows; 0 of others."""
        probe = self._probes.get(device)
        return probe_interval_ms(probe.cost_ms, len(self._probes), self._budget) if probe is not None else 0

    def _probe(self, requests: Sequence[Request], probe: _Probe, now_ms: int) -> Due[Request]:
        probe.interval_ms = min(2 * probe.interval_ms, self._longest_ms(probe))
        probe.due_ms = now_ms + self._jittered(probe.interval_ms)
        probe.turn += 1
        request = requests[(probe.turn - 1) % len(requests)]
        return Due(request, is_probe=True, turn=self._turns[request].number(now_ms))

    def _longest_ms(self, probe: _Probe) -> int:
        return max(_FIRST_PROBE_MS, int(probe.cost_ms * len(self._probes) / self._steady))

    def _lacking_ms(self, probe: _Probe) -> int:
        """How long the device's part of the budget needs to pay for a probe."""
        return max(0, math.ceil((probe.cost_ms - probe.credit_ms) * len(self._probes) / self._steady))

    def _earn(self, now_ms: int) -> None:
        """Each failing device gets an equal part of the budget, and keeps a few probes' worth of it."""
        earned_ms = self._steady * (now_ms - self._credited_ms) / max(1, len(self._probes))
        for probe in self._probes.values():
            probe.credit_ms = min(float(_BURST_PROBES * probe.cost_ms), probe.credit_ms + earned_ms)
        self._credited_ms = now_ms

    def _advance(self, turn: _Turn, now_ms: int) -> None:
        """To the first instant of its grid that is still to come; among equals it stands last."""
        number = turn.number(now_ms)
        meant = -((turn.origin_ms - turn.due_ms) // turn.period_ms)  # a turn between two instants stands for the later one
        self.missed += max(0, number - meant)
        turn.due_ms = turn.origin_ms + (number + 1) * turn.period_ms
        self._orders += 1
        turn.order = self._orders

    def _jittered(self, interval_ms: int) -> int:
        """interval_ms give or take a fifth; a linear congruential generator (Numerical Recipes) is random enough."""
        self._seed = (1664525 * self._seed + 1013904223) & 0xFFFFFFFF
        return int(interval_ms * (1 + _JITTER * (2 * self._seed / 0xFFFFFFFF - 1)))
