"""Pure. The plan of a bus as it runs: made of profiles and settings at first, and anew for a device as more is known of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from edge_agent.common.problem import ProblemError
from edge_agent.model.blocks import Block
from edge_agent.model.bus_figures import BusFigures, PlanFigures
from edge_agent.model.forecast import BusForecast, forecast_of
from edge_agent.model.joint_plan import joint_plan, load_of
from edge_agent.model.lessons import NO_LESSONS, NOTHING_LEARNED, Lessons, LessonsOf, as_learned
from edge_agent.model.line_cost import Cost, DeviceCost
from edge_agent.model.phases import levelled
from edge_agent.model.points import Bus, Device, Table
from edge_agent.model.poll import Poll

_NEWS_MS, _NEWS_SHARE = 3.0, 0.15
"""A turn-around that differs by less from the one of the plan changes nothing."""
_WORTH_SHARE = 0.02
"""A plan that saves less of a device's load is not worth other requests."""


@dataclass(frozen=True, slots=True, eq=False)
class Planned:
    """A plan at one moment: all that a forecast needs."""

    bus: Bus
    cost: Cost
    placed: tuple[tuple[Device, Poll], ...]
    measured_ms: Mapping[str, float]

    def forecast(self) -> BusForecast:
        """What comes of it."""
        return forecast_of(self.bus, self.placed, self.cost, self.measured_ms)


@dataclass(slots=True)
class _Part:
    """A device's part of the plan. device: as it was learned to be."""

    given: Device
    device: Device
    lessons: Lessons = NO_LESSONS
    refused: tuple[tuple[Block, int], ...] = ()
    """Atoms that it does not have, each with the exception."""
    polls: tuple[Poll, ...] = ()
    measured_ms: float | None = None
    vain: set[tuple[Table, int, int]] = field(default_factory=set)
    """Spans (first, end) that were refused as a whole: what covers one of them would be too."""

    def is_vain(self, polls: Sequence[Poll]) -> bool:
        """True if one of these requests was refused already, be it as a part of it."""
        blocks = [poll.whole for poll in polls]
        return any(b.table == table and b.address <= first and end <= b.end for b in blocks for table, first, end in self.vain)


class BusPlan:
    """The polls of a bus, by device. Raises ProblemError BUS110 where a point or a group fits in no request."""

    def __init__(self, bus: Bus, cost: Cost, lessons: LessonsOf = NOTHING_LEARNED) -> None:
        """lessons: of earlier runs."""
        self.bus = bus
        self.cost = cost
        self._parts = {device.id: _Part(device, device, lessons.get(device.id, NO_LESSONS)) for device in bus.devices}
        planned = [(part, poll) for part in self._parts.values() for poll in self._begun(part)]
        placed = levelled([(poll, self._cost_of(part)) for part, poll in planned])
        for (part, _), poll in zip(planned, placed, strict=True):
            part.polls += (poll,)
        self.is_changed = False
        """Since `now` was asked."""

    @property
    def fastest_ms(self) -> int:
        """The shortest period."""
        return min((poll.period_ms for part in self._parts.values() for poll in part.polls), default=0)

    def polls_of(self, device: str) -> tuple[Poll, ...]:
        """The requests of a device, with phases."""
        return self._parts[device].polls

    def refused_of(self, device: str) -> tuple[tuple[Block, int], ...]:
        """The atoms that a device does not have, each with its exception: no request of the plan touches them."""
        return self._parts[device].refused

    def lessons_of(self, device: str) -> Lessons:
        """What is known of a device."""
        return self._parts[device].lessons

    def now(self) -> Planned:
        """The plan as it is."""
        self.is_changed = False
        placed = tuple((part.device, poll) for part in self._parts.values() for poll in part.polls)
        measured = {id: part.measured_ms for id, part in self._parts.items() if part.measured_ms is not None}
        bus = replace(self.bus, devices=tuple(part.device for part in self._parts.values()))
        return Planned(bus, self.cost, placed, measured)

    def learned(self, device: str, lessons: Lessons) -> bool:
        """Plans a device anew with what is known of it.

        False where no such plan is possible, or it would ask again what was refused: the plan stays as it was, and so do requests.
        """
        part = self._parts[device]
        part.lessons = lessons
        try:
            known, refused = as_learned(part.given, lessons)
            polls = joint_plan(known, self.cost, part.measured_ms)
        except ProblemError:
            return False
        if part.is_vain(polls):
            return False
        part.device, part.refused = known, refused
        part.polls = self._placed(part, polls)
        self.is_changed = True
        return True

    def refused(self, device: str, block: Block) -> None:
        """A request for several points was refused."""
        self._parts[device].vain.add((block.table, block.address, block.end))

    def forget_refused(self, device: str) -> None:
        """What was refused may be tried again."""
        self._parts[device].vain.clear()

    def is_news(self, device: str, measured_ms: float) -> bool:
        """True if a turn-around, with all lag, is not what the plan counts with."""
        part = self._parts[device]
        known_ms = part.device.turnaround_ms + self.cost.lag_us / 1000 if part.measured_ms is None else part.measured_ms
        return abs(measured_ms - known_ms) > max(_NEWS_MS, _NEWS_SHARE * known_ms)

    def measured(self, device: str, measured_ms: float) -> bool:
        """Counts with a turn-around from now on; True if the device has other requests for it."""
        part = self._parts[device]
        part.measured_ms = measured_ms
        self.is_changed = True
        cost = self._cost_of(part)
        polls = joint_plan(part.device, self.cost, measured_ms)
        if part.is_vain(polls) or load_of(polls, cost) > (1 - _WORTH_SHARE) * load_of(part.polls, cost):
            return False
        part.polls = self._placed(part, polls)
        return True

    def _begun(self, part: _Part) -> tuple[Poll, ...]:
        """The polls of a device; lessons with which it cannot be planned are left out of account."""
        try:
            part.device, part.refused = as_learned(part.given, part.lessons)
            return joint_plan(part.device, self.cost)
        except ProblemError:
            part.device, part.refused, part.lessons = part.given, (), NO_LESSONS
            return joint_plan(part.given, self.cost)

    def _placed(self, part: _Part, polls: Sequence[Poll]) -> tuple[Poll, ...]:
        """The polls with phases that suit what the other devices do; one that there was keeps its own."""
        kept = {poll.key: poll for poll in part.polls}
        cost = self._cost_of(part)
        beside = [(poll, self._cost_of(other)) for other in self._parts.values() if other is not part for poll in other.polls]
        beside += [(kept[poll.key], cost) for poll in polls if poll.key in kept]
        fresh = iter(levelled([(poll, cost) for poll in polls if poll.key not in kept], beside))
        return tuple(kept[poll.key] if poll.key in kept else next(fresh) for poll in polls)

    def _cost_of(self, part: _Part) -> DeviceCost:
        return self.cost.of_device(part.device, part.measured_ms)


class Forecasts:
    """The forecast of a plan, made once for each plan, and not before somebody asks: it takes a while on a small machine."""

    def __init__(self) -> None:
        self._plan: Planned | None = None
        self._figures: PlanFigures | None = None
        self._shares: dict[str, float] = {}

    def beside(self, measured: BusFigures, plan: Planned) -> BusFigures:
        """What was measured with what was planned beside it."""
        if plan is not self._plan:
            found = plan.forecast()
            self._plan = plan
            self._figures = PlanFigures(found.share, found.requests, found.wire_ms, found.cycle_ms, found.late_ms, found.late_point)
            self._shares = {device.id: device.share for device in found.devices}
        devices = tuple(replace(device, planned_busy_share=self._shares.get(device.id)) for device in measured.devices)
        return replace(measured, planned=self._figures, devices=devices)
