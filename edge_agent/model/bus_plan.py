"""Pure. The plan of a bus as it runs: made of profiles and settings at first, made anew for a device as that is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from edge_agent.model.bus_figures import BusFigures, PlanFigures
from edge_agent.model.forecast import BusForecast, forecast_of
from edge_agent.model.joint_plan import joint_plan, load_of
from edge_agent.model.line_cost import Cost, DeviceCost
from edge_agent.model.phases import levelled
from edge_agent.model.points import Bus, Device
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
    """A device's part of the plan."""

    device: Device
    polls: tuple[Poll, ...] = ()
    measured_ms: float | None = None


@dataclass(slots=True)
class BusPlan:
    """The polls of a bus, by device. Raises ProblemError BUS110 where a point or a group fits in no request."""

    bus: Bus
    cost: Cost
    _parts: dict[str, _Part] = field(init=False)

    def __post_init__(self) -> None:
        self._parts = {device.id: _Part(device) for device in self.bus.devices}
        planned = [(part, poll) for part in self._parts.values() for poll in joint_plan(part.device, self.cost)]
        placed = levelled([(poll, self._cost_of(part)) for part, poll in planned])
        for (part, _), poll in zip(planned, placed, strict=True):
            part.polls += (poll,)

    @property
    def fastest_ms(self) -> int:
        """The shortest period."""
        return min((poll.period_ms for part in self._parts.values() for poll in part.polls), default=0)

    def polls_of(self, device: str) -> tuple[Poll, ...]:
        """The requests of a device, with phases."""
        return self._parts[device].polls

    def now(self) -> Planned:
        """The plan as it is."""
        placed = tuple((part.device, poll) for part in self._parts.values() for poll in part.polls)
        measured = {id: part.measured_ms for id, part in self._parts.items() if part.measured_ms is not None}
        return Planned(self.bus, self.cost, placed, measured)

    def is_news(self, device: str, measured_ms: float) -> bool:
        """True if a turn-around, with all lag, is not what the plan counts with."""
        part = self._parts[device]
        known_ms = part.device.turnaround_ms + self.cost.lag_us / 1000 if part.measured_ms is None else part.measured_ms
        return abs(measured_ms - known_ms) > max(_NEWS_MS, _NEWS_SHARE * known_ms)

    def measured(self, device: str, measured_ms: float) -> bool:
        """Counts with a turn-around from now on; True if the device has other requests for it."""
        part = self._parts[device]
        part.measured_ms = measured_ms
        cost = self._cost_of(part)
        polls = joint_plan(part.device, self.cost, measured_ms)
        if load_of(polls, cost) > (1 - _WORTH_SHARE) * load_of(part.polls, cost):
            return False
        part.polls = self._placed(part, polls)
        return True

    def _placed(self, part: _Part, polls: Sequence[Poll]) -> tuple[Poll, ...]:
        """The polls with phases that suit what the other devices do."""
        others = [(poll, self._cost_of(other)) for other in self._parts.values() if other is not part for poll in other.polls]
        cost = self._cost_of(part)
        return tuple(levelled([(poll, cost) for poll in polls], others))

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
