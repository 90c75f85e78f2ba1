"""Pure. What expressions see of a series: its newest reading, as a number or a truth value, or unknown (None)."""

from __future__ import annotations

import math
from collections.abc import Mapping

from collector.domain.identity import SeriesKey
from collector.domain.series import SeriesInfo
from edge_agent.contract.message import Limits, Value
from edge_agent.contract.quality import Quality
from edge_agent.contract.units import UNITS

Known = float | bool | None
"""A number, a truth value, or unknown."""

HOLE_PERIODS = 3
DEFAULT_HOLE_MS = 90_000
"""Where the period is not known."""
MIN_HOLE_MS = 5_000

_NOT_JUDGED = frozenset((Quality.UNCERTAIN_MANUAL, Quality.UNCERTAIN_MAINTENANCE, Quality.UNCERTAIN_CALIBRATION))
"""A person works on the instrument or has put the value in: not what the process does."""


def known_value(value: Value, quality: int) -> Known:
    """What rules may use of a reading: None for text, no value, bad quality, and while a person works on the instrument."""
    if quality and (quality >= Quality.BAD_COMM or quality in _NOT_JUDGED):
        return None
    if value is None or isinstance(value, str):
        return None
    return value if isinstance(value, bool) else float(value)


class Slot:
    """The newest judged reading of one series, and its attributes."""

    __slots__ = ("at_ms", "hole_ms", "known", "known_at_ms", "nameplate", "series")

    def __init__(self, series: SeriesInfo) -> None:
        self.at_ms = 0
        """Time of the newest reading, usable or not."""
        self.known: Known = None
        self.known_at_ms = 0
        self.nameplate: Mapping[str, float | int | bool | str] = {}
        self.describe(series)

    def describe(self, series: SeriesInfo) -> None:
        """Takes over new attributes of the series."""
        self.series = series
        self.hole_ms = max(MIN_HOLE_MS, HOLE_PERIODS * series.period_ms) if series.period_ms else DEFAULT_HOLE_MS

    def copy(self) -> Slot:
        """Another one of the same series, without a reading."""
        slot = Slot(self.series)
        slot.nameplate = self.nameplate
        return slot

    @property
    def key(self) -> SeriesKey:
        """Identity."""
        return self.series.key

    def put(self, at_ms: int, value: Value, quality: int) -> None:
        """A reading, newer than those before."""
        self.at_ms = at_ms
        self.known = known_value(value, quality)
        if self.known is not None:
            self.known_at_ms = at_ms


class View:
    """A slot in the unit that a rule asks for."""

    __slots__ = ("_factor", "_offset", "slot", "unit")

    def __init__(self, slot: Slot, unit: str) -> None:
        """Raises ValueError for a unit of another dimension."""
        self.slot = slot
        self.unit = unit or slot.series.unit
        self._factor, self._offset = _conversion(slot.series.unit, self.unit)

    def value(self, at_ms: int) -> Known:
        """The value that holds at `at_ms`; None (unknown) when the newest reading is bad or older than a hole."""
        slot = self.slot
        if slot.known is None or at_ms - slot.at_ms > slot.hole_ms:
            return None
        return slot.known if isinstance(slot.known, bool) else slot.known * self._factor + self._offset

    def fresh(self, at_ms: int) -> float | None:
        """The value if it was read at exactly `at_ms`, as a number; else None. What windows learn."""
        slot = self.slot
        if slot.at_ms != at_ms or slot.known is None:
            return None
        return float(slot.known) * self._factor + self._offset

    def limit(self, name: str) -> float | None:
        """A limit of the point (`low`, `high_high`, ...) in this unit; None where the site file states none."""
        limits = self.slot.series.limits or Limits()
        raw: float | None = getattr(limits, name)
        return None if raw is None else raw * self._factor + self._offset

    @property
    def resolution(self) -> float:
        """The smallest step of the value in this unit; 0 where it is not known."""
        decimals = self.slot.series.decimals
        return 0.0 if decimals is None else float(10.0**-decimals) * abs(self._factor)

    def text(self, value: Known) -> str:
        """A value as evidence shows it: `3.1 A`."""
        if value is None:
            return "-"
        if isinstance(value, bool):
            return "1" if value else "0"
        return f"{self._digits(value)} {self.unit}".rstrip()

    def _digits(self, value: float) -> str:
        """With the decimals of the point, in this unit; four significant digits where these are not known."""
        if not math.isfinite(value):
            return "-"
        if self.resolution:
            return f"{value:.{min(9, max(0, math.ceil(round(-math.log10(self.resolution), 6))))}f}"
        places = 3 - math.floor(math.log10(abs(value))) if value else 0
        text = f"{value:.{min(9, max(0, places))}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text


def _conversion(source: str, target: str) -> tuple[float, float]:
    if source == target:
        return 1.0, 0.0
    if source not in UNITS or target not in UNITS or UNITS[source].dimension != UNITS[target].dimension:
        raise ValueError(f"{source or 'a pure number'} cannot be read in {target or 'a pure number'}")
    a, b = UNITS[source], UNITS[target]
    return a.factor / b.factor, (a.offset - b.offset) / b.factor
