"""Pure. Which requests read the points of a device at the least wire time, each period for itself.

A request costs its own bytes, the reply's, the silences around them and the device's turn-around; a register that nobody asked
for costs its two bytes. So near points share a request as long as the bytes between them cost less than another request.
Per table and period the plan is the exact minimum (a dynamic program over points sorted by address). `joint_plan` builds on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from edge_agent.model.blocks import Block, halves, joined, tables_of
from edge_agent.model.line_cost import Cost, DeviceCost, cost_of
from edge_agent.model.points import Device
from edge_agent.model.request_rules import MAX_BITS, MAX_REGISTERS, Reach, check_atoms, reach_of

__all__ = ["MAX_BITS", "MAX_REGISTERS", "Block", "Cost", "cheapest", "cost_of", "halves", "plan"]


def plan(device: Device, cost: Cost) -> tuple[Block, ...]:
    """The requests of a device, by table, period and address. A group is read at the shortest of its periods.

    Raises ProblemError BUS110 where a point or a group fits in no request.
    """
    blocks: list[Block] = []
    for table, atoms in tables_of(device).items():
        reach = reach_of(device, table, [atom for atom in atoms if atom.is_latched])
        check_atoms(device, table, atoms, reach)
        by_period = sorted(atoms, key=lambda atom: atom.period_ms)
        for _, group in groupby(by_period, key=lambda atom: atom.period_ms):
            blocks += by_address(group_plan(list(group), reach, cost.of_device(device)))
    return tuple(blocks)


def group_plan(atoms: Sequence[Block], reach: Reach, cost: DeviceCost) -> list[Block]:
    """The cheapest requests for atoms of one table that are asked together; what is latched alone."""
    latched = [atom for atom in atoms if atom.is_latched]
    return latched + cheapest([atom for atom in atoms if not atom.is_latched], reach, cost)


def by_address(blocks: Sequence[Block]) -> list[Block]:
    """In the order of their addresses."""
    return sorted(blocks, key=lambda block: (block.address, block.end))


def cheapest(atoms: Sequence[Block], reach: Reach, cost: DeviceCost) -> list[Block]:
    """The partition of atoms, sorted by address, into requests of least cost. Each atom is allowed by itself.

    Some cheapest partition is one into runs of atoms. For let two of its requests A and B interlock, A beginning first: an atom of
    A that begins after B's beginning lies within B and may move there, or B lies within A and may move there; neither costs more.
    best[i] is the cost of the first i atoms. An atom within another one costs nothing, and without those both ends rise, so that
    the span of a run is known from its first and last atom, and the earliest run that is allowed never moves back.
    """
    if not atoms:
        return []
    outer = _without_inner(atoms)
    starts, reaches = [atom.address for atom in outer], [reach.end(atom.address) for atom in outer]
    price = [cost.of(atoms[0].table, count) for count in range(reach.limit + 1)]
    best, back, first = [0.0], [0], 0
    for i, atom in enumerate(outer):
        while reaches[first] < atom.end:
            first += 1
        options = [
            before + price[atom.end - start] for before, start in zip(best[first : i + 1], starts[first : i + 1], strict=True)
        ]
        least = min(options)
        best.append(least)
        back.append(first + options.index(least))
    runs = []
    i = len(outer)
    while i:
        runs.append((starts[back[i]], outer[i - 1].end))
        i = back[i]
    return _filled(runs[::-1], atoms)


def _without_inner(atoms: Sequence[Block]) -> list[Block]:
    """Atoms that lie within no other one, by address."""
    outer: list[Block] = []
    for atom in sorted(atoms, key=lambda atom: (atom.address, -atom.end)):
        if not outer or atom.end > outer[-1].end:
            outer.append(atom)
    return outer


def _filled(spans: Sequence[tuple[int, int]], atoms: Sequence[Block]) -> list[Block]:
    """A request for each span, with the atoms that lie within it; one that lies within two is served by the first."""
    members: list[list[Block]] = [[] for _ in spans]
    at = 0
    for atom in sorted(atoms, key=lambda atom: (atom.address, -atom.end)):
        while spans[at][1] < atom.end:
            at += 1
        members[at].append(atom)
    return [joined(parts) for parts in members]
