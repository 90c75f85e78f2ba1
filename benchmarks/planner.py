"""Does I/O (prints, looks at the clock): the read planner beside simple ways to plan, on 80 register maps and 5 lines.

Maps are made by lot from fixed seeds, in the manner of real devices: one block, blocks apart, scattered points, clusters, groups,
forbidden ranges, several periods, two tables with bits. What a plan costs is its load: the wire time of its requests by their
periods. The optimum is that of each period for itself, found here by trying every run of points against the rules' plain words.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from benchmarks.table import Figure, show
from edge_agent.common.words import counted
from edge_agent.model.blocks import Block, atoms_of, joined
from edge_agent.model.joint_plan import joint_plan, load_of
from edge_agent.model.line_cost import Cost, DeviceCost, cost_of
from edge_agent.model.plan import plan
from edge_agent.model.points import Bus, Device, Point, RawType, Serial, Table, Tcp
from edge_agent.model.request_rules import MAX_BITS, MAX_REGISTERS

MAPS = 80
LINES: tuple[tuple[str, Bus, int], ...] = (
    ("2400 8E1, 60 ms", Bus("a", Serial("/dev/ttyS0", 2400, "E"), "rtu", ()), 60),
    ("9600 8N1, 20 ms", Bus("b", Serial("/dev/ttyS0", 9600), "rtu", ()), 20),
    ("9600 8N1, 100 ms", Bus("c", Serial("/dev/ttyS0", 9600), "rtu", ()), 100),
    ("115200 8N1, 5 ms", Bus("d", Serial("/dev/ttyS0", 115_200), "rtu", ()), 5),
    ("TCP, 10 ms", Bus("e", Tcp("10.0.0.1"), "tcp", ()), 10),
)
"""Name, bus, turn-around of its devices in ms."""
PERIODS_MS = (1000, 5000, 10_000, 60_000)
MANY_PERIODS_MS = (500, 1000, 2000, 5000, 10_000, 30_000, 60_000, 600_000)
_TYPES: tuple[RawType, ...] = ("u16", "u32", "f32", "u64")
Way = Callable[[Sequence[Block], Device], list[Block]]
"""The requests for atoms of one table and period, sorted by address."""


# --- register maps


def register_map(number: int) -> Device:
    """One of the maps; the same for the same number."""
    lot = random.Random(number)
    kind, size = number % 8, 6 + lot.randrange(60)
    points: list[Point] = []
    holes: list[tuple[Table, int, int]] = []
    periods = PERIODS_MS if kind in (1, 4, 6, 7) else PERIODS_MS[:1]
    at = lot.randrange(200)
    for place in range(size):
        table: Table = "coil" if kind == 7 and place % 3 == 0 else "holding"
        type_: RawType = "bool" if table == "coil" else lot.choice(_TYPES[: 2 if kind == 0 else 4])
        group = f"g{place // 3}" if kind == 4 and place % 9 < 3 else ""
        points.append(Point(place, "d", f"p{place}", table, at, type_, period_ms=lot.choice(periods), group=group))
        end, gap = at + points[-1].span, _gap(kind, place, lot)
        if kind in (5, 6) and gap > 2 and lot.random() < 0.5:
            first = end + lot.randrange(gap - 1)
            holes.append(("holding", first, min(first + lot.randrange(3), end + gap - 1)))
        at = end + gap
    limit = 125 if kind == 4 else lot.choice((125, 125, 60, 30))
    return Device("d", 1, tuple(points), max_registers=limit, holes=tuple(holes))


def _gap(kind: int, place: int, lot: random.Random) -> int:
    """Registers between a point and the next one."""
    if kind == 0:
        return 0
    if kind == 1:
        return 0 if place % 10 else 40 + lot.randrange(300)
    if kind == 2:
        return 5 + lot.randrange(120)
    if kind == 3:
        return lot.randrange(4) if place % 6 else 20 + lot.randrange(80)
    return lot.choice((0, 0, 1, 2, 6, 14, 30))


# --- ways to plan


def each_alone(atoms: Sequence[Block], _device: Device) -> list[Block]:
    """One request for each point."""
    return list(atoms)


def fixed_gap(most: int) -> Way:
    """Points no farther apart than `most` share a request, up to the limits; what else is there nobody asks."""

    def way(atoms: Sequence[Block], device: Device) -> list[Block]:
        found: list[Block] = []
        for atom in atoms:
            if found and atom.address - found[-1].end <= most and joined([found[-1], atom]).count <= limit_of(device, atom.table):
                found[-1] = joined([found[-1], atom])
            else:
                found.append(atom)
        return found

    return way


def limit_of(device: Device, table: Table) -> int:
    """Registers or bits of one request."""
    return min(device.max_bits, MAX_BITS) if table in ("coil", "discrete") else min(device.max_registers, MAX_REGISTERS)


def touches_a_hole(block: Block, device: Device) -> bool:
    """True if a request asks for a register that must not be asked for."""
    return any(table == block.table and first < block.end and block.address <= last for table, first, last in device.holes)


def parts_of(device: Device) -> Iterator[list[Block]]:
    """The atoms of each table and period, by address."""
    for table in sorted({point.table for point in device.points}):
        atoms = sorted(atoms_of(p for p in device.points if p.table == table), key=lambda atom: (atom.period_ms, atom.address))
        for _, group in groupby(atoms, key=lambda atom: atom.period_ms):
            yield list(group)


def blocks_of(device: Device, way: Way) -> list[Block]:
    """A whole plan, each period for itself."""
    return [block for atoms in parts_of(device) for block in way(atoms, device)]


def load(blocks: Sequence[Block], cost: DeviceCost) -> float:
    """Share of the bus."""
    return sum(cost.of(block.table, block.count) / (1000 * block.period_ms) for block in blocks)


def optimum(device: Device, cost: DeviceCost) -> float:
    """The least load of each period for itself: every run of points by address is tried; no plan's code is used."""
    total = 0.0
    for atoms in parts_of(device):
        best = [0.0]
        for end in range(1, len(atoms) + 1):
            options = [
                best[begin] + load([run], cost) for begin in range(end) if is_allowed(run := joined(atoms[begin:end]), device)
            ]
            best.append(min(options))
        total += best[-1]
    return total


def is_allowed(block: Block, device: Device) -> bool:
    """By the plain words of the rules."""
    return block.count <= limit_of(device, block.table) and not touches_a_hole(block, device)


# --- the comparison


@dataclass(frozen=True)
class Compared:
    """One way to plan. over: load over the optimum, one for each map and line; touching: plans that ask for what must not be."""

    name: str
    over: list[float]
    touching: int

    def at(self, share: float) -> float:
        """The value that so many do not exceed."""
        return sorted(self.over)[min(len(self.over) - 1, int(share * len(self.over)))]


def compared(maps: int = MAPS) -> list[Compared]:
    """Every way on every map and line."""
    ways: dict[str, Callable[[Device, Cost], tuple[float, list[Block]]]] = {
        "one request per point": _by(each_alone),
        "contiguous only": _by(fixed_gap(0)),
        "fixed gap of 10": _by(fixed_gap(10)),
        "fixed gap of 50": _by(fixed_gap(50)),
        "edge-agent, each period for itself": _separate,
        "edge-agent, all periods together": _joint,
    }
    over: dict[str, list[float]] = {name: [] for name in ways}
    touching = dict.fromkeys(ways, 0)
    for number in range(maps):
        for _, bus, turnaround_ms in LINES:
            device, cost = replace(register_map(number), turnaround_ms=turnaround_ms), cost_of(bus)
            least = optimum(device, cost.of_device(device))
            for name, way in ways.items():
                found, blocks = way(device, cost)
                over[name].append(found / least)
                touching[name] += any(touches_a_hole(block, device) for block in blocks)
    return [Compared(name, over[name], touching[name]) for name in ways]


def _by(way: Way) -> Callable[[Device, Cost], tuple[float, list[Block]]]:
    def made(device: Device, cost: Cost) -> tuple[float, list[Block]]:
        blocks = blocks_of(device, way)
        return load(blocks, cost.of_device(device)), blocks

    return made


def _separate(device: Device, cost: Cost) -> tuple[float, list[Block]]:
    blocks = list(plan(device, cost))
    return load(blocks, cost.of_device(device)), blocks


def _joint(device: Device, cost: Cost) -> tuple[float, list[Block]]:
    polls = joint_plan(device, cost)
    return load_of(polls, cost.of_device(device)), [poll.whole for poll in polls]


# --- how long planning takes


def wide_device(type_: RawType, apart: int, periods_ms: Sequence[int], points: int = 1000) -> Device:
    """Points one behind the other, their periods by lot."""
    lot, made, at = random.Random(apart), [], 0
    for n in range(points):
        made.append(Point(n, "d", f"p{n}", "coil" if type_ == "bool" else "holding", at, type_, period_ms=lot.choice(periods_ms)))
        at += made[-1].span + apart
    return Device("d", 1, tuple(made))


def planning_s(device: Device, cost: Cost, rounds: int = 3) -> float:
    """Processor time of a plan; the least of some, since others use the machine."""
    found = []
    for _ in range(rounds):
        begun_s = time.process_time()
        joint_plan(device, cost)
        found.append(time.process_time() - begun_s)
    return min(found)


def main() -> int:
    """Prints the comparison and the demands; gives the exit code."""
    found = compared()
    plans = MAPS * len(LINES)
    print(f"\n| load over the optimum, {plans} plans | least | median | 90 % | worst | touch what is forbidden |")
    print("|---|---|---|---|---|---|")
    for each in found:
        shares = " | ".join(f"{value:.2f}" for value in (min(each.over), each.at(0.5), each.at(0.9), max(each.over)))
        print(f"| {each.name} | {shares} | {each.touching} |")
    separate, together = found[-2:]
    cost = cost_of(LINES[1][1])
    figures = [
        Figure("each period for itself: load over the optimum, worst", max(separate.over), "x", 1 + 1e-9),
        Figure("all periods together: load over the optimum, worst", max(together.over), "x", 1 + 1e-9),
        Figure("plans that touch a forbidden register", separate.touching + together.touching, "", 0),
    ]
    shapes: tuple[tuple[RawType, int], ...] = (("u16", 0), ("u16", 1), ("f32", 3), ("f32", 60), ("bool", 0), ("bool", 1))
    for type_, apart in shapes:
        for periods_ms in (PERIODS_MS[:1], PERIODS_MS, MANY_PERIODS_MS):
            what = f"planning 1,000 points of one device, {type_}, {apart} addresses apart, {counted(len(periods_ms), 'period')}"
            figures.append(Figure(what, 1000 * planning_s(wide_device(type_, apart, periods_ms), cost), "ms", 200))
    return show("Read planner", figures)
