"""Pure. A request that comes again and again, and what it reads in which of its turns.

Points with longer periods ride along: a request that is made each second reads some registers more in every tenth turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from edge_agent.model.blocks import Block, joined
from edge_agent.model.line_cost import DeviceCost

_HOPELESS = 4
"""Failures of wide turns, while others work, after which rides are parted."""


@dataclass(frozen=True, slots=True)
class Ride:
    """Atoms that are read in every so-manieth turn of a request: in those that are multiples of `every`."""

    every: int
    parts: tuple[Block, ...]

    def is_due(self, turn: int, served: int | None) -> bool:
        """True if it is to be read in `turn`, the last turn having been `served` (None: there was none)."""
        return served is None or turn // self.every > served // self.every


@dataclass(frozen=True, slots=True)
class Poll:
    """One request of the plan. Its turns are period_ms apart; turn 0 is phase_ms after the beginning."""

    period_ms: int
    rides: tuple[Ride, ...]
    """The first one is read in every turn. What all of them span may be read by one request."""
    phase_ms: int = 0

    @property
    def key(self) -> tuple[object, ...]:
        """The same of polls that ask the same, whatever their phase."""
        parts = tuple(
            (every, part.table, part.address, part.end, tuple(p.series for p in part.points)) for every, part in self.parts
        )
        return (self.period_ms, parts)

    @property
    def whole(self) -> Block:
        """All that it may ever read."""
        return joined([part for ride in self.rides for part in ride.parts])

    @property
    def narrow(self) -> Block:
        """What is read in every turn."""
        return joined(self.rides[0].parts)

    @property
    def parts(self) -> list[tuple[int, Block]]:
        """(every, atom), by address."""
        found = [(ride.every, part) for ride in self.rides for part in ride.parts]
        return sorted(found, key=lambda item: (item[1].address, item[1].end))

    def read(self, turn: int, served: int | None) -> Block:
        """What a turn reads."""
        due = [part for ride in self.rides if ride.is_due(turn, served) for part in ride.parts]
        return joined(due or list(self.rides[0].parts))

    def spans(self) -> list[tuple[int, Block]]:
        """(every so many turns, span), each wider than the one before."""
        found: list[tuple[int, Block]] = []
        for number, ride in enumerate(self.rides):
            span = joined([part for each in self.rides[: number + 1] for part in each.parts])
            if not found or (span.address, span.end) != (found[-1][1].address, found[-1][1].end):
                found.append((ride.every, span))
        return found

    def widths(self) -> list[tuple[float, Block]]:
        """(share of the turns, span) of the spans that its turns have."""
        spans = self.spans()
        rarer = [*(every for every, _ in spans[1:]), None]
        return [(1 / every - (1 / more if more else 0.0), span) for (every, span), more in zip(spans, rarer, strict=True)]

    def turn_us(self, cost: DeviceCost) -> float:
        """Wire time of a turn, on the average."""
        return sum(share * cost.of(span.table, span.count) for share, span in self.widths())

    def load(self, cost: DeviceCost) -> float:
        """Its share of the bus."""
        return self.turn_us(cost) / (1000.0 * self.period_ms)


class Turns:
    """A poll as it goes on: which block is asked in this turn."""

    def __init__(self, poll: Poll) -> None:
        self.poll = poll
        self.block = poll.whole
        """What was asked last; before the first turn everything."""
        self._served: int | None = None
        self._before: int | None = None
        self._made: dict[tuple[bool, ...], Block] = {}
        self._wide_failures = 0
        self._narrow_works = False

    def take(self, turn: int) -> Block:
        """The turn is taken: what to ask. Rides of turns that were missed are read now."""
        due = tuple(ride.is_due(turn, self._served) for ride in self.poll.rides)
        if due not in self._made:
            self._made[due] = self.poll.read(turn, self._served)
        self._before, self._served = self._served, turn
        self.block = self._made[due]
        return self.block

    def again(self) -> None:
        """The turn counts for nothing: the next one asks the same, and what has come due."""
        self._served = self._before

    def worked(self) -> None:
        """The turn gave its values."""
        if self._is_wide:
            self._wide_failures = 0
        else:
            self._narrow_works = True

    def failed(self) -> bool:
        """The turn gave nothing though the device is there. Rides get a second chance in the next turn, then in their own next one.

        True if what rides along must be parted from what is read in every turn, since that works and they never do.
        """
        if not self._is_wide:
            self.again()
            return False
        self._wide_failures += 1
        if self._wide_failures == 1:
            self._narrow_works = False
        if self._wide_failures % 2:
            self.again()
        return self._wide_failures >= _HOPELESS and self._narrow_works

    @property
    def _is_wide(self) -> bool:
        """True if more was asked than in every turn."""
        return len(self.block.points) > sum(len(part.points) for part in self.poll.rides[0].parts)


def alone(period_ms: int, atoms: Sequence[Block]) -> Poll:
    """A poll whose turns are all the same."""
    return Poll(period_ms, (Ride(1, tuple(atoms)),))


def split(poll: Poll, refused: Block) -> tuple[Poll, ...]:
    """Two polls in place of one of which `refused` was refused, cut amid that; the same one where it cannot be cut."""
    asked = [part for _, part in poll.parts if part.points[0] in refused.points]
    if len(asked) > 1:
        cut = asked[len(asked) // 2]
        return _parted(poll, lambda _, part: (part.address, part.end) < (cut.address, cut.end))
    return _parted(poll, lambda _, part: part in asked)


def without_rides(poll: Poll) -> tuple[Poll, ...]:
    """The poll of what is read in every turn, and one of all that rode along; the same one where nothing did."""
    return _parted(poll, lambda every, _: every == 1)


def _parted(poll: Poll, is_first: Callable[[int, Block], bool]) -> tuple[Poll, ...]:
    first = [(every, part) for every, part in poll.parts if is_first(every, part)]
    second = [(every, part) for every, part in poll.parts if not is_first(every, part)]
    return (_remade(poll, first), _remade(poll, second)) if first and second else (poll,)


def _remade(poll: Poll, parts: Sequence[tuple[int, Block]]) -> Poll:
    often = min(every for every, _ in parts)
    return replace(poll, period_ms=poll.period_ms * often, rides=rides_of([(every // often, part) for every, part in parts]))


def rides_of(parts: Sequence[tuple[int, Block]]) -> tuple[Ride, ...]:
    """Rides by how rare they are."""
    found: dict[int, list[Block]] = {}
    for every, part in parts:
        found.setdefault(every, []).append(part)
    return tuple(Ride(every, tuple(found[every])) for every in sorted(found))
