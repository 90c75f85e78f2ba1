"""Pure. Which row of the outbox file holds which message: three numbers for each run of sequences of a row."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Mapping

from edge_agent.contract.message import Lane
from edge_agent.delivery.machine import Key, Span


class _Lane:
    """Runs of one epoch and lane, in order, none over another."""

    def __init__(self) -> None:
        self.first, self.last, self.part = array("q"), array("q"), array("q")

    def at(self, seq: int) -> int | None:
        """Which run holds the sequence."""
        at = bisect_right(self.first, seq) - 1
        return at if at >= 0 and self.last[at] >= seq else None

    def insert(self, first: int, last: int, part: int) -> None:
        at = bisect_right(self.first, first)
        for column, value in ((self.first, first), (self.last, last), (self.part, part)):
            column.insert(at, value)

    def delete(self, at: int) -> None:
        for column in (self.first, self.last, self.part):
            del column[at]


class PartIndex:
    """Messages that are not forgotten, by row."""

    def __init__(self) -> None:
        self._lanes: dict[tuple[str, Lane], _Lane] = {}
        self._runs: dict[int, int] = {}
        """Runs of a row, where there are more than one."""

    def add(self, part: int, spans: Iterable[Span]) -> None:
        """The row holds these, and no other row does."""
        count = 0
        for span in spans:
            self._lanes.setdefault((span.epoch, span.lane), _Lane()).insert(span.a, span.z, part)
            count += 1
        if count > 1:
            self._runs[part] = count

    def find(self, key: Key) -> int | None:
        """The row that holds the message."""
        lane = self._lanes.get((key.epoch, key.lane))
        at = lane.at(key.seq) if lane is not None else None
        return lane.part[at] if lane is not None and at is not None else None

    def forget(self, key: Key) -> bool:
        """The message is not needed any more; True if its row holds nothing else now. Raises KeyError if no row holds it."""
        lane = self._lanes.get((key.epoch, key.lane))
        at = lane.at(key.seq) if lane is not None else None
        if lane is None or at is None:
            raise KeyError(key)
        first, last, part = lane.first[at], lane.last[at], lane.part[at]
        if first == last:
            lane.delete(at)
            if not lane.first:
                del self._lanes[key.epoch, key.lane]
            return self._is_empty(part)
        if key.seq == first:
            lane.first[at] = first + 1
        elif key.seq == last:
            lane.last[at] = last - 1
        else:
            lane.last[at] = key.seq - 1
            lane.insert(key.seq + 1, last, part)
            self._runs[part] = self._runs.get(part, 1) + 1
        return False

    def move(self, parts: Mapping[int, int]) -> None:
        """What these rows held others hold now."""
        for lane in self._lanes.values():
            for at, part in enumerate(lane.part):
                lane.part[at] = parts.get(part, part)
        self._runs = {parts.get(part, part): runs for part, runs in self._runs.items()}

    def epochs(self) -> set[str]:
        """Of which anything is held."""
        return {epoch for epoch, _ in self._lanes}

    def _is_empty(self, part: int) -> bool:
        runs = self._runs.pop(part, 1) - 1
        if runs > 1:
            self._runs[part] = runs
        return runs == 0


def spans_of(keys: Iterable[Key]) -> list[Span]:
    """Keys as runs."""
    found: list[Span] = []
    for key in sorted(keys):
        last = found[-1] if found else None
        if last is not None and last[:2] == key[:2] and last.z + 1 == key.seq:
            found[-1] = last._replace(z=key.seq)
        else:
            found.append(Span(*key, key.seq))
    return found


def runs_of(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Ascending numbers as runs, first and last."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] + 1 == number:
            found[-1] = found[-1][0], number
        else:
            found.append((number, number))
    return found
