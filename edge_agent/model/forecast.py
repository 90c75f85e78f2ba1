"""Pure. What a bus will do: requests, wire time, cycle time, load, and how late the slowest point comes - before anything is asked.

The load is computed, lateness and cycle are those of the schedule itself, run in its own time with the wire time of each turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from edge_agent.model.blocks import Block
from edge_agent.model.joint_plan import joint_plan, load_of, separate_plan
from edge_agent.model.line_cost import Cost, DeviceCost
from edge_agent.model.phases import levelled
from edge_agent.model.points import Bus, Device
from edge_agent.model.poll import Poll, Turns
from edge_agent.model.schedule import Schedule, Wait, probe_interval_ms

NOTHING_MEASURED: Mapping[str, float] = MappingProxyType({})
_WARM_TURNS, _TURNS = 200, 3000
"""Turns that are run before anything is counted, each request once at least, and those that are counted, at most."""
_WARM_ROUNDS, _ROUNDS, _LEAST_MS = 2, 5, 300_000
"""The same, in turns of the slowest request; and so much time at least, because what is too much adds up slowly."""
FULL_SHARE = 0.95
"""A bus with more to do than this has no room for repeats."""
LATE_SHARE = 0.5
"""A reading that comes later than this part of its period after its time does not come at its period."""
_TOLD_MS = 50
"""Lateness below it is nobody's concern."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of the plan."""

    poll: Poll
    wire_ms: float
    """Of a turn, on the average."""
    share: float


@dataclass(frozen=True, slots=True)
class DeviceForecast:
    """One device. probe_interval_ms: how often it is asked while it is silent, all others being well."""

    id: str
    asked: tuple[Asked, ...]
    steps_share: float
    """Of the steps that it wants before each cycle of reading, and of keeping it alive."""
    turnaround_ms: float
    probe_interval_ms: int

    @property
    def share(self) -> float:
        """Of the bus."""
        return sum(each.share for each in self.asked) + self.steps_share


@dataclass(frozen=True, slots=True)
class BusForecast:
    """One bus. Shares are of its time and may be above 1."""

    id: str
    devices: tuple[DeviceForecast, ...]
    separate_share: float
    """What it would be if each period were read for itself."""
    wire_ms: float
    """Every point once."""
    asked_cycle_ms: int
    """The shortest period."""
    cycle_ms: float
    """How far apart readings of the fastest point are."""
    late_ms: int
    """How much longer than its period a point waits at most."""
    late_point: str
    late_share: float
    """The same of its own period, of the point where that is most."""
    missed: int
    """Turns that were left out in the time that was looked at."""

    @property
    def share(self) -> float:
        """How much of its time the bus needs."""
        return sum(device.share for device in self.devices)

    @property
    def requests(self) -> int:
        """Of the plan."""
        return sum(len(device.asked) for device in self.devices)

    @property
    def is_met(self) -> bool:
        """True if every point comes at its period, and some time is left."""
        return self.share <= FULL_SHARE and not self.missed and self.late_share <= LATE_SHARE

    @property
    def words(self) -> str:
        """As people are told."""
        is_told = self.late_ms >= _TOLD_MS or self.late_share > LATE_SHARE
        late = f"slowest point {max(self.late_ms, 100) / 1000:.1f} s late" if is_told else "every point in time"
        needs = f"busy {self.share:.0%}" if self.share <= 1 else f"would need {self.share:.0%} of its time"
        return f"bus {self.id} {needs}, {late}".replace("%", " %")


def forecast(bus: Bus, cost: Cost, measured_ms: Mapping[str, float] = NOTHING_MEASURED) -> BusForecast:
    """The forecast of a bus as the agent would plan it. cost: of its line. measured_ms: turn-arounds with all lag, by device.

    Raises ProblemError BUS110 where a point or a group fits in no request.
    """
    costs = {device.id: cost.of_device(device, measured_ms.get(device.id)) for device in bus.devices}
    planned = [(device, poll) for device in bus.devices for poll in joint_plan(device, cost, measured_ms.get(device.id))]
    polls = levelled([(poll, costs[device.id]) for device, poll in planned])
    placed = [(device, poll) for (device, _), poll in zip(planned, polls, strict=True)]
    return forecast_of(bus, placed, cost, measured_ms)


def forecast_of(
    bus: Bus, placed: Sequence[tuple[Device, Poll]], cost: Cost, measured_ms: Mapping[str, float] = NOTHING_MEASURED
) -> BusForecast:
    """The forecast of a bus that is read by these polls, which have their phases. Raises as `forecast`."""
    costs = {device.id: cost.of_device(device, measured_ms.get(device.id)) for device in bus.devices}
    devices = tuple(
        _device(device, [poll for other, poll in placed if other.id == device.id], cost, bus, measured_ms.get(device.id))
        for device in bus.devices
    )
    run = _run([(device.id, poll, costs[device.id]) for device, poll in placed], _slowdown(devices))
    apart = sum(load_of(separate_plan(device, cost, measured_ms.get(device.id)), costs[device.id]) for device in bus.devices)
    return BusForecast(
        id=bus.id,
        devices=devices,
        separate_share=apart + sum(device.steps_share for device in devices),
        wire_ms=sum(costs[device.id].of(poll.whole.table, poll.whole.count) for device, poll in placed) / 1000,
        asked_cycle_ms=min((poll.period_ms for _, poll in placed), default=0),
        cycle_ms=run.cycle_ms,
        late_ms=run.late_ms,
        late_point=run.late_point,
        late_share=run.late_share,
        missed=run.missed,
    )


def steps_share(device: Device, polls: Sequence[Poll], cost: Cost, measured_ms: float | None = None) -> float:
    """What the device costs beside its requests: steps before each cycle of reading, and requests that only keep it alive."""
    if not polls:
        return 0.0
    own = cost.of_device(device, measured_ms)
    cycle_ms = min(poll.period_ms for poll in polls)
    steps = device.trigger + (device.wake if device.wake and cycle_ms > device.wake_after_ms else ())
    share = sum(cost.write_us(device, len(step.words) or step.count) / 1000 + step.wait_ms for step in steps) / cycle_ms
    if 0 < device.keepalive_ms < cycle_ms:
        narrow = min((poll.narrow for poll in polls), key=lambda block: block.count)
        share += own.of(narrow.table, narrow.count) / 1000 * (1 / device.keepalive_ms - 1 / cycle_ms)
    return share


def _device(device: Device, polls: Sequence[Poll], cost: Cost, bus: Bus, measured_ms: float | None) -> DeviceForecast:
    own = cost.of_device(device, measured_ms)
    return DeviceForecast(
        id=device.id,
        asked=tuple(Asked(poll, poll.turn_us(own) / 1000, poll.load(own)) for poll in polls),
        steps_share=steps_share(device, polls, cost, measured_ms),
        turnaround_ms=device.turnaround_ms if measured_ms is None else measured_ms,
        probe_interval_ms=probe_interval_ms(cost.silent_us(device) / 1000, 1, max(bus.probe_budget, 1e-3)),
    )


def _slowdown(devices: Sequence[DeviceForecast]) -> float:
    """What steps before requests make of their time."""
    asked = sum(each.share for device in devices for each in device.asked)
    return 1 + sum(device.steps_share for device in devices) / asked if asked else 1.0


@dataclass(slots=True)
class _Run:
    cycle_ms: float = 0.0
    late_ms: int = 0
    late_point: str = ""
    late_share: float = 0.0
    missed: int = 0

    def waited(self, late_ms: float, period_ms: int, block: Block) -> None:
        """A turn came so much later than its period after the one before."""
        self.late_share = max(self.late_share, late_ms / period_ms)
        if int(late_ms) > self.late_ms:
            self.late_ms, self.late_point = int(late_ms), name_of(block)


def _run(polls: Sequence[tuple[str, Poll, DeviceCost]], slowdown: float) -> _Run:
    """The schedule in its own time."""
    run = _Run()
    if not polls:
        return run
    schedule: Schedule[int] = Schedule(0.02, 0, 0)
    turns = [Turns(poll) for _, poll, _ in polls]
    for number, (device, poll, _) in enumerate(polls):
        schedule.add(number, device, poll.period_ms, 0, poll.phase_ms)
    slowest_ms = max(poll.period_ms for _, poll, _ in polls)
    fastest = min(range(len(polls)), key=lambda number: polls[number][1].period_ms)
    now_us, warm, counted, missed_before = 0.0, 0, 0, 0
    seen: dict[int, float] = {}
    cycles_us: list[float] = []
    end_us = 1000.0 * max(slowest_ms * (_WARM_ROUNDS + _ROUNDS), _LEAST_MS)
    while counted < _TURNS and (now_us < end_us or not counted):
        due = schedule.next(int(now_us / 1000))
        if isinstance(due, Wait):
            now_us = max(now_us, 1000.0 * due.until_ms)
            continue
        if not counted and len(seen) == len(polls) and (warm > _WARM_TURNS or now_us > 1000 * slowest_ms * _WARM_ROUNDS):
            counted, missed_before = 1, schedule.missed
        warm, counted = warm + 1, counted + bool(counted)
        block = turns[due.request].take(due.turn)
        if counted and due.request in seen:
            period_ms = polls[due.request][1].period_ms
            run.waited((now_us - seen[due.request]) / 1000 - period_ms, period_ms, block)
            if due.request == fastest:
                cycles_us.append(now_us - seen[fastest])
        seen[due.request] = now_us
        now_us += slowdown * polls[due.request][2].of(block.table, block.count)
    run.cycle_ms = sum(cycles_us) / len(cycles_us) / 1000 if cycles_us else float(polls[fastest][1].period_ms)
    run.missed = schedule.missed - missed_before
    return run


def name_of(block: Block) -> str:
    """The point that stands for a request."""
    return f"{block.points[0].device}.{block.points[0].id}"
