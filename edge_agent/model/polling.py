"""Pure. One bus at work: whose turn it is, what an answer or its absence means, and what is told of it.

A step machine: `next` gives a turn or a time to wait until; whoever has the link takes its steps and makes the exchange, and says
what came of it: `prepared`, then `worked`, `refused`, `faulted` or `failed`, each of which gives what is to be told, then `spent`.
"""

from __future__ import annotations

from collections.abc import Sequence

from edge_agent.contract.quality import Quality
from edge_agent.model.blocks import Block
from edge_agent.model.bus_figures import DeviceFigures, PlanFigures
from edge_agent.model.bus_plan import BusPlan, Planned
from edge_agent.model.forecast import name_of
from edge_agent.model.health import NOTHING, Told, accepted_again, both
from edge_agent.model.line_cost import Cost
from edge_agent.model.link_health import PERIOD_MS
from edge_agent.model.pace import Pace
from edge_agent.model.points import Bus, Device
from edge_agent.model.poll import Poll, Turns, split, without_rides
from edge_agent.model.polled import Came, Polled, Request, Seen, Turn
from edge_agent.model.reading import Reading
from edge_agent.model.reply import readings_of
from edge_agent.model.schedule import Schedule, Wait

__all__ = ["Came", "Polled", "Polling", "Request", "Seen", "Turn"]
_REFUSED_PERIOD_MS = 3_600_000
"""How often a refused point is tried again."""
_FAILING_PERIOD_MS = 60_000
"""How often a request is made that fails while its device answers others."""
_REPLAN_MS = 60_000
"""How often it is asked whether what was measured makes another plan."""


class Polling:
    """The requests of one bus. Times are monotonic."""

    def __init__(self, bus: Bus, seed: int, now_ms: int, cost: Cost) -> None:
        """seed: of the jitter of probes. cost: of the bus's line.

        Raises ProblemError BUS110 where points cannot be read as the site file wants.
        """
        self.readings = 0
        """Given since start."""
        self._plan = BusPlan(bus, cost)
        self._schedule: Schedule[int] = Schedule(bus.probe_budget, seed, now_ms)
        self._devices = [Polled.of(device, now_ms) for device in bus.devices]
        self._requests: dict[int, Request] = {}
        self._numbers = 0
        self._longest_ms = max((self._turn_ms(device) for device in bus.devices), default=0)
        self._link_told_ms = now_ms
        self._began_ms = now_ms
        self._replanned_ms = now_ms
        self._pace = Pace(now_ms)
        self._pace.begin(self._plan.fastest_ms)
        self.planned: Planned = self._plan.now()
        """The plan in force."""
        for device in self._devices:
            for poll in self._plan.polls_of(device.settings.id):
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
        device.answers.busy.add(spent_ms, now_ms)
        turn.request.spent_ms = spent_ms
        if turn.is_probe:
            self._schedule.spent(device.settings.id, spent_ms)

    def link_readings(self, now_ms: int) -> list[Reading]:
        """Once a minute: how well each device can be reached."""
        if now_ms - self._link_told_ms < PERIOD_MS:
            return []
        self._link_told_ms = now_ms
        return [reading for device in self._devices for reading in device.link.readings(now_ms)]

    def replan(self, now_ms: int) -> None:
        """Once a minute: measured turn-arounds go into the plan, and a device is asked otherwise where that saves time."""
        if now_ms - self._replanned_ms < _REPLAN_MS:
            return
        self._replanned_ms = now_ms
        is_new = False
        for device in self._devices:
            measured_ms, id = device.answers.measured_ms, device.settings.id
            requests = self._of(device)
            if measured_ms is None or device.health.state != "ok" or any(each.set_aside or each.slowed for each in requests):
                continue
            if not self._plan.is_news(id, measured_ms):
                continue
            is_new = True
            if self._plan.measured(id, measured_ms):
                for request in requests:
                    self._remove(request)
                for poll in self._plan.polls_of(id):
                    self._add(device, poll, now_ms)
        if is_new:
            self.planned = self._plan.now()

    def measured(self, busy_share: float) -> PlanFigures:
        """What the bus really does."""
        requests = [request for request in self._requests.values() if not request.set_aside]
        spent = [request.spent_ms for request in requests]
        wire_ms = float(sum(each or 0 for each in spent)) if None not in spent else None
        pace = self._pace.figures()
        return PlanFigures(busy_share, len(requests), wire_ms, pace.cycle_ms, pace.late_ms, pace.late_point)

    # --- what came of a turn

    def worked(self, turn: Turn, words: Sequence[int], came: Came, now_ms: int) -> Told:
        """The words came."""
        request, device, taken_ms = turn.request, turn.request.device, came.taken_ms
        told = [self._answered(device, now_ms)]
        if came.turnaround_ms is not None:
            device.link.answered(came.turnaround_ms)
        if came.reply_ms is not None:
            device.answers.came(came.reply_ms - self._plan.cost.reply_us(turn.block.table, turn.block.count) / 1000)
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
        else:
            self._pace.came(request.number, request.poll.period_ms, taken_ms, lambda: name_of(turn.block))
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
            self._lost(device)
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
            self._lost(device)
            self._schedule.resume(device.settings.id, now_ms)

    def figures(self, now_ms: int) -> tuple[DeviceFigures, ...]:
        """The devices now."""
        return tuple(self._figures(device, now_ms) for device in self._devices)

    def _lost(self, device: Polled) -> None:
        """Who knows what it forgot, and how long its points waited is not the bus's doing."""
        device.preparation.lost()
        device.answers.forget()
        for request in self._of(device):
            self._pace.forget(request.number)

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
        return int(self._plan.cost.silent_us(device) / 1000) + 1

    def _turn_ms(self, device: Device) -> int:
        """The longest that a turn of the device usually lasts: nobody answers, and after a rest it is asked again."""
        return (device.retries + 1) * self._probe_cost_ms(device) + device.retries * device.timeout_ms

    def _slow(self, request: Request, least_ms: int, now_ms: int) -> None:
        self._pace.forget(request.number)
        period_ms = max(request.poll.period_ms, least_ms)
        self._schedule.add(request.number, request.device.settings.id, period_ms, now_ms + period_ms)

    def _add(self, device: Polled, poll: Poll, first_ms: int) -> None:
        """A request that is made at first_ms, whatever its phase, so that nobody waits for the first values."""
        self._numbers += 1
        self._requests[self._numbers] = Request(self._numbers, device, Turns(poll))
        self._schedule.add(self._numbers, device.settings.id, poll.period_ms, first_ms, self._began_ms + poll.phase_ms)

    def _replace(self, request: Request, parts: Sequence[Poll], now_ms: int) -> None:
        """These requests stand for one, and are made at once."""
        self._remove(request)
        for part in parts:
            self._add(request.device, part, now_ms)

    def _remove(self, request: Request) -> None:
        self._schedule.remove(request.number)
        self._pace.forget(request.number)
        del self._requests[request.number]

    def _schedule_on_grid(self, request: Request, now_ms: int) -> None:
        """A request goes back to its period: its next turn is the next instant of its grid."""
        period_ms, origin_ms = request.poll.period_ms, self._began_ms + request.poll.phase_ms
        next_ms = origin_ms + ((now_ms - origin_ms) // period_ms + 1) * period_ms
        self._schedule.add(request.number, request.device.settings.id, period_ms, next_ms, origin_ms)

    def _figures(self, device: Polled, now_ms: int) -> DeviceFigures:
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
            busy_share=device.answers.busy.share(now_ms),
            points=health.points,
        )
