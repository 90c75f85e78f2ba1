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
from edge_agent.model.learning import REFUSED_PERIOD_MS, Learning
from edge_agent.model.lessons import NOTHING_LEARNED, LessonsOf, cut_between
from edge_agent.model.line_cost import Cost
from edge_agent.model.link_health import PERIOD_MS
from edge_agent.model.pace import Pace
from edge_agent.model.points import Bus, Device
from edge_agent.model.poll import split, without_rides
from edge_agent.model.polled import Came, Polled, Request, Seen, Turn, figures_of
from edge_agent.model.reading import Reading
from edge_agent.model.reply import readings_of
from edge_agent.model.requests import Requests
from edge_agent.model.schedule import Schedule, Wait

__all__ = ["Came", "Polled", "Polling", "Request", "Seen", "Turn"]
_FAILING_PERIOD_MS = 60_000
"""How often a request is made that fails while its device answers others."""


class Polling:
    """The requests of one bus. Times are monotonic."""

    def __init__(self, bus: Bus, seed: int, now_ms: int, cost: Cost, lessons: LessonsOf = NOTHING_LEARNED) -> None:
        """seed: of the jitter of probes. cost: of the bus's line. lessons: of earlier runs.

        Raises ProblemError BUS110 where points cannot be read as the site file wants.
        """
        self.readings = 0
        """Given since start."""
        self._cost = cost
        self._schedule: Schedule[int] = Schedule(bus.probe_budget, seed, now_ms)
        self._devices = [Polled.of(device, now_ms) for device in bus.devices]
        self._longest_ms = max((self._turn_ms(device) for device in bus.devices), default=0)
        self._link_told_ms = now_ms
        self._pace = Pace(now_ms)
        self._requests = Requests(self._schedule, self._pace, now_ms)
        self._learning = Learning(BusPlan(bus, cost, lessons), self._requests, self._schedule, self._pace, now_ms)
        self.first: Told = self._learning.begin(self._devices, seed, now_ms)
        """To be told before anything else."""

    @property
    def planned(self) -> Planned:
        """The plan in force."""
        return self._learning.planned

    @property
    def lessons(self) -> LessonsOf:
        """What is known of each device of which anything is; for the next run."""
        return self._learning.lessons

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
            request = next((each for each in self._requests.of(request.device) if not each.block.is_latched), request)
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
            askable = [request for request in self._requests.of(device) if not request.block.is_latched and not request.set_aside]
            if askable and (found[1] is None or until_ms < found[0]):
                found = until_ms, min(askable, key=lambda request: request.poll.narrow.count)
        return found

    def others(self, turn: Turn) -> list[Block]:
        """What else may be read of the turn's device in passing."""
        requests = (
            request for request in self._requests.of(turn.request.device) if request is not turn.request and not request.set_aside
        )
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

    def look(self, now_ms: int) -> None:
        """To be called now and then: what was measured and learned goes into the plan."""
        self._learning.look(now_ms)

    def identified(self, device: Polled, firmware: str, now_ms: int) -> None:
        """A device was asked who it is. firmware: empty where it does not say."""
        self._learning.identified(device, firmware, now_ms)

    def measured(self, busy_share: float) -> PlanFigures:
        """What the bus really does."""
        requests = [request for request in self._requests if not request.set_aside]
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
            device.answers.came(came.reply_ms - self._cost.reply_us(turn.block.table, turn.block.count) / 1000)
        if turn.is_keepalive:
            return told[0]
        request.refusals = 0
        request.turns.worked()
        device.preparation.read(request.number)
        if request.set_aside:
            told += [accepted_again(point, taken_ms) for point in request.block.points]
        if request.set_aside or request.slowed:
            self._well_again(request, now_ms)
        else:
            self._pace.came(request.number, request.poll.period_ms, taken_ms, lambda: name_of(turn.block))
        readings = readings_of(turn.block, words, taken_ms)
        self.readings += len(readings)
        told.append(device.health.request_worked(request.number, turn.block.points, readings))
        self._learning.worked(request, now_ms)
        return both(*told, Told(tuple(readings)))

    def _well_again(self, request: Request, now_ms: int) -> None:
        """A request that was made more rarely works: it is made at its period again, or the plan has it in another one."""
        was_set_aside = request.set_aside
        request.set_aside = request.slowed = False
        self._requests.on_grid(request, now_ms)
        if was_set_aside:
            self._learning.accepted(request, now_ms)

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
            self._slow(request, REFUSED_PERIOD_MS, now_ms)
            self._learning.refused(request, code, now_ms)
            return both(told, *(health.point_refused(point, now_ms, code) for point in turn.block.points))
        self._learning.cut(request, turn.block)
        first, second = sorted((part.whole for part in parts), key=lambda block: block.address)
        self._requests.replace(request, parts, now_ms, cut_between(first, second))
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
        return tuple(
            figures_of(
                device,
                self._requests.of(device),
                self._learning.of(device),
                self._schedule.probe_interval_ms(device.settings.id),
                now_ms,
            )
            for device in self._devices
        )

    def _lost(self, device: Polled) -> None:
        """Who knows what it forgot, and how long its points waited is not the bus's doing."""
        device.preparation.lost()
        device.answers.forget()
        device.is_known = not device.settings.identifies
        for request in self._requests.of(device):
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
            self._requests.replace(request, without_rides(request.poll), now_ms)
        return told

    def _probe_cost_ms(self, device: Device) -> int:
        return int(self._cost.silent_us(device) / 1000) + 1

    def _turn_ms(self, device: Device) -> int:
        """The longest that a turn of the device usually lasts: nobody answers, and after a rest it is asked again."""
        return (device.retries + 1) * self._probe_cost_ms(device) + device.retries * device.timeout_ms

    def _slow(self, request: Request, least_ms: int, now_ms: int) -> None:
        period_ms = max(request.poll.period_ms, least_ms)
        self._requests.slow(request, period_ms, now_ms + period_ms)
