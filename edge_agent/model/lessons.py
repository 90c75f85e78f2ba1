"""Pure. What a device taught: holes that no request may touch, and points that it does not have.

A request that is refused twice is halved until its parts work. Where both parts of a cut work by themselves, and together they do
not, a hole is between them: registers that the device does not have, or a border that no request may cross. A point that is refused
alone is not there. Both are kept per device and firmware (io/lessons_file.py) and tried again now and then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from edge_agent.model.blocks import Block, atoms_of
from edge_agent.model.points import Device, Point, Table

MOST_HOLES = 500


@dataclass(frozen=True, slots=True)
class Hole:
    """Addresses from `first` to before `end`; where both are the same a border."""

    table: Table
    first: int
    end: int

    @property
    def words(self) -> str:
        """As people write it."""
        if self.first == self.end:
            return f"{self.table} {self.first - 1}|{self.first}"
        return f"{self.table} {self.first}-{self.end - 1}" if self.end - self.first > 1 else f"{self.table} {self.first}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A point that the device does not have, with the exception that it gives."""

    point: str
    table: Table
    address: int
    code: int


@dataclass(frozen=True, slots=True)
class Lessons:
    """Of one device. firmware: as it identified itself; empty: it did not."""

    firmware: str = ""
    holes: tuple[Hole, ...] = ()
    """The ones that were tried last at the end."""
    refusals: tuple[Refusal, ...] = ()

    def with_hole(self, hole: Hole) -> Lessons:
        """One more."""
        return replace(self, holes=(*(other for other in self.holes if other != hole), hole)[-MOST_HOLES:])

    def without_oldest_hole(self) -> Lessons:
        """Without the one that was not tried for the longest time."""
        return replace(self, holes=self.holes[1:])

    def with_refused(self, points: Sequence[Point], code: int) -> Lessons:
        """These points are not there."""
        more = tuple(Refusal(point.id, point.table, point.address, code) for point in points)
        return replace(self.with_accepted(points), refusals=self.with_accepted(points).refusals + more)

    def with_accepted(self, points: Sequence[Point]) -> Lessons:
        """These points are there."""
        ids = {point.id for point in points}
        return replace(self, refusals=tuple(each for each in self.refusals if each.point not in ids))


NO_LESSONS = Lessons()
LessonsOf = Mapping[str, Lessons]
"""By device."""
NOTHING_LEARNED: LessonsOf = MappingProxyType({})


@dataclass(slots=True, eq=False)
class Cut:
    """A refused request in two parts."""

    hole: Hole | None
    """What is between them; None: they overlap, and nothing is learned of it."""
    waiting: int = 2
    """Parts that have not shown that they work by themselves."""

    def worked(self) -> Hole | None:
        """A part works by itself; gives the hole if both of them do."""
        self.waiting -= 1
        return self.hole if self.waiting == 0 else None


def cut_between(first: Block, second: Block) -> Cut:
    """For the parts of a refused request, by address."""
    return Cut(Hole(first.table, first.end, second.address) if first.end <= second.address else None)


def as_learned(device: Device, lessons: Lessons) -> tuple[Device, tuple[tuple[Block, int], ...]]:
    """The device without what it does not have and with its holes; the atoms that it refuses, each with the exception."""
    codes = {(each.point, each.table, each.address): each.code for each in lessons.refusals}
    kept: list[Block] = []
    refused: list[tuple[Block, int]] = []
    for table in sorted({point.table for point in device.points}):
        for atom in atoms_of(point for point in device.points if point.table == table):
            found = [codes.get((point.id, point.table, point.address)) for point in atom.points]
            if None in found:
                kept.append(atom)
            else:
                refused.append((atom, found[0] or 0))
    learned = [*lessons.holes, *(Hole(atom.table, atom.address, atom.end) for atom, _ in refused)]
    holes = tuple((hole.table, hole.first, hole.end - 1) for hole in learned if not any(_meets(hole, atom) for atom in kept))
    gone = {point.series for atom, _ in refused for point in atom.points}
    points = tuple(point for point in device.points if point.series not in gone)
    return replace(device, points=points, holes=device.holes + holes), tuple(refused)


def _meets(hole: Hole, atom: Block) -> bool:
    """True if a hole would forbid an atom itself, as where the profile has changed."""
    return (
        hole.table == atom.table
        and hole.first < atom.end
        and max(hole.end, hole.first + 1) > atom.address + (hole.first == hole.end)
    )
