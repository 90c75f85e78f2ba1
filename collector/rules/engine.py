"""Pure. The warning engine: interpreted messages and pulses in, changes of warnings out. DESIGN.md sections 3 and 7.

Process rules are judged in the time of measurement, event rules in the time of the agent's events, link rules in the collector's.
The whole state can be dumped after any step; an engine that loads it goes on as if nothing had happened.
Pulses belong into the engine only while the log has been read to its end: they move the collector's time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from collector.domain.county import County
from collector.domain.interpreted import Interpreted
from collector.domain.pulse import GatewayPulse
from collector.rules.changes import Change, Over, Raised
from collector.rules.rule import Rule
from collector.rules.site import Site
from collector.rules.site_state import SiteState, SiteState2
from collector.rules.watch import Watch, WatchState, warning_id

AWAY_MS = 60_000
"""Pulses further apart: the collector itself was away, and nobody can be blamed for the silence of that time."""
LIVE_MS = 60_000
"""A condition found this soon after it was reached is told at once; one found later waits until the backlog has been read."""
STATE_VERSION = 3
"""1: windows as lists of numbers; 2: one order of time for a whole site."""


class EngineState(msgspec.Struct):
    """All that a restart must know."""

    version: int = STATE_VERSION
    sites: dict[str, SiteState] = {}
    pulsed_ms: int = 0
    back_since_ms: int = 0
    """When the collector was there again after it was away."""


class _Version(msgspec.Struct):
    version: int = 1


class _EngineState2(msgspec.Struct):
    sites: dict[str, SiteState2] = {}
    pulsed_ms: int = 0
    back_since_ms: int = 0


_encoder = msgspec.msgpack.Encoder()


class Engine:
    """See the module. Not thread-safe: one thread steps it."""

    def __init__(self, rules: Sequence[Rule], county: County, state: bytes | None = None, began_ms: int = 0) -> None:
        """state: as `dump` gave it; began_ms: when this collector began to listen. Raises ValueError for what is no such state."""
        self._rules = tuple(rules)
        self._county = county
        self._sites: dict[str, Site] = {}
        self._pulsed_ms = 0
        self._back_since_ms = 0
        self._began_ms = began_ms
        if state:
            self._load(state)

    def step(self, now_ms: int, event: Interpreted | Sequence[GatewayPulse]) -> list[Change]:
        """Judges one message, or the pulses of all gateways (every second or so). now_ms: the collector's clock, UTC."""
        if isinstance(event, Interpreted):
            self._resume(event.received_ms)
            site = self._site(event.gateway.site)
            began_or_ended = site.message(event)
            return [*self._settle(site, began_or_ended, now_ms), *self._announce(site, now_ms)]
        self._resume(now_ms)
        return self._pulses(now_ms, event)

    def dump(self) -> bytes:
        """The whole state."""
        sites = {name: site.dump() for name, site in self._sites.items()}
        return _encoder.encode(EngineState(STATE_VERSION, sites, self._pulsed_ms, self._back_since_ms))

    def counts(self) -> dict[str, int]:
        """Readings and events that came too late to be judged, that came from the future, that wait; and attached rules."""
        sites = self._sites.values()
        return {
            "late": sum(site.arrivals.state.late for site in sites),
            "ahead": sum(site.arrivals.state.ahead for site in sites),
            "waiting": sum(site.waiting for site in sites),
            "watches": sum(len(site.watches) for site in sites),
        }

    def _resume(self, at_ms: int) -> None:
        """Once, as soon as what came before this collector began has been read."""
        if not self._began_ms or at_ms < self._began_ms:
            return
        for site in self._sites.values():
            site.resume(self._began_ms)
        self._began_ms = 0

    def _load(self, state: bytes) -> None:
        try:
            version = msgspec.msgpack.decode(state, type=_Version).version
            if version > STATE_VERSION:
                raise ValueError(f"the rule state is of version {version}, this program knows {STATE_VERSION}")
            loaded = _decoded(state, version)
        except msgspec.MsgspecError as error:
            raise ValueError(f"not a state of the warning engine: {error}") from error
        self._pulsed_ms, self._back_since_ms = loaded.pulsed_ms, loaded.back_since_ms
        for name, site in loaded.sites.items():
            self._sites[name] = Site(name, self._rules, self._county, site)

    def _site(self, name: str) -> Site:
        if name not in self._sites:
            self._sites[name] = Site(name, self._rules, self._county)
        return self._sites[name]

    def _pulses(self, now_ms: int, pulses: Sequence[GatewayPulse]) -> list[Change]:
        if now_ms - self._pulsed_ms > AWAY_MS:
            self._back_since_ms = now_ms
        self._pulsed_ms = now_ms
        changes: list[Change] = []
        for pulse in pulses:
            site = self._site(pulse.gateway.site)
            changes += self._settle(site, site.pulse(pulse, now_ms, self._back_since_ms), now_ms)
        for name, site in self._sites.items():
            changes += self._settle(site, site.tick(now_ms), now_ms)
            changes += self._announce(site, now_ms)
            changes += [Over(orphan_id(name, state), now_ms, now_ms) for state in site.orphans]
            site.orphans.clear()
        return changes

    def _settle(self, site: Site, moved: Iterable[Watch], now_ms: int) -> list[Change]:
        """What people are told of watches that began or ended."""
        changes: list[Change] = []
        for watch in moved:
            standing = watch.standing
            if standing is None:
                continue
            if watch.ended_ms is None:
                if now_ms - standing.reached_ms <= LIVE_MS or watch.rule.kind == "link":
                    changes += self._tell(site, watch, now_ms)
                continue
            over_ms, watch.ended_ms = watch.ended_ms, None
            if not standing.announced and now_ms - over_ms > LIVE_MS:
                changes.append(Raised(watch.warning(now_ms, over_ms)))
            else:
                changes += [] if standing.announced else [Raised(watch.warning(now_ms))]
                changes.append(Over(watch.warning(now_ms).id, over_ms, now_ms))
            watch.standing = None
        return changes

    def _announce(self, site: Site, now_ms: int) -> list[Change]:
        """Tells what was held back, once the site's backlog has been read and it still stands."""
        held_back = [w for w in site.watches if w.standing is not None and not w.standing.announced]
        present = [watch for watch in held_back if site.is_caught_up(watch, now_ms, LIVE_MS)]
        return [change for watch in present for change in self._tell(site, watch, now_ms)]

    def _tell(self, site: Site, watch: Watch, now_ms: int) -> list[Change]:
        if watch.standing is None or site.is_inhibited(watch):
            return []
        watch.standing.announced = True
        return [Raised(watch.warning(now_ms))]


def _decoded(state: bytes, version: int) -> EngineState:
    if version == STATE_VERSION:
        return msgspec.msgpack.decode(state, type=EngineState)
    earlier = msgspec.msgpack.decode(state, type=_EngineState2)
    sites = {name: site.upgraded() for name, site in earlier.sites.items()}
    return EngineState(STATE_VERSION, sites, earlier.pulsed_ms, earlier.back_since_ms)


def orphan_id(site: str, state: WatchState) -> str:
    """The warning of a rule that is gone or switched off: nobody watches its condition any more."""
    began_ms = state.standing.began_ms if state.standing is not None else 0
    return warning_id(state.rule, site, state.subject, began_ms)
