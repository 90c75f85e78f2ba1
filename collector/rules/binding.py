"""Pure. Attaches rules to the series of a site by role, and says where a rule is blind because a point is missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from collector.domain.county import County, RuleOverride
from collector.domain.identity import SeriesKey
from collector.rules.duration import MS_OF_UNIT
from collector.rules.expression import Scope
from collector.rules.rule import Need, Rule
from collector.rules.signal import Slot, View
from collector.rules.watch import Settings, Watch
from edge_agent.contract.message import Device


@dataclass(frozen=True, slots=True)
class Equipment:
    """What the births of a site say of its devices, by (gateway, device)."""

    devices: Mapping[tuple[str, str], Device]

    def of(self, key: SeriesKey) -> str:
        """The equipment a series belongs to, as a subject: `gateway/` and `part_of`, or its own device."""
        device = self.devices.get((key.gateway, key.device))
        return f"{key.gateway}/{device.part_of if device is not None and device.part_of else key.device}"

    def nameplate(self, key: SeriesKey) -> Mapping[str, float | int | bool | str]:
        """Rated values of the series' device, and of the equipment it belongs to."""
        device = self.devices.get((key.gateway, key.device))
        if device is None:
            return {}
        whole = self.devices.get((key.gateway, device.part_of))
        return {**whole.nameplate, **device.nameplate} if whole is not None else device.nameplate


def settings_for(rule: Rule, county: County, site: str, subject: str) -> Settings | None:
    """The rule as the county wants it for one subject; None where it is switched off. The more specific override wins."""
    level, for_ms, clear_ms = rule.level, rule.for_ms, rule.clear_ms
    params = {name: param.value for name, param in rule.params.items()}
    enabled = True
    for override in sorted((o for o in county.overrides if _meant(o, rule, site, subject)), key=_specific):
        enabled = override.enabled
        level = override.level or level
        for_ms = for_ms if override.for_ms is None else override.for_ms
        clear_ms = clear_ms if override.clear_ms is None else override.clear_ms
        params.update({name: value for name, value in override.params.items() if name in params})
    return Settings(level, for_ms, clear_ms, params) if enabled else None


def attach(rule: Rule, slots: Sequence[Slot], equipment: Equipment, county: County, site: str) -> Iterator[Watch]:
    """One watch for each series (or group) that the rule's first need finds, where its other needs are met too."""
    anchor = rule.needs[0]
    found = _groups(anchor, slots) if anchor.many else [[slot] for slot in _with_role(anchor, slots)]
    for members in found:
        others = {need.name: _partner(need, members[0].key, slots, equipment) for need in rule.needs[1:]}
        if any(others[need.name] is None and not need.optional for need in rule.needs[1:]):
            continue
        subject = _subject(rule, members, [slot for slot in others.values() if slot is not None], equipment)
        settings = settings_for(rule, county, site, subject)
        if settings is None:
            continue
        try:
            yield _bound(rule, settings, site, subject, members, others)
        except ValueError:
            continue  # A unit of another dimension: the role is misused; `blind` shows it.


def blind(rule: Rule, slots: Sequence[Slot], equipment: Equipment) -> list[tuple[SeriesKey, tuple[str, ...]]]:
    """Anchors at which the rule cannot attach, each with the roles of which one more point would cure it."""
    lacking = []
    for slot in _with_role(rule.needs[0], slots):
        missing = [n.roles[0] for n in rule.needs[1:] if not n.optional and _partner(n, slot.key, slots, equipment) is None]
        if missing:
            lacking.append((slot.key, tuple(missing)))
    return lacking


def _bound(
    rule: Rule, settings: Settings, site: str, subject: str, members: Sequence[Slot], others: Mapping[str, Slot | None]
) -> Watch:
    anchor = rule.needs[0]
    group = [View(slot, anchor.unit) for slot in members]
    views = {n.name: None if (slot := others[n.name]) is None else View(slot, n.unit) for n in rule.needs[1:]}
    named = [(anchor.name, view) for view in group] + [(name, view) for name, view in views.items() if view is not None]
    watch = Watch(rule, settings, site, members[0].key.gateway, subject, named)
    scope = Scope(
        views=views if anchor.many else {anchor.name: group[0], **views},
        groups={anchor.name: group} if anchor.many else {},
        params=settings.params,
        spans_ms=spans_ms(rule, settings.params),
        numbers=watch.numbers,
    )
    bind_expressions(watch, scope)
    return watch


def spans_ms(rule: Rule, params: Mapping[str, float]) -> dict[str, int]:
    """Parameters with a unit of time, as spans of windows."""
    return {n: max(1, round(v * MS_OF_UNIT[rule.params[n].unit])) for n, v in params.items() if rule.params[n].unit in MS_OF_UNIT}


def bind_expressions(watch: Watch, scope: Scope) -> None:
    """Gives a watch its conditions."""
    rule = watch.rule
    watch.when = rule.when.bind(scope) if rule.when is not None else None
    watch.clear = rule.clear.bind(scope) if rule.clear is not None else None
    watch.running = rule.running.bind(scope) if rule.running is not None else None


def _with_role(need: Need, slots: Iterable[Slot]) -> list[Slot]:
    return sorted((slot for slot in slots if slot.series.role in need.roles), key=lambda slot: slot.key)


def _groups(need: Need, slots: Iterable[Slot]) -> list[list[Slot]]:
    by_gateway: dict[str, list[Slot]] = {}
    for slot in _with_role(need, slots):
        by_gateway.setdefault(slot.key.gateway, []).append(slot)
    return [members for members in by_gateway.values() if len(members) >= need.at_least]


def _partner(need: Need, anchor: SeriesKey, slots: Iterable[Slot], equipment: Equipment) -> Slot | None:
    candidates = _with_role(need, slots)
    mine = equipment.of(anchor)
    on_device = [s for s in candidates if (s.key.gateway, s.key.device) == (anchor.gateway, anchor.device)]
    on_equipment = [s for s in candidates if equipment.of(s.key) == mine]
    if on_device or on_equipment:
        return (on_device or on_equipment)[0]
    # Further away a partner is taken only where it cannot be mistaken for another equipment's.
    on_gateway = [s for s in candidates if s.key.gateway == anchor.gateway]
    return on_gateway[0] if len(on_gateway) == 1 else candidates[0] if len(candidates) == 1 else None


def _subject(rule: Rule, members: Sequence[Slot], others: Sequence[Slot], equipment: Equipment) -> str:
    key = members[0].key
    devices = {(slot.key.gateway, slot.key.device) for slot in (*members, *others)}
    if len(rule.needs) == 1 and len(members) == 1:
        return f"{key.gateway}/{key.device}.{key.point}"
    if len(devices) == 1:
        return f"{key.gateway}/{key.device}"
    if rule.needs[0].many:
        return key.gateway
    return equipment.of(key)


def _meant(override: RuleOverride, rule: Rule, site: str, subject: str) -> bool:
    return override.rule == rule.id and override.site in ("", site) and override.subject in ("", subject)


def _specific(override: RuleOverride) -> tuple[bool, bool]:
    return bool(override.subject), bool(override.site)
