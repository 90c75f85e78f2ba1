"""Pure. What stands on the list of sites and on a site's page: states, groups, ages - derived from seams' answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from collector.domain.county import County, SiteInfo
from collector.domain.identity import SeriesKey
from collector.domain.pulse import GatewayPulse
from collector.domain.series import Sample, SeriesInfo
from collector.domain.warning import Level, State, Warning
from edge_agent.contract.message import Text

OPEN_STATES: tuple[State, ...] = ("raised", "acknowledged", "returned")
LEVELS: tuple[Level, ...] = ("red", "yellow", "blue")
"""Worst first."""
SILENT_AFTER_MS = 10 * 60_000
"""A gateway unheard for longer is shown as silent; the rule that warns of it has its own limit."""
OLD_AFTER_MS = 15 * 60_000
"""A reading older than this (and than three of its periods) is shown as old."""

SKEW_MS = 60_000
"""Clocks that keep time may differ by this much; a reading further ahead is shown as one of the future."""

SiteState = Literal["red", "yellow", "blue", "fine", "silent", "unheard"]
_ORDER: dict[SiteState, int] = {"red": 0, "yellow": 1, "silent": 2, "blue": 3, "unheard": 4, "fine": 5}


@dataclass(frozen=True, slots=True)
class SiteCard:
    """One site at a glance. heard_ms: the newest message of any of its gateways; None: never."""

    site: SiteInfo
    state: SiteState
    open_warnings: int
    heard_ms: int | None
    gateways: tuple[GatewayPulse, ...]
    silent: tuple[str, ...]
    """Gateways not heard for SILENT_AFTER_MS."""


@dataclass(frozen=True, slots=True)
class PointRow:
    """One series with its newest reading; old: too long ago to be taken for the present; ahead: not of the past."""

    info: SeriesInfo
    sample: Sample | None
    old: bool
    ahead: bool


@dataclass(frozen=True, slots=True)
class DeviceGroup:
    """The points of one device."""

    gateway: str
    device: str
    name: Text | None
    """What people call the device."""
    rows: tuple[PointRow, ...]


def site_info(county: County, site: str) -> SiteInfo:
    """The site as the county knows it; a site that is heard but not listed goes under its id."""
    return county.sites.get(site) or SiteInfo(site, Text(zh=site, en=site))


def known_sites(county: County, pulses: Iterable[GatewayPulse], series: Iterable[SeriesInfo]) -> list[str]:
    """Ids of every site listed, heard or stored, sorted."""
    return sorted({*county.sites, *(pulse.gateway.site for pulse in pulses), *(info.key.site for info in series)})


def site_cards(
    county: County, sites: Iterable[str], pulses: Sequence[GatewayPulse], warnings: Iterable[Warning], now_ms: int
) -> list[SiteCard]:
    """One card a site, the worst first, then by id. `warnings`: the open ones."""
    of_site: dict[str, list[Warning]] = defaultdict(list)
    for warning in warnings:
        of_site[warning.site].append(warning)
    cards = [_card(site_info(county, site), pulses, of_site[site], now_ms) for site in sites]
    return sorted(cards, key=lambda card: (_ORDER[card.state], card.site.id))


def _card(site: SiteInfo, pulses: Sequence[GatewayPulse], open_: Sequence[Warning], now_ms: int) -> SiteCard:
    mine = tuple(sorted((p for p in pulses if p.gateway.site == site.id), key=lambda pulse: pulse.gateway))
    heard = max((p.heard_ms for p in mine if p.heard_ms is not None), default=None)
    silent = tuple(p.gateway.gateway for p in mine if p.heard_ms is None or now_ms - p.heard_ms > SILENT_AFTER_MS)
    worst: SiteState | None = next((level for level in LEVELS if any(w.level == level for w in open_)), None)
    calm: SiteState = "unheard" if heard is None else "silent" if silent else "fine"
    state = min((worst or calm, calm), key=_ORDER.__getitem__)
    return SiteCard(site, state, len(open_), heard, mine, silent)


def device_groups(series: Iterable[SeriesInfo], latest: Mapping[SeriesKey, Sample], now_ms: int) -> list[DeviceGroup]:
    """A site's series by gateway and device, both by id; points in the order in which the store names them."""
    groups: dict[tuple[str, str], list[PointRow]] = defaultdict(list)
    for info in series:
        sample = latest.get(info.key)
        groups[info.key.gateway, info.key.device].append(
            PointRow(info, sample, is_old(info, sample, now_ms), is_ahead(sample, now_ms))
        )
    return [DeviceGroup(*key, rows[0].info.device_name, tuple(rows)) for key, rows in sorted(groups.items())]


def is_old(info: SeriesInfo, sample: Sample | None, now_ms: int) -> bool:
    """True for a reading that no longer speaks of the present."""
    return sample is not None and now_ms - sample.time_ms > max(OLD_AFTER_MS, 3 * info.period_ms)


def is_ahead(sample: Sample | None, now_ms: int) -> bool:
    """True for a reading whose time has not come yet: some clock is wrong."""
    return sample is not None and sample.time_ms - now_ms > SKEW_MS


def evidence_key(site: str, path: str) -> SeriesKey | None:
    """The series that `gateway/device.point` names, or None for evidence that is none."""
    gateway, slash, rest = path.partition("/")
    device, dot, point = rest.partition(".")
    return SeriesKey(site, gateway, device, point) if slash and dot and gateway and device and point else None


def warning_counts(warnings: Iterable[Warning]) -> dict[Level, int]:
    """How many of each level, worst first."""
    counts: dict[Level, int] = dict.fromkeys(LEVELS, 0)
    for warning in warnings:
        counts[warning.level] += 1
    return counts
