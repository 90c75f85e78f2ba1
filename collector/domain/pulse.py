"""Pure. What the page and the link rules know of each gateway at this moment, in the collector's time."""

from __future__ import annotations

from dataclasses import dataclass

from collector.domain.identity import GatewayId


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
