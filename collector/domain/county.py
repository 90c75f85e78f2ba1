"""Pure. The county: sites, people, and what the county file overrides (DESIGN.md section 5, who owns what)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from edge_agent.contract.message import Text

SiteKind = Literal["water-station", "construction-site"]
DEFAULT_ZONE = "Asia/Shanghai"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can be responsible."""

    id: str
    name: str
    phone: str = ""


@dataclass(frozen=True, slots=True)
class SiteInfo:
    """One site as the county knows it."""

    id: str
    name: Text
    kind: SiteKind = "water-station"
    zone: str = DEFAULT_ZONE
    """IANA time zone."""
    latitude: float | None = None
    """Degrees, WGS-84."""
    longitude: float | None = None
    responsible: str = ""
    """Person id."""
    deputies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleOverride:
    """What the county changes of one shipped rule; `site` and `subject` empty: everywhere."""

    rule: str
    site: str = ""
    subject: str = ""
    enabled: bool = True
    level: Literal["blue", "yellow", "red"] | None = None
    for_ms: int | None = None
    """Dwell before it is raised."""
    clear_ms: int | None = None
    """Dwell before it is over."""
    params: Mapping[str, float] = field(default_factory=dict)
    """The rule's named thresholds."""


@dataclass(frozen=True, slots=True)
class County:
    """Everything the collector knows beside the wire. A site that is heard but not listed is shown under its id."""

    name: Text
    sites: Mapping[str, SiteInfo] = field(default_factory=dict)
    people: Mapping[str, Person] = field(default_factory=dict)
    overrides: tuple[RuleOverride, ...] = ()

    @property
    def zone(self) -> str:
        """The county's time zone: that of its first site."""
        return next((site.zone for site in self.sites.values()), DEFAULT_ZONE)

    def zone_of(self, site: str) -> str:
        """The time zone of a site; of one that is not listed, the county's."""
        return self.sites[site].zone if site in self.sites else self.zone
