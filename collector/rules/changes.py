"""Pure. What a step of the warning engine gives: warnings that begin and warnings whose condition is over."""

from __future__ import annotations

from dataclasses import dataclass

from collector.domain.warning import Warning


@dataclass(frozen=True, slots=True)
class Raised:
    """A new warning: `raised`, or `past` with its `over_ms` when it was over before it was known (a record without a siren)."""

    warning: Warning


@dataclass(frozen=True, slots=True)
class Over:
    """The condition of a raised warning is over; the warning itself stays until a person closes it."""

    id: str
    over_ms: int
    """When the condition ended, in the rule's own time."""
    known_ms: int
    """When the collector knew, in its own time."""


Change = Raised | Over
