"""Pure. Requests as spans of addresses with the points they serve, and what no request may cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edge_agent.common.problem import Problem, ProblemError
from edge_agent.model.points import Device, Point, Table


@dataclass(frozen=True, slots=True)
class Block:
    """One request and the points that its reply serves."""

    table: Table
    address: int
    count: int
    points: tuple[Point, ...]

    @property
    def period_ms(self) -> int:
        """How often it is asked."""
        return min(point.period_ms for point in self.points)

    @property
    def end(self) -> int:
        """First address after it."""
        return self.address + self.count

    @property
    def is_latched(self) -> bool:
        """True if reading it clears something: it is asked in its own turn alone, and not again when that fails."""
        return any(point.latched for point in self.points)


def joined(parts: Sequence[Block]) -> Block:
    """One block over all of these."""
    start, end = min(part.address for part in parts), max(part.end for part in parts)
    points = sorted((point for part in parts for point in part.points), key=lambda p: (p.address, p.series))
    return Block(parts[0].table, start, end - start, tuple(points))


def halves(block: Block) -> tuple[Block, ...]:
    """Two blocks that ask for the points of a refused one, or the block itself where it cannot be split."""
    atoms = atoms_of(block.points)
    if len(atoms) < 2:
        return (block,)
    middle = len(atoms) // 2
    return joined(atoms[:middle]), joined(atoms[middle:])


def atoms_of(points: Iterable[Point]) -> list[Block]:
    """Points, and groups of points, that no request may cut; by address. The points are of one table.

    What is read together with a latched point clears it. So whatever has a latched register in its span belongs to that point.
    """
    groups: dict[str, list[Point]] = {}
    for number, point in enumerate(points):
        groups.setdefault(f"g {point.group}" if point.group else f"p {number}", []).append(point)
    atoms = [joined([Block(p.table, p.address, p.span, (p,)) for p in members]) for members in groups.values()]
    latches = [point for atom in atoms for point in atom.points if point.latched]
    while clash := next(filter(None, (_touching(latch, atoms) for latch in latches)), None):
        atoms = [atom for atom in atoms if atom not in clash] + [joined(clash)]
    return sorted(atoms, key=lambda atom: (atom.address, atom.end))


def _touching(latch: Point, atoms: Sequence[Block]) -> list[Block]:
    """The atoms that a latched point makes one: those whose span has one of its registers; none if that is its own alone."""
    found = [atom for atom in atoms if atom.address < latch.address + latch.span and latch.address < atom.end]
    return found if len(found) > 1 else []


def tables_of(device: Device) -> dict[Table, list[Block]]:
    """The atoms of a device by table, in the order of the tables' names. Raises ProblemError BUS110 for a group in two tables."""
    tables: dict[str, set[Table]] = {}
    found: dict[Table, list[Point]] = {}
    for point in device.points:
        found.setdefault(point.table, []).append(point)
        if point.group:
            tables.setdefault(point.group, set()).add(point.table)
    for group, named in tables.items():
        if len(named) > 1:
            members = tuple(point for point in device.points if point.group == group)
            raise ProblemError(
                _unreadable(device, members, f"stand in {' and '.join(sorted(named))}: no request reads two tables.")
            )
    return {table: atoms_of(found[table]) for table in sorted(found)}


def too_wide(device: Device, atom: Block) -> Problem:
    """BUS110: the device's limits, holes or gaps forbid the one request that an atom needs."""
    asked = f"({atom.table} {atom.address}-{atom.end - 1}) must be read in one request, which its limits, holes or gaps forbid."
    return _unreadable(device, atom.points, asked)


def _unreadable(device: Device, points: Sequence[Point], what: str) -> Problem:
    names = ", ".join(f'"{point.id}"' for point in points)
    do = "mend `group`, `requests.holes` or the limits."
    return Problem("BUS110", f'device "{device.id}" / points {names}', f"They {what}", do)
