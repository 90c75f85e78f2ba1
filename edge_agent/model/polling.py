"""Pure. One bus at work: whose turn it is, what an answer or its absence means, and what is told of it.

A step machine: `next` gives a turn or a time to wait until; whoever has the link takes its steps and makes the exchange, and says
what came of it: `prepared`, then `worked`, `refused`, `faulted` or `failed`, each of which gives what is to be told, then `spent`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_agent.contract.quality import Quality
from edge_agent.model.blocks import Block
from edge_agent.model.bus_figures import DeviceFigures
from edge_agent.model.health import NOTHING, DeviceHealth, Told, accepted_again, both
from edge_agent.model.joint_plan import joint_plan
from edge_agent.model.line_cost import Cost
from edge_agent.model.link_health import PERIOD_MS, LinkHealth
from edge_agent.model.phases import levelled
from edge_agent.model.points import Bus, Device
from edge_agent.model.poll import Poll, Turns, split, without_rides
from edge_agent.model.preparation import Ahead, Preparation
from edge_agent.model.reading import Reading
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
    link: LinkHealth
    preparation: Preparation
    failures: int = 0
    """Requests without answer since the last answer."""
    spoken_ms: int | None = None
    """When something was last said to it."""


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
    is_keepalive: bool = False
    """Asked so that the device does not miss its master: nobody waits for the values."""
    steps: tuple[Ahead, ...] = ()
    """To be taken first."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What an exchange met with on the line, retries included."""

    timeouts: int = 0
    errors: int = 0
    exceptions: int = 0


class Polling:
    """The requests of one bus. Times are monotonic."""

    def __init__(self, bus: Bus, seed: int, now_ms: int, cost: Cost) -> None:
        """seed: of the jitter of probes. cost: of the bus's line.

        Raises ProblemError BUS110 where points cannot be read as the site file wants.
        """
        self.readings = 0
        """Given since start."""
        self._cost = cost
        self._schedule: Schedule[int] = Schedule(bus.probe_budget, seed, now_ms)
        self._devices = [
            Polled(device, DeviceHealth(device, now_ms), LinkHealth(device), Preparation(device)) for device in bus.devices
        ]
        self._requests: dict[int, Request] = {}
        self._numbers = 0
        self._longest_ms = max((self._turn_ms(device) for device in bus.devices), default=0)
        self._link_told_ms = now_ms
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
        until_ms, neglected = self._neglected(now_ms)
        if neglected is not None and until_ms <= now_ms:
            return self._turn(neglected, neglected.poll.narrow, now_ms, is_keepalive=True)
        due = self._schedule.next(now_ms)
        if isinstance(due, Wait):
            return due if neglected is None else Wait(min(due.until_ms, until_ms))
        request, turn = self._requests[due.request], due.turn
        if due.is_probe and request.block.is_latched:  # what it would clear is lost if the answer is
            request = next((each for each in self._of(request.device) if not each.block.is_latched), request)
            turn = self._schedule.turn(request.number, now_ms)
        return self._turn(request, request.turns.take(turn), now_ms, is_probe=due.is_probe)

    def _turn(self, request: Request, block: Block, now_ms: int, *, is_probe: bool = False, is_keepalive: bool = False) -> Turn:
        device = request.device
        once = is_probe or device.failures or block.is_latched
        steps = device.preparation.ahead(request.number, device.spoken_ms, now_ms)
        return Turn(request, block, 0 if once else device.settings.retries, is_probe, is_keepalive, steps)

    def _neglected(self, now_ms: int) -> tuple[int, Request | None]:
        """The request that keeps a device alive, and when it must be made; as long before the time as another turn may last."""
        found: tuple[int, Request | None] = (now_ms, None)
        for device in self._devices:
            keepalive_ms = device.settings.keepalive_ms
            if not keepalive_ms or device.spoken_ms is None or device.health.state == "silent":
                continue
            until_ms = device.spoken_ms + keepalive_ms - min(self._longest_ms, 3 * keepalive_ms // 4)
            askable = [request for request in self._of(device) if not request.block.is_latched and not request.set_aside]
            if askable and (found[1] is None or until_ms < found[0]):
                found = until_ms, min(askable, key=lambda request: request.poll.narrow.count)
        return found

    def others(self, turn: Turn) -> list[Block]:
        """What else may be read of the turn's device in passing."""
        requests = (request for request in self._of(turn.request.device) if request is not turn.request and not request.set_aside)
        return [request.block for request in requests if not request.block.is_latched]

    def prepared(self, turn: Turn, now_ms: int) -> None:
        """The steps of the turn were taken."""
        turn.request.device.preparation.done(turn.steps, now_ms)

    def spent(self, turn: Turn, spent_ms: int, now_ms: int, seen: Seen = Seen()) -> None:
        """The turn took so long; what it met with."""
        device = turn.request.device
        device.spoken_ms = now_ms
        device.link.count(seen.timeouts, seen.errors, seen.exceptions)
        if turn.is_probe:
            self._schedule.spent(device.settings.id, spent_ms)

    def link_readings(self, now_ms: int) -> list[Reading]:
        """Once a minute: how well each device can be reached."""
        if now_ms - self._link_told_ms < PERIOD_MS:
            return []
        self._link_told_ms = now_ms
        return [reading for device in self._devices for reading in device.link.readings(now_ms)]

    # --- what came of a turn

    def worked(self, turn: Turn, words: Sequence[int], turnaround_ms: int | None, taken_ms: int, now_ms: int) -> Told:
        """The words came. taken_ms: when."""
        request, device = turn.request, turn.request.device
        told = [self._answered(device, now_ms)]
        if turnaround_ms is not None:
            device.link.answered(turnaround_ms)
        if turn.is_keepalive:
            return told[0]
        request.refusals = 0
        request.turns.worked()
        device.preparation.read(request.number)
        if request.set_aside or request.slowed:
            if request.set_aside:
                told += [accepted_again(point, taken_ms) for point in request.block.points]
            request.set_aside = request.slowed = False
            self._schedule_on_grid(request, now_ms)
        readings = readings_of(turn.block, words, taken_ms)
        self.readings += len(readings)
        told.append(device.health.request_worked(request.number, turn.block.points, readings))
        return both(*told, Told(tuple(readings)))

    def refused(self, turn: Turn, code: int, now_ms: int) -> Told:
        """Exceptions 1-3: said twice, the block is split until the bad point is alone."""
        request, health = turn.request, turn.request.device.health
        told = self._answered(request.device, now_ms)
        if request.set_aside or turn.is_keepalive:
            return told
        request.refusals += 1
        if request.refusals < 2:
            self.again(turn, now_ms)
            return told
        parts = split(request.poll, turn.block)
        if len(parts) == 1:
            request.set_aside = True
            self._slow(request, _REFUSED_PERIOD_MS, now_ms)
            return both(told, *(health.point_refused(point, now_ms, code) for point in turn.block.points))
        self._replace(request, parts, now_ms)
        return told

    def faulted(self, turn: Turn, code: int, now_ms: int) -> Told:
        """Another exception: the device answers, but gives nothing in this turn."""
        told = self._answered(turn.request.device, now_ms)
        return both(told, self._failed_turn(turn, Quality.BAD_SENSOR, f"exception {code}", now_ms))

    def failed(self, turn: Turn, reason: str, now_ms: int) -> Told:
        """Nothing came, or nothing that can be believed, or a step was refused."""
        device = turn.request.device
        device.failures += 1
        told = device.health.failed(now_ms, reason)
        told = both(told, self._failed_turn(turn, Quality.BAD_COMM, reason, now_ms))
        if device.health.state == "silent":
            device.preparation.lost()
            if not turn.is_keepalive:
                turn.request.turns.again()
            self._schedule.suspend(device.settings.id, self._probe_cost_ms(device.settings), now_ms)
        elif device.failures > 1:
            self._schedule.skip(device.settings.id, now_ms)
        return told

    def again(self, turn: Turn, now_ms: int) -> None:
        """Nothing can be said of this turn: it is due at once."""
        if not turn.is_keepalive:
            turn.request.turns.again()
        self._schedule.hurry(turn.request.number, now_ms)

    # --- the link

    def link_failed(self, reason: str, now_ms: int) -> Told:
        """The link is down, or still is."""
        return both(*(device.health.failed(now_ms, reason) for device in self._devices))

    def link_opened(self, now_ms: int) -> None:
        """The link is there again: everybody is asked at once, and set up anew."""
        for device in self._devices:
            device.preparation.lost()
            self._schedule.resume(device.settings.id, now_ms)

    def figures(self) -> tuple[DeviceFigures, ...]:
        """The devices now."""
        return tuple(self._figures(device) for device in self._devices)

    def _answered(self, device: Polled, now_ms: int) -> Told:
        device.failures = 0
        told = device.health.answered(now_ms)
        self._schedule.resume(device.settings.id, now_ms)
        return told

    def _failed_turn(self, turn: Turn, quality: Quality, reason: str, now_ms: int) -> Told:
        """One request of a device that otherwise answers; from the third time on it is made less often."""
        request = turn.request
        if request.set_aside or turn.is_keepalive:
            return NOTHING
        told = request.device.health.request_failed(request.number, request.poll.whole.points, now_ms, quality, reason)
        if told.readings:
            self._slow(request, _FAILING_PERIOD_MS, now_ms)
            request.slowed = True
        elif request.device.health.state != "silent" and request.turns.failed():
            self._replace(request, without_rides(request.poll), now_ms)
        return told

    def _of(self, device: Polled) -> list[Request]:
        return [request for request in self._requests.values() if request.device is device]

    def _probe_cost_ms(self, device: Device) -> int:
        return int(self._cost.silent_us(device) / 1000) + 1

    def _turn_ms(self, device: Device) -> int:
        """The longest that a turn of the device usually lasts: nobody answers, and after a rest it is asked again."""
        return (device.retries + 1) * self._probe_cost_ms(device) + device.retries * device.timeout_ms

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
        health, link, id = device.health, device.link, device.settings.id
        return DeviceFigures(
            id=id,
            state=health.state,
            since_ms=health.since_ms,
            reason=health.reason,
            turnaround_p50_ms=link.turnaround_ms(0.5),
            turnaround_p95_ms=link.turnaround_ms(0.95),
            refused=tuple(point.id for request in self._of(device) if request.set_aside for point in request.block.points),
            probe_interval_ms=self._schedule.probe_interval_ms(id),
            timeouts=link.timeouts,
            errors=link.errors,
            exceptions=link.exceptions,
            points=health.points,
        )
