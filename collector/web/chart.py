"""Pure. The geometry of a chart: lines that break at gaps, bands of doubtful and missing readings, limits, ticks.

Across, positions are percent of the width; downward, pixels. So the server needs not know the screen: an SVG as wide as the page
keeps letters and strokes at their size on a phone and on a wall display alike. The line itself lives in a nested SVG, 1000 units
across.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Literal

from collector.domain.series import Sample, SeriesInfo
from collector.web.times import DAY_MS, HOUR_MS, local
from edge_agent.contract.quality import quality_from_code

HEIGHT = 260
"""Pixels: plot, band, and time axis together."""
TOP = 18
BOTTOM = 206
"""The plot's lower edge."""
BAND = 212
BAND_HEIGHT = 10
ACROSS = 1000

Anchor = Literal["start", "middle", "end"]
_Place = Callable[[int], float]
"""ms UTC to a part of the width, 0-1."""
_Height = Callable[[float], float]
"""A value to pixels from the top."""


@dataclass(frozen=True, slots=True)
class Tick:
    """One label: at percent of the width, or at pixels from the top."""

    at: float
    label: str
    anchor: Anchor = "middle"


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of time; at and width in percent. kind: `uncertain`, `bad` or `gap`."""

    at: float
    width: float
    kind: Literal["uncertain", "bad", "gap"]


@dataclass(frozen=True, slots=True)
class LimitLine:
    """A limit that lies inside the plot. kind: the field of `Limits`."""

    y: float
    value: float
    kind: str


@dataclass(frozen=True, slots=True)
class Dot:
    """A reading that stands alone between gaps: x percent, y pixels."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything the template draws. low, high: extremes of the usable readings, None without any."""

    line: str
    dots: tuple[Dot, ...]
    levels: tuple[Tick, ...]
    times: tuple[Tick, ...]
    stretches: tuple[Stretch, ...]
    limits: tuple[LimitLine, ...]
    mark: float | None
    low: float | None
    high: float | None


def chart(
    info: SeriesInfo,
    samples: Sequence[Sample],
    from_ms: int,
    to_ms: int,
    *,
    zone: str,
    thinned_ms: int = 0,
    mark_ms: int | None = None,
) -> Chart:
    """The chart of `samples` (in order of time) over from_ms..to_ms.

    thinned_ms: the interval into which the store thinned them, 0 if it did not. mark_ms: a moment to mark (a warning began).
    """
    span = max(to_ms - from_ms, 1)
    longest = _longest_step(info, samples, thinned_ms)
    numbers = [number for sample in samples if (number := usable(sample)) is not None]
    limits = _limit_values(info)
    bottom, top, step = _scale(numbers, [value for _, value in limits], whole=info.kind in {"bool", "code"})

    def x(time_ms: int) -> float:
        return min(max((time_ms - from_ms) / span, 0.0), 1.0)

    def y(value: float) -> float:
        return round(BOTTOM - (value - bottom) / (top - bottom) * (BOTTOM - TOP), 1)

    line, dots = _line(samples, x, y, longest, steps=info.kind != "number")
    return Chart(
        line=line,
        dots=dots,
        levels=tuple(Tick(y(value), _tick_label(value, step)) for value in _levels(bottom, top, step)),
        times=tuple(_times(from_ms, to_ms, zone)),
        stretches=tuple(_stretches(samples, from_ms, to_ms, longest, thinned_ms)),
        limits=tuple(LimitLine(y(value), value, kind) for kind, value in limits if bottom <= value <= top),
        mark=round(100 * x(mark_ms), 2) if mark_ms is not None and from_ms <= mark_ms <= to_ms else None,
        low=min(numbers, default=None),
        high=max(numbers, default=None),
    )


def usable(sample: Sample) -> float | None:
    """The value as a number that may be drawn; None for text, nothing, or bad quality."""
    if quality_from_code(sample.quality).is_bad or sample.value is None or isinstance(sample.value, str):
        return None
    number = float(sample.value)
    return number if math.isfinite(number) else None


def _longest_step(info: SeriesInfo, samples: Sequence[Sample], thinned_ms: int) -> float:
    """Beyond this many ms between two readings there is a gap.

    Points with a dead-band are confirmed by a heartbeat slower than their period, so what is usual for this series counts as well.
    """
    if info.period_ms == 0 or len(samples) < 2:
        return math.inf if info.period_ms == 0 else 3.0 * info.period_ms + 2.5 * thinned_ms
    spacings = sorted(b.time_ms - a.time_ms for a, b in pairwise(samples))
    usual = spacings[min(len(spacings) * 95 // 100, len(spacings) - 1)]
    return max(3.0 * info.period_ms, 2.5 * thinned_ms, 3.0 * usual)


def _limit_values(info: SeriesInfo) -> list[tuple[str, float]]:
    if info.limits is None:
        return []
    pairs = [(kind, getattr(info.limits, kind)) for kind in ("low_low", "low", "high", "high_high")]
    return [(kind, value) for kind, value in pairs if value is not None]


def _scale(numbers: Sequence[float], limits: Sequence[float], *, whole: bool) -> tuple[float, float, float]:
    """Lower and upper edge, and the step of the level lines. Takes in limits near the readings; far ones would flatten the line."""
    if not numbers:
        numbers = limits or (0.0, 1.0)
    low, high = min(numbers), max(numbers)
    reach = max(high - low, abs(high) * 0.1, 1e-9)
    near = [value for value in limits if low - reach <= value <= high + reach]
    low, high = min([low, *near]), max([high, *near])
    if high - low < 1e-9 * max(abs(high), 1.0):
        pad = abs(high) * 0.1 or 1.0
        low, high = low - pad, high + pad
    step = _nice((high - low) / 4)
    step = max(step, 1.0) if whole else step
    return math.floor(low / step) * step, math.ceil(high / step) * step, step


def _nice(rough: float) -> float:
    """The least of 1, 2, 5 times a power of ten that is not below `rough`."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next((factor * power for factor in (1.0, 2.0, 5.0) if factor * power >= rough * (1 - 1e-9)), 10.0 * power)


def _levels(bottom: float, top: float, step: float) -> list[float]:
    return [bottom + step * index for index in range(round((top - bottom) / step) + 1)]


def _tick_label(value: float, step: float) -> str:
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    text = f"{value:.{decimals}f}"
    return "0" if float(text) == 0 else text.replace("-", "\u2212")


def _line(samples: Sequence[Sample], x: _Place, y: _Height, longest: float, *, steps: bool) -> tuple[str, tuple[Dot, ...]]:
    """The SVG path, broken at gaps and unusable readings, and the readings that stand alone."""
    path: list[str] = []
    dots: list[Dot] = []
    for run in _runs(samples, longest):
        points = [(round(ACROSS * x(at), 1), y(value)) for at, value in run]
        if len(points) == 1:
            dots.append(Dot(round(points[0][0] * 100 / ACROSS, 2), points[0][1]))
            continue
        path.append(f"M{points[0][0]:g} {points[0][1]:g}")
        path += [f"H{px:g}V{py:g}" if steps else f"L{px:g} {py:g}" for px, py in points[1:]]
    return "".join(path), tuple(dots)


def _runs(samples: Sequence[Sample], longest: float) -> Iterator[list[tuple[int, float]]]:
    run: list[tuple[int, float]] = []
    for sample in samples:
        value = usable(sample)
        if run and (value is None or sample.time_ms - run[-1][0] > longest):
            yield run
            run = []
        if value is not None:
            run.append((sample.time_ms, value))
    if run:
        yield run


def _stretches(samples: Sequence[Sample], from_ms: int, to_ms: int, longest: float, thinned_ms: int) -> Iterator[Stretch]:
    """Times without readings, and times of readings that are doubtful or unusable."""
    span = max(to_ms - from_ms, 1)

    def stretch(start: int, end: int, kind: Literal["uncertain", "bad", "gap"]) -> Stretch:
        return Stretch(round(100 * (start - from_ms) / span, 2), max(round(100 * (end - start) / span, 2), 0.4), kind)

    edges = [from_ms, *(sample.time_ms for sample in samples), to_ms]
    for before, after in pairwise(edges):
        if after - before > longest:
            yield stretch(before, after, "gap")
    for kind in ("uncertain", "bad"):
        start = end = -1
        for sample in samples:
            if quality_from_code(sample.quality).level != kind or sample.time_ms - end > max(longest, thinned_ms):
                if start >= 0:
                    yield stretch(start, end, kind)
                start = -1
            if quality_from_code(sample.quality).level == kind:
                start, end = sample.time_ms if start < 0 else start, sample.time_ms
        if start >= 0:
            yield stretch(start, end, kind)


def _times(from_ms: int, to_ms: int, zone: str) -> Iterator[Tick]:
    """Whole hours or days of the site's zone; labels that would leave the picture are left out."""
    span = to_ms - from_ms
    hours = next((h for h in (1, 2, 6, 12, 24, 48) if span / (h * HOUR_MS) <= 7), 24 * math.ceil(span / DAY_MS / 7))
    at = local(from_ms, zone).replace(minute=0, second=0, microsecond=0)
    at -= timedelta(hours=at.hour % hours) if hours <= 24 else timedelta(hours=at.hour)
    while (ms := int(at.timestamp()) * 1000) < to_ms:
        percent = 100 * (ms - from_ms) / span
        if 4 <= percent <= 96:
            yield Tick(round(percent, 2), at.strftime("%m-%d" if at.hour == 0 and hours >= 6 else "%H:%M"))
        at += timedelta(hours=hours)
