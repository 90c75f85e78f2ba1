"""Pure. A reading on its way from the bus to the outbox, before it is stamped, and the resolved point it belongs to."""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.contract.message import Value
from edge_agent.contract.quality import Quality


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of one series. taken_ms: monotonic time of this boot when the reply arrived; it is stamped once, in delivery/.

    Readings of one request share one taken_ms, so that they share a block on the wire.
    """

    series: int
    """Index in the birth's series table."""
    taken_ms: int
    value: Value
    quality: Quality = Quality.GOOD


@dataclass(frozen=True, slots=True)
class Happening:
    """An event of the agent before it is stamped (`message.Event` on the wire)."""

    kind: str
    taken_ms: int
    on: bool | None = None
    subject: str = ""
    reason: str = ""
    about: tuple[tuple[str, float | int | bool | str | None], ...] = ()
