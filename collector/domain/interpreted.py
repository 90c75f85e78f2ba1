"""Pure. A message of the log with its birth applied: what the store writer and the warning engine work on."""

from __future__ import annotations

from dataclasses import dataclass

from collector.domain.identity import GatewayId
from collector.domain.series import SeriesColumn
from edge_agent.contract.message import BirthBody, Gap, Lane


@dataclass(frozen=True, slots=True)
class SiteEvent:
    """An event of an agent, stamped (`message.Event`)."""

    time_ms: int
    kind: str
    on: bool | None = None
    subject: str = ""
    """`bus`, `device` or `device.point`; empty for the gateway itself."""
    reason: str = ""
    about: tuple[tuple[str, float | int | bool | str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Interpreted:
    """One sequenced message, understood. A birth has `birth` and nothing else; data has columns, events, gaps."""

    offset: int
    """Position in the log."""
    gateway: GatewayId
    epoch: str
    lane: Lane
    seq: int
    received_ms: int
    columns: tuple[SeriesColumn, ...] = ()
    events: tuple[SiteEvent, ...] = ()
    gaps: tuple[Gap, ...] = ()
    birth: BirthBody | None = None
    clock_bound_ms: int = 0
