"""Pure. What one request to a device may read: limits of protocol and profile, forbidden ranges, learned holes, gaps, latches."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edge_agent.common.problem import ProblemError
from edge_agent.model.blocks import Block, too_wide
from edge_agent.model.points import Device, Table

MAX_REGISTERS, MAX_BITS = 125, 2000
"""Limits of the protocol (Modbus Application Protocol V1.1b3, 6.1 and 6.3)."""
_Ranges = Sequence[tuple[int, int]]
"""First address and first address after, sorted, apart from each other."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a request may reach in one table of a device."""

    limit: int
    """Registers or bits."""
    holes: _Ranges
    wanted: _Ranges | None
    """Ranges outside of which nothing may be read; None: anywhere."""

    def end(self, start: int) -> int:
        """The last address, and one more, that a request may read which begins at `start`."""
        end = start + self.limit
        hole = bisect_right(self.holes, start, key=_end)
        if hole < len(self.holes):
            end = min(end, max(start, self.holes[hole][0]))
        if self.wanted is not None:
            run = bisect_right(self.wanted, start, key=_end)
            end = min(end, self.wanted[run][1] if run < len(self.wanted) and self.wanted[run][0] <= start else start)
        return end

    def allows(self, block: Block) -> bool:
        """True if one request may read a block."""
        return block.end <= self.end(block.address)


def reach_of(device: Device, table: Table, latched: Iterable[Block]) -> Reach:
    """For requests that read no latch. latched: blocks of the table that clear something."""
    latches = [(p.address, p.address + p.span) for block in latched for p in block.points if p.latched]
    holes = [(first, last + 1) for where, first, last in device.holes if where == table]
    spans = None if device.gaps else _merged((p.address, p.address + p.span) for p in device.points if p.table == table)
    return Reach(_limit(device, table), _merged([*holes, *latches]), spans)


def check_atoms(device: Device, table: Table, atoms: Sequence[Block], reach: Reach) -> None:
    """Raises ProblemError BUS110 where a point or group fits in no request."""
    plain = reach_of(device, table, ())
    for atom in atoms:
        if not (plain if atom.is_latched else reach).allows(atom):
            raise ProblemError(too_wide(device, atom))


def _limit(device: Device, table: Table) -> int:
    return min(device.max_bits, MAX_BITS) if table in ("coil", "discrete") else min(device.max_registers, MAX_REGISTERS)


def _end(span: tuple[int, int]) -> int:
    return span[1]


def _merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found
