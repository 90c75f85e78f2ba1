"""Pure. Series, their present attributes, and readings as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from collector.domain.identity import SeriesKey
from edge_agent.contract.message import Limits, Text, Value

AHEAD_MS = 10 * 60_000
"""A reading stamped further than this after the collector's time tells of a wrong clock: uncertain, and never the latest."""


@dataclass(frozen=True, slots=True)
class SeriesInfo:
    """A series with its present attributes."""

    key: SeriesKey
    unit: str = ""
    role: str = ""
    kind: str = "number"
    period_ms: int = 0
    decimals: int | None = None
    name: Text | None = None
    limits: Limits | None = None
    texts: Mapping[str, Text] = field(default_factory=dict)
    device_name: Text | None = None
    """What people call its device."""


@dataclass(frozen=True, slots=True)
class SeriesColumn:
    """Consecutive readings of one series: three columns of equal length; times ms UTC."""

    series: SeriesInfo
    times: Sequence[int]
    values: Sequence[Value]
    qualities: Sequence[int]


@dataclass(frozen=True, slots=True)
class Sample:
    """One stored reading."""

    time_ms: int
    value: Value
    quality: int
