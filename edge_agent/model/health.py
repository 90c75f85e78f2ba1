"""Pure. Whether a device, its requests and its points work, and what is told about it - once, when it changes.

    device   new ----> ok <----> failing ----> silent     answered: to ok from everywhere; three failed cycles in a row: silent
                        ^                        |
                        +------------------------+
    point    new ----> ok <----> failing ----> bad        three turns in a row without a value: bad; with one: ok
                        ^----------------------> refused  the device says that it has no such point

A cycle is one period of the device's fastest point. One request that fails for three of its turns while the device answers
others makes its own points bad, and nothing else. What a silent device means for its points is told with the device.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from edge_agent.contract.quality import Quality
from edge_agent.model.points import Device, Point
from edge_agent.model.reading import Happening, Reading

State = Literal["new", "ok", "failing", "silent"]
PointState = Literal["new", "ok", "failing", "bad", "refused"]
CYCLES_TO_SILENT = 3
TURNS_TO_BAD = 3
SILENT = "device silent"
"""Reason of the points of a device that does not answer."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a change of health tells the collector."""

    readings: tuple[Reading, ...] = ()
    happenings: tuple[Happening, ...] = ()


NOTHING = Told()


def both(*told: Told) -> Told:
    """Everything, in order."""
    said = [each for each in told if each is not NOTHING]
    if len(said) < 2:
        return said[0] if said else NOTHING
    return Told(
        tuple(reading for each in said for reading in each.readings),
        tuple(happening for each in said for happening in each.happenings),
    )


@dataclass(frozen=True, slots=True)
class PointHealth:
    """One point. since_ms: monotonic. reason: of a point that is ok, why its value is uncertain."""

    id: str
    state: PointState
    since_ms: int
    reason: str = ""


class DeviceHealth:
    """State of one device of a bus and of its points."""

    def __init__(self, device: Device, now_ms: int) -> None:
        self.state: State = "new"
        self.since_ms = now_ms
        self.reason = ""
        self._device = device
        self._cycle_ms = min((point.period_ms for point in device.points), default=1000)
        self._failed_cycles = 0
        self._counted_ms: int | None = None
        self._failed_turns: dict[Hashable, int] = {}
        self._points = {point.series: PointHealth(point.id, "new", now_ms) for point in device.points}
        self._without: dict[int, int] = {}
        """Turns in a row in which a point had no value."""
        self._told_bad: set[int] = set()

    @property
    def points(self) -> tuple[PointHealth, ...]:
        """Every point, in the order of the device."""
        return tuple(self._points.values())

    def answered(self, now_ms: int) -> Told:
        """The device said something acceptable, be it an exception."""
        was = self.state
        self._failed_cycles = 0
        self._counted_ms = None
        if was != "ok":
            self._enter("ok", now_ms, "")
        if was != "silent":
            return NOTHING
        return Told(happenings=(Happening("device.silent", now_ms, False, self._device.id),))

    def failed(self, now_ms: int, reason: str) -> Told:
        """A request got no answer, or none that can be believed. reason: `timeout`, `garbled`, `link`, or that of a step."""
        if self.state == "silent":
            self.reason = reason
            return NOTHING
        if self._counted_ms is None or 2 * (now_ms - self._counted_ms) >= self._cycle_ms:
            self._failed_cycles += 1
            self._counted_ms = now_ms
        if self._failed_cycles < CYCLES_TO_SILENT:
            if self.state != "failing":
                self._enter("failing", now_ms, reason)
            return NOTHING
        self._enter("silent", now_ms, reason)
        self._failed_turns.clear()
        self._without.clear()
        for series, point in self._points.items():
            if point.state != "refused":
                self._points[series] = PointHealth(point.id, "bad", now_ms, SILENT)
        return Told(
            no_value(self._device.points, now_ms, Quality.BAD_COMM),
            (Happening("device.silent", now_ms, True, self._device.id, reason),),
        )

    def request_worked(self, request: Hashable, points: Iterable[Point], readings: Iterable[Reading]) -> Told:
        """This request gave its readings; some may be without value."""
        self._failed_turns.pop(request, None)
        happenings: list[Happening] = []
        for point, reading in zip(points, readings, strict=True):
            was = self._points[point.series]
            if reading.quality == Quality.GOOD and was.state == "ok" and not was.reason:
                continue
            if reading.quality.is_bad:
                happenings += self._missed(point, reading.quality.reason, reading.taken_ms)
            else:
                happenings += self._gave(point, reading)
        return Told(happenings=tuple(happenings)) if happenings else NOTHING

    def request_failed(self, request: Hashable, points: Sequence[Point], now_ms: int, quality: Quality, reason: str) -> Told:
        """This request gave nothing in its turn. At the third time its points become bad with `quality`."""
        turns = self._failed_turns[request] = self._failed_turns.get(request, 0) + 1
        if self.state == "silent":
            return NOTHING
        happenings = [happening for point in points for happening in self._missed(point, reason, now_ms)]
        return Told(no_value(points, now_ms, quality) if turns == TURNS_TO_BAD else (), tuple(happenings))

    def point_refused(self, point: Point, now_ms: int, code: int) -> Told:
        """The device does not have this point (exceptions 1-3)."""
        self._points[point.series] = PointHealth(point.id, "refused", now_ms, f"exception {code}")
        self._without.pop(point.series, None)
        return both(Told(happenings=self._over(point, now_ms)), refused(point, now_ms, code))

    def _missed(self, point: Point, reason: str, now_ms: int) -> tuple[Happening, ...]:
        was, turns = self._points[point.series], self._without.get(point.series, 0) + 1
        if was.state == "refused":
            return ()
        self._without[point.series] = turns
        state: PointState = "bad" if turns >= TURNS_TO_BAD or was.state == "bad" else "failing"
        self._points[point.series] = PointHealth(point.id, state, now_ms if was.state != state else was.since_ms, reason)
        if turns < TURNS_TO_BAD or point.series in self._told_bad or point.valid_when is not None:
            return ()  # a point that has a value under a condition alone is often without
        self._told_bad.add(point.series)
        return (Happening("point.bad", now_ms, True, _subject(point), reason),)

    def _gave(self, point: Point, reading: Reading) -> tuple[Happening, ...]:
        was = self._points[point.series]
        self._without.pop(point.series, None)
        if was.state == "ok":
            self._points[point.series] = replace(was, reason=reading.quality.reason)
            return ()
        self._points[point.series] = PointHealth(point.id, "ok", reading.taken_ms, reading.quality.reason)
        return self._over(point, reading.taken_ms)

    def _over(self, point: Point, now_ms: int) -> tuple[Happening, ...]:
        if point.series not in self._told_bad:
            return ()
        self._told_bad.discard(point.series)
        return (Happening("point.bad", now_ms, False, _subject(point)),)

    def _enter(self, state: State, now_ms: int, reason: str) -> None:
        self.state, self.since_ms, self.reason = state, now_ms, reason


def no_value(points: Sequence[Point], now_ms: int, quality: Quality) -> tuple[Reading, ...]:
    """One reading without value for each point."""
    return tuple(Reading(point.series, now_ms, None, quality) for point in points)


def refused(point: Point, now_ms: int, code: int) -> Told:
    """The device refuses this point: a mistake in profile or site file (exceptions 1-3), told once."""
    about = (("exception", code), ("table", point.table), ("address", point.address))
    return Told(
        no_value((point,), now_ms, Quality.BAD_CONFIG),
        (Happening("point.refused", now_ms, True, _subject(point), f"exception {code}", about),),
    )


def accepted_again(point: Point, now_ms: int) -> Told:
    """A refused point gives values now."""
    return Told(happenings=(Happening("point.refused", now_ms, False, _subject(point)),))


def _subject(point: Point) -> str:
    return f"{point.device}.{point.id}"
