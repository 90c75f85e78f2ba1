"""Pure. When the requests of a bus begin, so that their load is level and none waits for another.

Time is cut into ticks of the shortest period, or of a part of it where the others are no multiples of it. Each poll is put where
the fullest tick that it meets is least full, fast ones first; within a tick requests stand one behind the other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from edge_agent.model.line_cost import DeviceCost
from edge_agent.model.poll import Poll

_MOST_TICKS = 360
_MOST_PLACES = 48
_MOST_PARTS = 4


def levelled(polls: Sequence[tuple[Poll, DeviceCost]], beside: Sequence[tuple[Poll, DeviceCost]] = ()) -> list[Poll]:
    """The polls, in their order, with phases. beside: polls of the bus that have theirs already."""
    if not polls:
        return []
    tick_ms = _tick_ms([poll.period_ms for poll, _ in (*polls, *beside)])
    loads_ms = [0.0] * _horizon([poll for poll, _ in (*polls, *beside)], tick_ms)
    for poll, cost in beside:
        for tick, cost_ms in _landings(_steps(poll, cost, tick_ms), poll.phase_ms // tick_ms, len(loads_ms)):
            loads_ms[tick] += cost_ms
    placed: dict[int, Poll] = {}
    for number, (poll, cost) in sorted(enumerate(polls), key=lambda item: item[1][0].period_ms):
        steps = _steps(poll, cost, tick_ms)
        cycle = min(steps[-1][0], len(loads_ms))
        at = min(range(0, cycle, -(-cycle // _MOST_PLACES)), key=lambda place: _fullest(loads_ms, steps, place))
        behind_ms = min(loads_ms[at], 0.9 * tick_ms)
        for tick, cost_ms in _landings(steps, at, len(loads_ms)):
            loads_ms[tick] += cost_ms
        placed[number] = replace(poll, phase_ms=at * tick_ms + int(behind_ms))
    return [placed[number] for number in range(len(polls))]


def _tick_ms(periods_ms: Sequence[int]) -> int:
    """The shortest period, or a part of it of which all are multiples."""
    shortest_ms, common_ms = min(periods_ms), math.gcd(*periods_ms)
    return common_ms if common_ms * _MOST_PARTS >= shortest_ms else shortest_ms


def _horizon(polls: Sequence[Poll], tick_ms: int) -> int:
    cycles = {max(1, round(poll.period_ms / tick_ms)) * poll.rides[-1].every for poll in polls}
    return min(_MOST_TICKS, math.lcm(*cycles))


def _steps(poll: Poll, cost: DeviceCost, tick_ms: int) -> list[tuple[int, float]]:
    """(every so many ticks, wire time more than what was before), ms: of the turn itself, then of what rides along."""
    apart = max(1, round(poll.period_ms / tick_ms))
    found: list[tuple[int, float]] = []
    paid_ms = 0.0
    for every, span in poll.spans():
        all_ms = cost.of(span.table, span.count) / 1000
        found.append((apart * every, all_ms - paid_ms))
        paid_ms = all_ms
    return found


def _landings(steps: Sequence[tuple[int, float]], at: int, ticks: int) -> Iterator[tuple[int, float]]:
    for apart, cost_ms in steps:
        yield from ((tick, cost_ms) for tick in range(at % apart, ticks, apart))


def _fullest(loads_ms: Sequence[float], steps: Sequence[tuple[int, float]], at: int) -> tuple[float, float]:
    """The fullest tick among those that a poll would meet at a place, and what they hold together.

    Of a request that is made in every tick only what rides along makes a difference.
    """
    counted = steps[1:] if steps[0][0] == 1 and len(steps) > 1 else steps[:1]
    met = [loads_ms[tick] for apart, _ in counted for tick in range(at % apart, len(loads_ms), apart)]
    return max(met), sum(met)
