"""Pure. Words of the intake machine: the events it is told and the actions it asks for.

`Intake` (core.py) is one step machine, `step(now_ms, event) -> list[Action]`; now_ms is the collector's clock, ms UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from collector.domain.identity import GatewayId
from collector.intake.records import LaneState, Poison, Record
from edge_agent.contract.topics import Kind

# --- events ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Start:
    """First event: what the log knows. births: gateway and hash of every birth it holds."""

    log_id: str
    lanes: Sequence[LaneState] = ()
    births: frozenset[tuple[GatewayId, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message came. gateway and kind are None for a topic that is none of the contract."""

    topic: str
    gateway: GatewayId | None
    kind: Kind | None
    payload: bytes
    retained: bool = False


@dataclass(frozen=True, slots=True)
class Foreign:
    """The broker kept messages away because their topic is not their sender's."""

    sender: str
    """The user's name at the broker."""
    topic: str
    payload: bytes
    """Of one of them, cut."""
    size: int
    """The length of that one, bytes."""
    count: int


@dataclass(frozen=True, slots=True)
class Connected:
    """The broker link is up and subscribed."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The broker link is gone."""


@dataclass(frozen=True, slots=True)
class Committed:
    """The append with this token is durable."""

    token: int


@dataclass(frozen=True, slots=True)
class CommitFailed:
    """The append with this token failed."""

    token: int
    reason: str


@dataclass(frozen=True, slots=True)
class Tick:
    """The time asked for by WakeAt has come (or any other time: always harmless)."""


Event = Start | Arrived | Foreign | Connected | Disconnected | Committed | CommitFailed | Tick


# --- actions ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Append:
    """Make these durable in one commit. At most one is under way at a time."""

    token: int
    records: Sequence[Record]
    lanes: Sequence[LaneState]
    poison: Sequence[Poison]


@dataclass(frozen=True, slots=True)
class Publish:
    """Send this to a gateway."""

    gateway: GatewayId
    kind: Kind
    payload: bytes


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Send Tick at this time; a later one replaces an earlier one."""

    ms: int


Action = Append | Publish | WakeAt
