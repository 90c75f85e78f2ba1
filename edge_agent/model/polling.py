"""Pure. One bus at work: whose turn it is, what an answer or its absence means, and what is told of it.

A step machine: `next` gives a turn or a time to wait until; whoever has the link makes the exchange and says what came of it by
`worked`, `refused`, `faulted` or `failed`, each of which gives what is to be told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from edge_agent.contract.quality import Quality
from edge_agent.model.blocks import Block
from edge_agent.model.bus_figures import DeviceFigures, percentile
from edge_agent.model.health import NOTHING, DeviceHealth, Told, accepted_again, refused
from edge_agent.model.joint_plan import joint_plan
from edge_agent.model.line_cost import Cost, cost_of
from edge_agent.model.phases import levelled
from edge_agent.model.points import Bus, Device
from edge_agent.model.poll import Poll, Turns, split, without_rides
from edge_agent.model.reply import readings_of
from edge_agent.model.schedule import Schedule, Wait

_REFUSED_PERIOD_MS = 3_600_000
"""How often a refused point is tried again."""
_FAILING_PERIOD_MS = 60_000
"""How often a request is made that fails while its device answers others."""


@dataclass(slots=True, eq=False)
class Polled:
    """One device, as it stands."""

    settings: Device
    health: DeviceHealth
    failures: int = 0
    """Requests without answer since the last answer."""
    spoken_ms: int = 0
    turnarounds_ms: deque[int] = field(default_factory=lambda: deque(maxlen=200))


@dataclass(slots=True, eq=False)
class Request:
    """One request of the plan, as it stands."""

    number: int
    device: Polled
    turns: Turns
    refusals: int = 0
    set_aside: bool = False
    slowed: bool = False

    @property
    def block(self) -> Block:
        """What it asks now, or asked last."""
        return self.turns.block

    @property
    def poll(self) -> Poll:
        """All that it asks over time."""
        return self.turns.poll


@dataclass(frozen=True, slots=True)
class Turn:
    """One request whose turn it is. retries: how often it is sent again where nothing or nonsense comes."""

    request: Request
    block: Block
    retries: int
    is_probe: bool = False


class Polling:
    """The requests of one bus. Times are monotonic."""

    def __init__(self, bus: Bus, seed: int, now_ms: int) -> None:
        """seed: of the jitter of probes. Raises ProblemError BUS110 where points cannot be read as the site file wants."""
        self.readings = 0
        """Given since start."""
        self._cost: Cost = cost_of(bus)
        self._schedule: Schedule[int] = Schedule(bus.probe_budget, seed, now_ms)
        self._devices = [Polled(device, DeviceHealth(device, now_ms)) for device in bus.devices]
        self._requests: dict[int, Request] = {}
        self._numbers = 0
        self._began_ms = now_ms
        planned = [
            (device, poll, self._cost.of_device(device.settings))
            for device in self._devices
            for poll in joint_plan(device.settings, self._cost)
        ]
        placed = levelled([(poll, cost) for _, poll, cost in planned])
        for (device, _, _), poll in zip(planned, placed, strict=True):
            self._add(device, poll, now_ms)

    @property
    def missed(self) -> int:
        """Turns left out because the bus was too slow."""
        return self._schedule.missed

    def next(self, now_ms: int) -> Turn | Wait:
        """The turn that is due, longest overdue first. It is taken: say what came of it, and then `spent`."""
        due = self._schedule.next(now_ms)
        if isinstance(due, Wait):
            return due
        request = self._requests[due.request]
        block = request.turns.take(due.turn)
        once = due.is_probe or request.device.failures or block.is_latched
        return Turn(request, block, 0 if once else request.device.settings.retries, due.is_probe)

    def others(self, turn: Turn) -> list[Block]:
        """What else may be read of the turn's device, whatever the reason."""
        return [
            request.block
            for request in self._requests.values()
            if request.device is turn.request.device
            and request is not turn.request
            and not (request.set_aside or request.block.is_latched)
        ]

    def spent(self, turn: Turn, spent_ms: int, now_ms: int) -> None:
        """The exchange of this turn took so long."""
        turn.request.device.spoken_ms = now_ms
        if turn.is_probe:
            self._schedule.spent(turn.request.device.settings.id, spent_ms)

    # --- what came of a turn

    def worked(self, turn: Turn, words: Sequence[int], turnaround_ms: int | None, taken_ms: int, now_ms: int) -> Told:
        """The words came. taken_ms: when."""
        request = turn.request
        told = [self._answered(request.device, now_ms)]
        if turnaround_ms is not None:
            request.device.turnarounds_ms.append(turnaround_ms)
        request.refusals = 0
        request.turns.worked()
        request.device.health.request_worked(request.number)
        if request.set_aside or request.slowed:
            if request.set_aside:
                told += [accepted_again(point, taken_ms) for point in request.block.points]
            request.set_aside = request.slowed = False
            self._schedule_on_grid(request, now_ms)
        readings = readings_of(turn.block, words, taken_ms)
        self.readings += len(readings)
        return _all(*told, Told(tuple(readings)))

    def refused(self, turn: Turn, code: int, now_ms: int) -> Told:
        """Exceptions 1-3: said twice, the block is split until the bad point is alone."""
        request = turn.request
        told = self._answered(request.device, now_ms)
        if request.set_aside:
            return told
        request.refusals += 1
        if request.refusals < 2:
            self.again(turn, now_ms)
            return told
        parts = split(request.poll, turn.block)
        if len(parts) == 1:
            request.set_aside = True
            self._slow(request, _REFUSED_PERIOD_MS, now_ms)
            return _all(told, *(refused(point, now_ms, code) for point in turn.block.points))
        self._replace(request, parts, now_ms)
        return told

    def faulted(self, turn: Turn, now_ms: int) -> Told:
        """Another exception: the device answers, but gives nothing in this turn."""
        told = self._answered(turn.request.device, now_ms)
        return _all(told, self._failed_turn(turn.request, Quality.BAD_SENSOR, now_ms))

    def failed(self, turn: Turn, reason: str, now_ms: int) -> Told:
        """Nothing came, or nothing that can be believed."""
        request, device = turn.request, turn.request.device
        device.failures += 1
        told = device.health.failed(now_ms, reason)
        told = _all(told, self._failed_turn(request, Quality.BAD_COMM, now_ms))
        if device.health.state == "silent":
            request.turns.again()
            self._schedule.suspend(device.settings.id, int(self._cost.silent_us(device.settings) / 1000), now_ms)
        elif device.failures > 1:
            self._schedule.skip(device.settings.id, now_ms)
        return told

    def again(self, turn: Turn, now_ms: int) -> None:
        """Nothing can be said of this turn: it is due at once."""
        turn.request.turns.again()
        self._schedule.hurry(turn.request.number, now_ms)

    # --- the link

    def link_failed(self, reason: str, now_ms: int) -> Told:
        """The link is down, or still is."""
        return _all(*(device.health.failed(now_ms, reason) for device in self._devices))

    def link_opened(self, now_ms: int) -> None:
        """The link is there again: everybody is asked at once."""
        for device in self._devices:
            self._schedule.resume(device.settings.id, now_ms)

    def figures(self) -> tuple[DeviceFigures, ...]:
        """The devices now."""
        return tuple(self._figures(device) for device in self._devices)

    def _answered(self, device: Polled, now_ms: int) -> Told:
        device.failures = 0
        told = device.health.answered(now_ms)
        self._schedule.resume(device.settings.id, now_ms)
        return told

    def _failed_turn(self, request: Request, quality: Quality, now_ms: int) -> Told:
        """One request of a device that otherwise answers; from the third time on it is made less often."""
        if request.set_aside:
            return NOTHING
        told = request.device.health.request_failed(request.number, request.poll.whole.points, now_ms, quality)
        if told.readings:
            self._slow(request, _FAILING_PERIOD_MS, now_ms)
            request.slowed = True
        elif request.device.health.state != "silent" and request.turns.failed():
            self._replace(request, without_rides(request.poll), now_ms)
        return told

    def _slow(self, request: Request, least_ms: int, now_ms: int) -> None:
        period_ms = max(request.poll.period_ms, least_ms)
        self._schedule.add(request.number, request.device.settings.id, period_ms, now_ms + period_ms)

    def _add(self, device: Polled, poll: Poll, first_ms: int) -> None:
        """A request that is made at first_ms, whatever its phase, so that nobody waits for the first values."""
        self._numbers += 1
        self._requests[self._numbers] = Request(self._numbers, device, Turns(poll))
        self._schedule.add(self._numbers, device.settings.id, poll.period_ms, first_ms, self._began_ms + poll.phase_ms)

    def _replace(self, request: Request, parts: Sequence[Poll], now_ms: int) -> None:
        """These requests stand for one, and are made at once."""
        self._schedule.remove(request.number)
        del self._requests[request.number]
        for part in parts:
            self._add(request.device, part, now_ms)

    def _schedule_on_grid(self, request: Request, now_ms: int) -> None:
        """A request goes back to its period: its next turn is the next instant of its grid."""
        period_ms, origin_ms = request.poll.period_ms, self._began_ms + request.poll.phase_ms
        next_ms = origin_ms + ((now_ms - origin_ms) // period_ms + 1) * period_ms
        self._schedule.add(request.number, request.device.settings.id, period_ms, next_ms, origin_ms)

    def _figures(self, device: Polled) -> DeviceFigures:
        health, id = device.health, device.settings.id
        aside = [request for request in self._requests.values() if request.set_aside and request.device is device]
        return DeviceFigures(
            id=id,
            state=health.state,
            since_ms=health.since_ms,
            reason=health.reason,
            turnaround_p50_ms=percentile(device.turnarounds_ms, 0.5),
            turnaround_p95_ms=percentile(device.turnarounds_ms, 0.95),
            refused=tuple(point.id for request in aside for point in request.block.points),
            probe_interval_ms=self._schedule.probe_interval_ms(id),
        )


def _all(*told: Told) -> Told:
    """Everything, in order."""
    return Told(
        tuple(reading for each in told for reading in each.readings),
        tuple(happening for each in told for happening in each.happenings),
    )
