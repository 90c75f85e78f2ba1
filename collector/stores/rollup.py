"""Pure. Thinning of readings so that a chart keeps what matters, and the roll-up of an hour by minutes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from collector.domain.series import Sample
from edge_agent.contract.message import Value

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
MAX_CHANGES = 4
"""Changes of text, flag or quality that are kept of one interval."""


@dataclass(frozen=True, slots=True)
class Minute:
    """The numbers of one minute. count: instants with a reading of any kind; numbers: those with a number."""

    start_ms: int
    count: int
    numbers: int
    total: float
    low: float | None
    high: float | None
    first: Value
    last: Value


def thin(samples: Sequence[Sample], from_ms: int, to_ms: int, max_points: int) -> list[Sample]:
    """At most about max_points of the samples: of each interval its lowest and highest number, in order of time.

    Texts, flags and missing values are kept where they change. Raises ValueError for max_points < 2.
    """
    if max_points < 2:
        raise ValueError("max_points must be at least 2")
    if len(samples) <= max_points:
        return list(samples)
    width_ms = max(1.0, (to_ms - from_ms) / (max_points // 2))
    kept: list[Sample] = []
    for _, bucket in groupby(samples, lambda sample: int((sample.time_ms - from_ms) / width_ms)):
        kept += extremes(list(bucket))
    return kept


def whole_window(from_ms: int, to_ms: int, max_points: int, width_ms: int) -> tuple[int, int]:
    """The smallest window around from_ms..to_ms whose intervals are whole widths: there roll-ups thin as exactly as readings."""
    intervals = max(1, max_points // 2)
    start_ms = from_ms // width_ms * width_ms
    widths = -(-(to_ms - start_ms) // (intervals * width_ms))
    return start_ms, start_ms + max(1, widths) * intervals * width_ms


def minutes(samples: Sequence[Sample]) -> Iterator[tuple[Minute, list[Sample]]]:
    """The roll-up of readings in order of time: each minute, and those of its readings that a chart needs."""
    for start, bucket in groupby(samples, lambda sample: sample.time_ms // MINUTE_MS):
        rows = list(bucket)
        numbers = [float(s.value) for s in rows if isinstance(s.value, (int, float))]
        minute = Minute(
            start * MINUTE_MS, len(rows), len(numbers), sum(numbers), min(numbers, default=None), max(numbers, default=None),
            rows[0].value, rows[-1].value,
        )  # fmt: skip
        yield minute, extremes(rows)


def extremes_by(samples: Sequence[Sample], width_ms: int) -> list[Sample]:
    """The readings that a chart needs of each interval of this width, which begin at multiples of it."""
    return [kept for _, bucket in groupby(samples, lambda s: s.time_ms // width_ms) for kept in extremes(list(bucket))]


def extremes(bucket: Sequence[Sample]) -> list[Sample]:
    """The lowest and the highest number of an interval, and its first changes, in order of time."""
    numbers = [s for s in bucket if _is_number(s.value)]
    chosen = {s.time_ms: s for s in _changes(bucket)}
    if numbers:
        for sample in (min(numbers, key=_number), max(numbers, key=_number)):
            chosen[sample.time_ms] = sample
    return sorted(chosen.values(), key=lambda sample: sample.time_ms)


def _changes(bucket: Sequence[Sample]) -> list[Sample]:
    """First samples of runs that are no plain good numbers."""
    changed: list[Sample] = []
    last: tuple[object, int] | None = None
    for sample in bucket:
        plain = _is_number(sample.value)
        now = (None if plain else sample.value, sample.quality)
        if now != last and not (plain and sample.quality == 0):
            changed.append(sample)
        last = now
    return changed[:MAX_CHANGES]


def _is_number(value: Value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _number(sample: Sample) -> float:
    assert isinstance(sample.value, (int, float))  # noqa: S101 - only numbers are asked
    return float(sample.value)
