"""Pure. Thinning of readings so that a chart keeps what matters: the extremes of each interval, and every change of quality."""

from __future__ import annotations

from collections.abc import Sequence

from collector.domain.series import Sample


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
    bucket: list[Sample] = []
    number = -1
    for sample in samples:
        this = int((sample.time_ms - from_ms) / width_ms)
        if this != number:
            kept += _extremes(bucket)
            bucket, number = [], this
        bucket.append(sample)
    return kept + _extremes(bucket)


def _extremes(bucket: Sequence[Sample]) -> list[Sample]:
    numbers = [s for s in bucket if isinstance(s.value, (int, float)) and not isinstance(s.value, bool)]
    chosen = {id(s): s for s in _changes(bucket)}
    if numbers:
        for sample in (min(numbers, key=_value), max(numbers, key=_value)):
            chosen[id(sample)] = sample
    return sorted(chosen.values(), key=_time)


def _changes(bucket: Sequence[Sample]) -> list[Sample]:
    """First samples of runs that are no plain good numbers."""
    changed: list[Sample] = []
    last: tuple[object, int] | None = None
    for sample in bucket:
        plain = isinstance(sample.value, (int, float)) and not isinstance(sample.value, bool)
        now = (None if plain else sample.value, sample.quality)
        if now != last and not (plain and sample.quality == 0):
            changed.append(sample)
        last = now
    return changed[:4]


def _value(sample: Sample) -> float:
    assert isinstance(sample.value, (int, float))  # noqa: S101 - only numbers are asked
    return float(sample.value)


def _time(sample: Sample) -> int:
    return sample.time_ms
