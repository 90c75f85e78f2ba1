"""Pure. Whether a device and each of its requests work, and what is told about it - once, when it changes.

    new ----> ok <----> failing ----> silent         answered: to ok from everywhere; three failed cycles in a row: silent
                ^                        |
                +------------------------+

A cycle is one period of the device's fastest point. One request that fails for three of its turns while the device answers
others makes its own points bad, and nothing else.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

from edge_agent.contract.quality import Quality
from edge_agent.model.points import Device, Point
from edge_agent.model.reading import Happening, Reading

State = Literal["new", "ok", "failing", "silent"]
CYCLES_TO_SILENT = 3


@dataclass(frozen=True, slots=True)
class Told:
    """What a change of health tells the collector."""

    readings: tuple[Reading, ...] = ()
    happenings: tuple[Happening, ...] = ()


NOTHING = Told()


class DeviceHealth:
    """State of one device of a bus."""

    def __init__(self, device: Device, now_ms: int) -> None:
        self.state: State = "new"
        self.since_ms = now_ms
        self.reason = ""
        self._device = device
        self._cycle_ms = min((point.period_ms for point in device.points), default=1000)
        self._failed_cycles = 0
        self._counted_ms: int | None = None
        self._failed_turns: dict[Hashable, int] = {}

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
        """A request got no answer, or none that can be believed. reason: `timeout`, `garbled`, `link`."""
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
        return Told(
            no_value(self._device.points, now_ms, Quality.BAD_COMM),
            (Happening("device.silent", now_ms, True, self._device.id, reason),),
        )

    def request_worked(self, request: Hashable) -> None:
        """This request gave its values."""
        self._failed_turns.pop(request, None)

    def request_failed(self, request: Hashable, points: Sequence[Point], now_ms: int, quality: Quality) -> Told:
        """This request gave nothing in its turn. At the third time its points become bad with `quality`."""
        turns = self._failed_turns[request] = self._failed_turns.get(request, 0) + 1
        if turns != CYCLES_TO_SILENT or self.state == "silent":
            return NOTHING
        return Told(no_value(points, now_ms, quality))

    def _enter(self, state: State, now_ms: int, reason: str) -> None:
        self.state, self.since_ms, self.reason = state, now_ms, reason


def no_value(points: Sequence[Point], now_ms: int, quality: Quality) -> tuple[Reading, ...]:
    """One reading without value for each point."""
    return tuple(Reading(point.series, now_ms, None, quality) for point in points)


def refused(point: Point, now_ms: int, code: int) -> Told:
    """The device refuses this point: a mistake in profile or site file (exceptions 1-3), told once."""
    about = (("exception", code), ("table", point.table), ("address", point.address))
    subject = f"{point.device}.{point.id}"
    return Told(
        no_value((point,), now_ms, Quality.BAD_CONFIG),
        (Happening("point.refused", now_ms, True, subject, f"exception {code}", about),),
    )


def accepted_again(point: Point, now_ms: int) -> Told:
    """A refused point gives values now."""
    return Told(happenings=(Happening("point.refused", now_ms, False, f"{point.device}.{point.id}"),))
