"""Pure. The exact account of one gateway: what its instrument gave, when its agent lived, what the store and the log hold.

A reading is past its window when it was given `window` and `allowance` before its agent was killed, or its agent ended in order.
Such a reading must be in the store once. A younger one may be there. Nothing may be there twice, with a value that was not given,
or with a stamp outside of the time in which the exchange took place, give or take the bound that its message tells.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from edge_agent.delivery.wire import SURE_MS
from tests.chaos.instrument import POINTS, Given
from tests.chaos.part import Life

NEWS_MS = 100
"""The agent does not call a difference of its clock news that is smaller."""

Spans = Sequence[tuple[int, int]]
WIDEST_MS = 5000
"""The widest bound that an agent takes from a collector's answer; for what the log has been trimmed of."""

BatchName = tuple[str, str, int]
"""Epoch, lane, sequence."""
Stored = Mapping[tuple[int, int], Sequence[tuple[int, int]]]
"""(unit, point) to (ms UTC, value), as the store gives them."""


@dataclass(frozen=True, slots=True)
class Logged:
    """Where a reading stands in a log, and how sure its stamp is."""

    batch: BatchName
    bound_ms: int
    source: str
    stamp_ms: int


@dataclass
class Receipted:
    """What one log's receipts said to one gateway."""

    upto: dict[tuple[str, str], int] = field(default_factory=dict)
    single: set[BatchName] = field(default_factory=set)

    def note(self, epoch: str, lane: str, upto: int, ranges: Iterable[tuple[int, int]]) -> None:
        """One entry of a receipt."""
        self.upto[epoch, lane] = max(upto, self.upto.get((epoch, lane), 0))
        self.single |= {(epoch, lane, seq) for first, last in ranges for seq in range(first, last + 1)}

    def covers(self, batch: BatchName) -> bool:
        """True if a receipt named it."""
        return batch[2] <= self.upto.get(batch[:2], 0) or batch in self.single


@dataclass(frozen=True, slots=True)
class Reading:
    """One given value that the account names."""

    unit: int
    point: int
    value: int
    given_ms: int
    about: str = ""

    def __str__(self) -> str:
        return f"unit {self.unit} point {self.point} value {self.value} given {self.given_ms} {self.about}"


@dataclass
class Verdict:
    """Of one gateway."""

    served: int = 0
    past_window: int = 0
    stored: int = 0
    young_stored: int = 0
    lost: list[Reading] = field(default_factory=list)
    doubled: list[Reading] = field(default_factory=list)
    wrong: list[Reading] = field(default_factory=list)
    thrown_away: list[Reading] = field(default_factory=list)
    """Past their window and not there: receipted by a log that a restore threw away."""
    batches_thrown_away: set[BatchName] = field(default_factory=set)


@dataclass
class Case:
    """Everything that is known of one gateway. thrown_away: batch of each reading that such a log held, if it was receipted."""

    journal: Sequence[Given]
    lives: Sequence[Life]
    window_ms: int
    allowance_ms: Mapping[int, int]
    """By the end of a life: how long the machine may have taken beyond the window."""
    stored: Stored
    logged: Mapping[tuple[int, int, int], Logged]
    """(unit, point, value) to its place in the log that is left, or in one thrown away."""
    unsure: Spans = ()
    """Times at which the agent may have had the time from the collector: a bound below SURE_MS then stands in no message."""
    thrown_away: Mapping[tuple[int, int, int], BatchName] = field(default_factory=dict)


def judge(case: Case) -> Verdict:
    """The account."""
    verdict = Verdict()
    stamps = {key: [time_ms for time_ms, _ in rows] for key, rows in case.stored.items()}
    values: dict[tuple[int, int, int], list[int]] = {}
    for (unit, point), rows in case.stored.items():
        for time_ms, value in rows:
            values.setdefault((unit, point, value), []).append(time_ms)
    for (unit, point), times in stamps.items():
        if len(set(times)) != len(times):
            verdict.doubled.append(Reading(unit, point, -1, 0, "one instant is there twice"))
    lives = sorted(case.lives, key=lambda life: life.began_ms)
    spans = _spans(case.journal, lives)
    for given in case.journal:
        is_past = _is_past(given, lives, case)
        for point in range(given.first // 2, given.first // 2 + given.points):
            value = given.number * POINTS + point
            key = (given.unit, point, value)
            reading = Reading(given.unit, point, value, given.given_ms)
            times = values.pop(key, [])
            verdict.served += 1
            verdict.past_window += is_past
            if times:
                verdict.stored += 1
                verdict.young_stored += not is_past
                if len(times) > 1:
                    verdict.doubled.append(Reading(given.unit, point, value, given.given_ms, f"at {times}"))
                _check_stamp(verdict, reading, times[0], spans[given.number], case.logged.get(key), case.unsure)
            elif is_past and key in case.thrown_away:
                verdict.thrown_away.append(reading)
                verdict.batches_thrown_away.add(case.thrown_away[key])
            elif is_past:
                place = case.logged.get(key)
                verdict.lost.append(Reading(given.unit, point, value, given.given_ms, f"in the log: {place}" if place else ""))
    for (unit, point, value), times in values.items():
        verdict.wrong.append(Reading(unit, point, value, 0, f"was never given; at {times}"))
    return verdict


def _spans(journal: Sequence[Given], lives: Sequence[Life]) -> list[tuple[int, int]]:
    """When each exchange took place: after the one before went out, before the next one came, within its agent's life."""
    spans = []
    for at, given in enumerate(journal):
        life = _life_of(given, lives)
        low = max(journal[at - 1].given_ms if at else 0, life.began_ms)
        high = journal[at + 1].asked_ms if at + 1 < len(journal) else 1 << 62
        spans.append((low, min(high, life.ended_ms or 1 << 62)))
    return spans


def _life_of(given: Given, lives: Sequence[Life]) -> Life:
    at = bisect_left(lives, given.opened_ms + 1, key=lambda life: life.began_ms)
    return lives[max(0, at - 1)]


def _is_past(given: Given, lives: Sequence[Life], case: Case) -> bool:
    life = _life_of(given, lives)
    if not life.ended_ms or not life.is_killed:
        return True
    floor_ms = life.ended_ms if life.floor_ms is None else min(life.floor_ms, life.ended_ms)
    return given.given_ms <= floor_ms - case.window_ms - case.allowance_ms.get(life.ended_ms, 0)


def _check_stamp(
    verdict: Verdict, reading: Reading, stamp_ms: int, span: tuple[int, int], place: Logged | None, unsure: Spans
) -> None:
    slack_ms = NEWS_MS + (place.bound_ms if place is not None else WIDEST_MS)
    if any(from_ms <= reading.given_ms <= to_ms for from_ms, to_ms in unsure):
        slack_ms = max(slack_ms, SURE_MS)
    said = f"stamp {stamp_ms}, exchange within {span[0]}..{span[1]} +- {slack_ms}, {place}"
    if not span[0] - slack_ms <= stamp_ms <= span[1] + slack_ms:
        verdict.wrong.append(Reading(reading.unit, reading.point, reading.value, reading.given_ms, said))
    elif place is not None and place.stamp_ms != stamp_ms:
        verdict.wrong.append(
            Reading(reading.unit, reading.point, reading.value, reading.given_ms, "the log has another stamp: " + said)
        )
