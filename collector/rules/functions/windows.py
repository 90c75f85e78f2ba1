"""Pure. `avg`, `min`, `max`, `sum`, `count`, `median`, `rate`, `delta`, `stuck`: one signal over the last span of time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import truediv
from statistics import median

from collector.rules.function import Function, Memory, Takes
from collector.rules.signal import Known, View
from collector.rules.window import Plain, Steps, Window

Reduce = Callable[[Steps], Known]


class Windowed:
    """A window over one signal, and what is made of its steps."""

    __slots__ = ("_reduce", "_view", "_window")

    def __init__(self, view: View | None, span_ms: int, reduce: Reduce) -> None:
        self._view = view
        self._window = Window(span_ms)
        self._reduce = reduce

    def learn(self, at_ms: int) -> None:
        """Takes the reading of this instant, if it is usable."""
        value = self._view.fresh(at_ms) if self._view is not None else None
        if value is not None:
            self._window.add(at_ms, value)

    def value(self, at_ms: int) -> Known:
        """None while the window has not been seen enough, or the signal is unknown now."""
        if self._view is None or self._view.value(at_ms) is None:
            return None
        steps = self._window.at(at_ms)
        return None if steps is None else self._reduce(steps)

    def dump(self) -> bytes:
        """The window."""
        return self._window.dump()

    def load(self, plain: Plain) -> None:
        """The window."""
        self._window.load(plain)


def _average(steps: Steps) -> Known:
    return sum(steps.total) / sum(steps.readings)


def _lowest(steps: Steps) -> Known:
    return min(steps.low)


def _highest(steps: Steps) -> Known:
    return max(steps.high)


def _total(steps: Steps) -> Known:
    return sum(steps.total)


def _count(steps: Steps) -> Known:
    return float(sum(steps.readings))


def _median(steps: Steps) -> Known:
    means: Iterator[float] = map(truediv, steps.total, steps.readings)
    return median(means)


def _delta(steps: Steps) -> Known:
    return steps.last[-1] - steps.first[0]


def _rate(steps: Steps) -> Known:
    seconds = (steps.last_ms[-1] - steps.first_ms[0]) / 1000
    return (steps.last[-1] - steps.first[0]) / seconds if seconds else None


def _stuck(view: View | None, span_ms: int) -> Memory:
    def has_not_moved(steps: Steps) -> Known:
        # Half a step more: two values one step apart differ by a hair more or less than it in binary.
        step = view.resolution if view is not None else 0.0
        return max(steps.high) - min(steps.low) <= 1.5 * step

    return Windowed(view, span_ms, has_not_moved)


def _windowed(reduce: Reduce) -> Callable[[View | None, int], Memory]:
    return lambda view, span_ms: Windowed(view, span_ms, reduce)


_OVER: tuple[Takes, ...] = ("signal", "duration")

FUNCTIONS = (
    Function("avg", _OVER, "number", _windowed(_average), "mean of the readings in the window"),
    Function("min", _OVER, "number", _windowed(_lowest), "lowest reading in the window"),
    Function("max", _OVER, "number", _windowed(_highest), "highest reading in the window"),
    Function("sum", _OVER, "number", _windowed(_total), "sum of the readings in the window"),
    Function("count", _OVER, "number", _windowed(_count), "usable readings in the window"),
    Function("median", _OVER, "number", _windowed(_median), "median of the window, from means of its steps"),
    Function("delta", _OVER, "number", _windowed(_delta), "last minus first reading of the window"),
    Function("rate", _OVER, "number", _windowed(_rate), "slope over the window, per second"),
    Function("stuck", _OVER, "truth", _stuck, "true if the window's readings differ by one step of resolution at most"),
)
