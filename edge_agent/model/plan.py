"""Pure. Which requests read the points of a device at the least wire time.

A request costs its own bytes, the reply's, the silences around them and the device's turn-around; a register that nobody asked
for costs its two bytes. So near points share a request as long as the bytes between them cost less than another request.
Per table and period the plan is the exact minimum (a dynamic program over points sorted by address).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from edge_agent.common.problem import Problem, ProblemError
from edge_agent.model.points import Bus, Device, Point, Serial, Table

MAX_REGISTERS, MAX_BITS = 125, 2000
"""Limits of the protocol (Modbus Application Protocol V1.1b3, 6.1 and 6.3)."""
_READ_REQUEST_BYTES, _READ_REPLY_BYTES = 8, 5
_TCP_BYTE_US = 1.0
_FAST_BAUDRATE, _FAST_SILENCE_US = 19_200, 1750.0


@dataclass(frozen=True, slots=True)
class Cost:
    """What requests cost on one line."""

    byte_us: float
    """Time of one byte on the wire."""
    silence_us: float
    """Silence before each frame."""

    def request_us(self, table: Table, count: int, turnaround_ms: int) -> float:
        """Wire time of reading `count` registers or bits, with the device's turn-around."""
        payload = (count + 7) // 8 if table in ("coil", "discrete") else 2 * count
        frames = (_READ_REQUEST_BYTES + _READ_REPLY_BYTES + payload) * self.byte_us
        return frames + 2 * self.silence_us + 1000.0 * turnaround_ms


def cost_of(bus: Bus) -> Cost:
    """The cost of a bus. Serial: characters at its speed and 3.5 of them as silence (1.75 ms above 19200 bit/s)."""
    if not isinstance(bus.link, Serial):
        return Cost(_TCP_BYTE_US, 0.0)
    line = bus.link
    byte_us = 1e6 * (1 + line.bytesize + (line.parity != "N") + line.stopbits) / line.baudrate
    return Cost(byte_us, 3.5 * byte_us if line.baudrate <= _FAST_BAUDRATE else _FAST_SILENCE_US)


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


def plan(device: Device, cost: Cost) -> tuple[Block, ...]:
    """The requests of a device, by table, period and address. Raises ProblemError BUS110 where a group fits in no request."""
    blocks: list[Block] = []
    rules = _Rules.of(device)
    for (table, _), points in groupby(sorted(device.points, key=_order), key=lambda p: (p.table, p.period_ms)):
        atoms = _atoms(list(points))
        for atom in atoms:
            if not rules.allow(table, atom.address, atom.end):
                raise ProblemError(_too_wide(device, atom))
        blocks += _cheapest(atoms, table, rules, device, cost)
    return tuple(blocks)


def halves(block: Block) -> tuple[Block, ...]:
    """Two blocks that ask for the points of a refused one, or the block itself where it cannot be split."""
    atoms = _atoms(block.points)
    if len(atoms) < 2:
        return (block,)
    middle = len(atoms) // 2
    return _joined(atoms[:middle]), _joined(atoms[middle:])


def _order(point: Point) -> tuple[Table, int, int]:
    return point.table, point.period_ms, point.address


@dataclass(frozen=True, slots=True)
class _Rules:
    """What a request to a device may touch."""

    max_registers: int
    max_bits: int
    holes: tuple[tuple[Table, int, int], ...]
    wanted: frozenset[tuple[Table, int]] | None
    """Addresses of points, where nothing else may be read."""

    @staticmethod
    def of(device: Device) -> _Rules:
        """Those of a device."""
        wanted = None if device.gaps else frozenset((p.table, p.address + i) for p in device.points for i in range(p.span))
        return _Rules(min(device.max_registers, MAX_REGISTERS), min(device.max_bits, MAX_BITS), device.holes, wanted)

    def allow(self, table: Table, start: int, end: int) -> bool:
        """True if one request may read start..end-1."""
        if end - start > (self.max_bits if table in ("coil", "discrete") else self.max_registers):
            return False
        if any(hole[0] == table and hole[1] < end and hole[2] >= start for hole in self.holes):
            return False
        return self.wanted is None or all((table, address) in self.wanted for address in range(start, end))


def _atoms(points: Iterable[Point]) -> list[Block]:
    """Points, and groups of points, that no request may cut; by address."""
    groups: dict[str, list[Point]] = {}
    for number, point in enumerate(points):
        groups.setdefault(f"g {point.group}" if point.group else f"p {number}", []).append(point)
    made = [_joined([Block(p.table, p.address, p.span, (p,)) for p in members]) for members in groups.values()]
    return sorted(made, key=lambda atom: (atom.address, atom.end))


def _joined(parts: Sequence[Block]) -> Block:
    start, end = min(part.address for part in parts), max(part.end for part in parts)
    points = sorted((point for part in parts for point in part.points), key=lambda p: (p.address, p.series))
    return Block(parts[0].table, start, end - start, tuple(points))


def _cheapest(atoms: Sequence[Block], table: Table, rules: _Rules, device: Device, cost: Cost) -> list[Block]:
    """The partition of atoms into runs of least cost. best[i]: cost of the first i atoms, and where their last run begins."""
    best: list[tuple[float, int]] = [(0.0, 0)]
    for i in range(1, len(atoms) + 1):
        end = 0
        options = []
        for j in range(i - 1, -1, -1):
            end = max(end, atoms[j].end)
            start = atoms[j].address
            if not rules.allow(table, start, end):
                break
            options.append((best[j][0] + cost.request_us(table, end - start, device.turnaround_ms), j))
        best.append(min(options))
    runs: list[Block] = []
    i = len(atoms)
    while i:
        j = best[i][1]
        runs.append(_joined(atoms[j:i]))
        i = j
    return runs[::-1]


def _too_wide(device: Device, atom: Block) -> Problem:
    names = ", ".join(f'"{point.id}"' for point in atom.points)
    what = f"{atom.table} {atom.address}-{atom.end - 1} must be read in one request, which its limits, holes or gaps forbid."
    return Problem("BUS110", f'device "{device.id}" / points {names}', what, "mend `group`, `requests.holes` or the limits.")
