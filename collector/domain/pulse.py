"""Pure. What the page and the link rules know of each gateway at this moment, in the collector's time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from collector.domain.identity import GatewayId
from edge_agent.contract.message import Lane


class LaneCounts(NamedTuple):
    """One lane of a gateway, all epochs together, in batches."""

    lane: Lane
    received: int
    duplicate: int
    lost: int
    behind: int


@dataclass(frozen=True, slots=True)
class GatewayPulse:
    """One gateway as the collector sees it. Times ms UTC; None: never."""

    gateway: GatewayId
    heard_ms: int | None = None
    """Last message of any kind."""
    online: bool | None = None
    """As its status topic says: None unknown, False only means "may be offline"."""
    software: str = ""
    epoch: str = ""
    received: int = 0
    duplicate: int = 0
    lost: int = 0
    behind: int = 0
    """Sequences known to exist (below the highest received) that have not come yet."""
    lanes: tuple[LaneCounts, ...] = ()
    """The four counts apart for each lane heard of."""
