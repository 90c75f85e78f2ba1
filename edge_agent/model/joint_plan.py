"""Pure. The requests of a device over all its periods: slow points ride along where the overhead is paid already.

A request is a run of atoms, by address, of any periods. Its turns are as far apart as its fastest atom wants; an atom that may wait
k times as long is read in every k-th turn, and what it adds to the span is paid then. So an atom within the span of faster ones
costs nothing, one beside them its bytes, and none of them a request of its own. The wire time per second is the least over all
partitions into such runs (a dynamic program), or that of the separate plans of the periods where that is less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from edge_agent.model.blocks import Block, atoms_of, tables_of
from edge_agent.model.line_cost import Cost, DeviceCost
from edge_agent.model.plan import cheapest
from edge_agent.model.points import Device, Table
from edge_agent.model.poll import Poll, alone, rides_of
from edge_agent.model.request_rules import Reach, check_atoms, reach_of

_MANY = 250
"""Pieces from which neighbours of one period are taken together ..."""
_COARSE_BYTES = 16
"""... up to so many bytes of data."""
_COARSE_BITS = 16
"""Of bits a request is cut only every so many, whatever their periods."""


@dataclass(slots=True)
class _Piece:
    """Atoms that are read together: one, those that lie within it, and neighbours."""

    start: int
    end: int
    period_ms: int
    atoms: list[Block]


def joint_plan(device: Device, cost: Cost, measured_ms: float | None = None) -> tuple[Poll, ...]:
    """The polls of a device. measured_ms: its turn-around with all lag, where that was measured.

    Raises ProblemError BUS110 where a point or a group fits in no request.
    """
    return _plan(device, cost.of_device(device, measured_ms), is_joint=True)


def separate_plan(device: Device, cost: Cost, measured_ms: float | None = None) -> tuple[Poll, ...]:
    """The polls that each period would have for itself. Raises as `joint_plan`."""
    return _plan(device, cost.of_device(device, measured_ms), is_joint=False)


def load_of(polls: Sequence[Poll], cost: DeviceCost) -> float:
    """Their share of the bus."""
    return sum(poll.load(cost) for poll in polls)


def _plan(device: Device, cost: DeviceCost, *, is_joint: bool) -> tuple[Poll, ...]:
    polls: list[Poll] = []
    for table, atoms in tables_of(device).items():
        latched = [atom for atom in atoms if atom.is_latched]
        plain = [atom for atom in atoms if not atom.is_latched]
        reach = reach_of(device, table, latched)
        check_atoms(device, table, atoms, reach)
        found = _apart(plain, reach, cost)
        if is_joint and len({atom.period_ms for atom in plain}) > 1:
            found = min(_together(table, plain, reach, cost), found, key=lambda polls: load_of(polls, cost))
        polls += [alone(atom.period_ms, [atom]) for atom in latched] + found
    return tuple(polls)


def _apart(atoms: Sequence[Block], reach: Reach, cost: DeviceCost) -> list[Poll]:
    by_period = sorted(atoms, key=lambda atom: atom.period_ms)
    groups = groupby(by_period, key=lambda atom: atom.period_ms)
    return [alone(period_ms, atoms_of(block.points)) for period_ms, group in groups for block in cheapest(list(group), reach, cost)]


def _together(table: Table, atoms: Sequence[Block], reach: Reach, cost: DeviceCost) -> list[Poll]:
    """best[i] is the load of the first i clusters; a run's spans by period grow as its beginning goes back."""
    is_bits = table in ("coil", "discrete")
    pieces = _pieces(atoms, 1 if is_bits else 16, reach)
    clusters = _clusters(pieces, _COARSE_BITS if is_bits and len(pieces) > _MANY else 0, reach)
    periods = sorted({piece.period_ms for piece in pieces})
    runs = _Runs(periods, cost, [cost.of(table, count) - cost.fixed_us for count in range(reach.limit + 1)])
    hulls = [_hulls(cluster, periods) for cluster in clusters]
    ends = [max(piece.end for piece in cluster) for cluster in clusters]
    reaches = [reach.end(cluster[0].start) for cluster in clusters]
    best, back = [0.0], [0]
    for i in range(len(clusters)):
        runs.begin()
        least, least_at, end = float("inf"), i, 0
        for j in range(i, -1, -1):
            end = max(end, ends[j])
            if end > reaches[j]:
                break
            total = best[j] + runs.extended(hulls[j])
            if total < least:
                least, least_at = total, j
        best.append(least)
        back.append(least_at)
    polls = []
    i = len(clusters)
    while i:
        polls.append(_poll([piece for cluster in clusters[back[i] : i] for piece in cluster]))
        i = back[i]
    return polls[::-1]


def _clusters(pieces: Sequence[_Piece], most: int, reach: Reach) -> list[list[_Piece]]:
    """Pieces between which no request is cut: neighbours that span no more than `most`."""
    found: list[list[_Piece]] = []
    end = 0
    for piece in pieces:
        start = found[-1][0].start if found else 0
        if found and max(end, piece.end) <= min(start + most, reach.end(start)):
            found[-1].append(piece)
            end = max(end, piece.end)
        else:
            found.append([piece])
            end = piece.end
    return found


def _hulls(cluster: Sequence[_Piece], periods: Sequence[int]) -> list[tuple[int, int, int, int]]:
    """(rank, start, end, ranks that are there) of what is read at each rank, from the lowest one on."""
    found = []
    start, end, present = 1 << 30, 0, 0
    for rank, period_ms in enumerate(periods):
        for piece in cluster:
            if piece.period_ms == period_ms:
                start, end, present = min(start, piece.start), max(end, piece.end), present | 1 << rank
        if present:
            found.append((rank, start, end, present))
    return found


class _Runs:
    """The load of a run of pieces that grows downwards. Ranks are places in the sorted periods."""

    def __init__(self, periods_ms: Sequence[int], cost: DeviceCost, price: Sequence[float]) -> None:
        """price: cost of so many registers or bits, without what a request costs anyway."""
        self._periods_ms = periods_ms
        self._fixed_us = cost.fixed_us
        self._price = price
        self._weights: dict[int, tuple[float, list[tuple[int, float]]]] = {}
        self.begin()

    def begin(self) -> None:
        """No piece is in it."""
        self._starts = [0] * len(self._periods_ms)
        self._ends = [0] * len(self._periods_ms)
        self._present = 0

    def extended(self, hulls: Sequence[tuple[int, int, int, int]]) -> float:
        """The load with more of them, which begin no later than those before."""
        starts, ends = self._starts, self._ends
        for rank, start, end, _ in hulls:
            starts[rank] = start
            ends[rank] = max(ends[rank], end)
        self._present |= hulls[-1][3]
        made = self._weights.get(self._present)
        if made is None:
            made = self._weights[self._present] = self._weighed(self._present)
        total, weights = made
        for slower, weight in weights:
            total += weight * self._price[ends[slower] - starts[slower]]
        return total

    def _weighed(self, present: int) -> tuple[float, list[tuple[int, float]]]:
        """Load of the requests themselves, and for each rank the share of time in which its span is the one that is read."""
        ranks = [rank for rank in range(len(self._periods_ms)) if present >> rank & 1]
        base_ms = self._periods_ms[ranks[0]]
        nested = _nested([self._periods_ms[rank] for rank in ranks])
        shares = [1 / every - (1 / more if more else 0.0) for every, more in zip(nested, [*nested[1:], 0], strict=True)]
        weights = [(rank, share / (1000.0 * base_ms)) for rank, share in zip(ranks, shares, strict=True) if share]
        return self._fixed_us / (1000.0 * base_ms), weights


def _nested(periods_ms: Sequence[int]) -> list[int]:
    """How many turns each of the periods, ascending, may wait, each a multiple of the one before; never too long."""
    found = [1]
    for period_ms in periods_ms[1:]:
        found.append(found[-1] * max(1, period_ms // (periods_ms[0] * found[-1])))
    return found


def _poll(pieces: Sequence[_Piece]) -> Poll:
    periods = sorted({piece.period_ms for piece in pieces})
    base_ms, nested = periods[0], dict(zip(periods, _nested(periods), strict=True))
    parts = []
    for piece in pieces:
        often = nested[piece.period_ms]
        parts += [(often * max(1, atom.period_ms // (base_ms * often)), atom) for atom in piece.atoms]
    return Poll(base_ms, rides_of(parts))


def _pieces(atoms: Sequence[Block], unit_bits: int, reach: Reach) -> list[_Piece]:
    """Atoms by address; those within another one that is read as often are part of it."""
    found: list[_Piece] = []
    widest: dict[int, _Piece] = {}
    for atom in sorted(atoms, key=lambda atom: (atom.address, -atom.end, atom.period_ms)):
        outer = next((p for period_ms, p in widest.items() if period_ms <= atom.period_ms and p.end >= atom.end), None)
        if outer is not None:
            outer.atoms.append(atom)
            continue
        made = _Piece(atom.address, atom.end, atom.period_ms, [atom])
        found.append(made)
        if atom.period_ms not in widest or widest[atom.period_ms].end < atom.end:
            widest[atom.period_ms] = made
    return found if len(found) <= _MANY else _coarse(found, 8 * _COARSE_BYTES // unit_bits, reach)


def _coarse(pieces: Sequence[_Piece], most: int, reach: Reach) -> list[_Piece]:
    """With neighbours of one period in one piece, where one request may read them."""
    found: list[_Piece] = []
    for piece in pieces:
        last = found[-1] if found else None
        is_next = last is not None and last.end == piece.start and last.period_ms == piece.period_ms
        if last is not None and is_next and piece.end <= min(last.start + most, reach.end(last.start)):
            last.end = piece.end
            last.atoms += piece.atoms
        else:
            found.append(piece)
    return found
