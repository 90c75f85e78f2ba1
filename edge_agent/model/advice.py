"""Pure. What to change where the periods asked for cannot be met: each advice is tried on the plan, and says what comes of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from edge_agent.common.problem import Problem
from edge_agent.model.forecast import NOTHING_MEASURED, BusForecast, forecast, steps_share
from edge_agent.model.joint_plan import joint_plan, load_of
from edge_agent.model.line_cost import Cost, cost_of
from edge_agent.model.points import Bus, Device, Serial

_GOAL_SHARE = 0.85
_WORTH_SHARE = 0.1
"""A change of limits is worth saying if it frees so much of the bus."""
_PERIODS_MS = (200, 500, 1000, 2000, 5000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000)
_BAUDRATES = (19_200, 38_400, 57_600, 115_200)
_MOST_TRIES = 8
"""Of changes of one kind whose schedule is run, the least harmful first."""


@dataclass(frozen=True, slots=True)
class Advice:
    """One change that helps. share: of the bus after it, or of the busier one of two."""

    change: str
    share: float

    @property
    def words(self) -> str:
        """With what comes of it."""
        return f"{self.change} (the bus is then busy {self.share:.0%})".replace("%", " %")


def overloaded(bus: Bus, found: BusForecast, cost: Cost, measured_ms: Mapping[str, float] = NOTHING_MEASURED) -> Problem:
    """BUS120, for a forecast that is not met."""
    first, *others = [each.words for each in advice(bus, cost, measured_ms)] or ["read fewer points, or the same ones less often"]
    late = (
        f"{found.late_point} comes {found.late_ms / 1000:.1f} s later than its period"
        if found.late_point
        else "no time is left for repeats"
    )
    what = f"It would need {found.share:.0%} of its time to read every point at its period: {late}.".replace("%", " %")
    detail = "\n".join(f"or: {each}" for each in others)
    return Problem("BUS120", f'bus "{bus.id}"', what, f"{first}.", detail)


def advice(bus: Bus, cost: Cost, measured_ms: Mapping[str, float] = NOTHING_MEASURED) -> list[Advice]:
    """Changes of which each by itself makes every point come at its period, the least harmful first."""
    trial = _Trial(bus, cost, measured_ms)
    return [*_limits(trial), *_faster(trial), *_longer(trial), *_second_bus(trial)]


class _Trial:
    """A bus on which changes are tried. The load of devices that a change leaves alone is computed once."""

    def __init__(self, bus: Bus, cost: Cost, measured_ms: Mapping[str, float]) -> None:
        self.bus = bus
        self.cost = cost
        self.measured_ms = measured_ms
        self.loads = {device.id: self.load(device, cost) for device in bus.devices}

    @property
    def share(self) -> float:
        """As it is."""
        return sum(self.loads.values())

    def load(self, device: Device, cost: Cost) -> float:
        """A device's share of the bus."""
        measured_ms = self.measured_ms.get(device.id)
        polls = joint_plan(device, cost, measured_ms)
        return load_of(polls, cost.of_device(device, measured_ms)) + steps_share(device, polls, cost, measured_ms)

    def share_with(self, device: Device) -> float:
        """With one device changed."""
        return self.share - self.loads[device.id] + self.load(device, self.cost)

    def is_met(self, bus: Bus, cost: Cost) -> bool:
        """True if a changed bus gives every point at its period."""
        return forecast(bus, cost, self.measured_ms).is_met

    def changed(self, device: Device) -> Bus:
        """The bus with one device changed."""
        return replace(self.bus, devices=tuple(device if other.id == device.id else other for other in self.bus.devices))

    def first_met(self, options: Iterable[tuple[Bus, Advice]]) -> Iterator[Advice]:
        """The first of these, all on the line as it is, whose schedule keeps to its periods; nothing if none of the first does."""
        for tried, (bus, found) in enumerate(options):
            if tried == _MOST_TRIES:
                return
            if self.is_met(bus, self.cost):
                yield found
                return


def _limits(trial: _Trial) -> Iterator[Advice]:
    """Limits of the profile that cost much; whether the device really has them, its manual says."""
    for device in trial.bus.devices:
        wide = replace(device, max_registers=125, max_bits=2000, gaps=True)
        if wide == device:
            continue
        share = trial.share_with(wide)
        if trial.share - share >= _WORTH_SHARE and share <= _GOAL_SHARE:
            names = ", ".join(f"`requests.{name}`" for name in ("max_registers", "max_bits", "gaps") if _differ(device, wide, name))
            change = f'if the manual of "{device.id}" allows it, take {names} out of its profile'
            yield from trial.first_met([(trial.changed(wide), Advice(change, share))])


def _differ(one: Device, other: Device, name: str) -> bool:
    return bool(getattr(one, name) != getattr(other, name))


def _faster(trial: _Trial) -> Iterator[Advice]:
    line = trial.bus.link
    if not isinstance(line, Serial):
        return
    for baudrate in _BAUDRATES:
        if baudrate <= line.baudrate:
            continue
        bus = replace(trial.bus, link=replace(line, baudrate=baudrate))
        cost = cost_of(bus, trial.cost.lag_us)
        share = sum(trial.load(device, cost) for device in bus.devices)
        if share <= _GOAL_SHARE and trial.is_met(bus, cost):
            yield Advice(f"raise `baudrate` from {line.baudrate} to {baudrate}, here and in every device of the bus", share)
            return


def _longer(trial: _Trial) -> Iterator[Advice]:
    """The one period of one device whose change is least, and one for all that are shorter."""
    options = sorted(_one_longer(trial), key=lambda option: option[0])
    yield from trial.first_met((trial.changed(device), found) for _, device, found in options)
    if len(trial.bus.devices) > 1:
        yield from trial.first_met(_all_longer(trial))


def _one_longer(trial: _Trial) -> Iterator[tuple[float, Device, Advice]]:
    """(how many times as long, the device, what is said)."""
    for device in trial.bus.devices:
        for period_ms in sorted({point.period_ms for point in device.points}):
            for longer_ms in (longer for longer in _PERIODS_MS if longer > period_ms):
                changed = _stretched(device, period_ms, period_ms, longer_ms)
                share = trial.share_with(changed)
                if share <= _GOAL_SHARE:
                    change = f'set the period of "{device.id}" to {spoken(longer_ms)} where it is {spoken(period_ms)}'
                    yield longer_ms / period_ms, changed, Advice(change, share)
                    break


def _all_longer(trial: _Trial) -> Iterator[tuple[Bus, Advice]]:
    for longer_ms in _PERIODS_MS:
        bus = replace(trial.bus, devices=tuple(_stretched(device, 0, longer_ms, longer_ms) for device in trial.bus.devices))
        if bus != trial.bus:
            share = sum(trial.load(device, trial.cost) for device in bus.devices)
            if share <= _GOAL_SHARE:
                yield bus, Advice(f"set every period of the bus to {spoken(longer_ms)} at least", share)


def _second_bus(trial: _Trial) -> Iterator[Advice]:
    """The devices in two parts of about the same load."""
    parts: tuple[list[str], list[str]] = ([], [])
    shares = [0.0, 0.0]
    for id, share in sorted(trial.loads.items(), key=lambda item: -item[1]):
        least = shares.index(min(shares))
        shares[least] += share
        parts[least].append(id)
    if not parts[1] or max(shares) > _GOAL_SHARE:
        return
    for part in parts:
        rest = tuple(device for device in trial.bus.devices if device.id in part)
        if not trial.is_met(replace(trial.bus, devices=rest), trial.cost):
            return
    moved = ", ".join(f'"{id}"' for id in min(parts, key=len))
    yield Advice(f"move {moved} to a second bus", max(shares))


def _stretched(device: Device, least_ms: int, most_ms: int, longer_ms: int) -> Device:
    """With every period of least_ms to most_ms made longer_ms."""
    points = (replace(p, period_ms=longer_ms) if least_ms <= p.period_ms <= most_ms else p for p in device.points)
    return replace(device, points=tuple(points))


def spoken(span_ms: float) -> str:
    """A time as people write it: `500 ms`, `2 s`, `5 min`."""
    for unit, size in (("h", 3_600_000), ("min", 60_000), ("s", 1000)):
        if span_ms >= size and span_ms % (size // 10) == 0:
            return f"{span_ms / size:g} {unit}"
    return f"{span_ms:g} ms" if span_ms < 1000 else f"{span_ms / 1000:.3g} s"
