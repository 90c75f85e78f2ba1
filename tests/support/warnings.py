"""Messages and rules for tests of the warning engine, and operations in memory that pass the same suite as the real ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from collector.config.rules_file import load_rule_files
from collector.domain.county import County, Person, RuleOverride, SiteInfo
from collector.domain.identity import GatewayId, SeriesKey
from collector.domain.interpreted import Interpreted, SiteEvent
from collector.domain.lifecycle import Refusal, act_on, ended
from collector.domain.series import SeriesColumn, SeriesInfo
from collector.domain.warning import Act, State, Warning
from collector.rules.changes import Change, Raised
from collector.rules.rule import Rule
from collector.seams import Refused
from edge_agent.contract.message import NORMAL, URGENT, BirthBody, Device, Lane, Limits, Series, Text, Value

T0 = 1_760_000_000_000
EPOCH = "1-00000000000000ab"
LATER_EPOCH = "2-00000000000000cd"

PLAIN_RULE = """
group: {zh: 试, en: test}
rules:
  - id: level-low
    level: yellow
    title: {zh: 低, en: low}
    meaning: {zh: 低, en: low}
    cause: {zh: 低, en: low}
    action: {zh: 看, en: look}
    needs: {L: {role: tank.level, unit: m}}
    params: {low: {value: 1, unit: m, source: "[H]"}}
    when: L < low
    for: 10s
    clear: L > low + 0.1
    clear_for: 5s
"""


def rules_of(folder: Path, text: str) -> dict[str, Rule]:
    """The rules of a YAML text."""
    path = folder / "rules.yaml"
    path.write_text(text, encoding="utf-8")
    return load_rule_files([path])


def county(*overrides: RuleOverride) -> County:
    """One site with a responsible person."""
    site = SiteInfo("dawan", Text("大湾", "Dawan"), responsible="li")
    return County(Text("县", "county"), {"dawan": site}, {"li": Person("li", "李工")}, overrides)


def series(
    point: str = "level", role: str = "tank.level", unit: str = "m", gateway: str = "gw-1", device: str = "probe",
    period_ms: int = 1000,
    limits: Limits | None = None,
) -> SeriesInfo:  # fmt: skip
    return SeriesInfo(SeriesKey("dawan", gateway, device, point), unit=unit, role=role, period_ms=period_ms, limits=limits)


class Feed:
    """Makes messages of one gateway in sequence. Seconds count from T0."""

    def __init__(self, gateway: str = "gw-1", epoch: str = EPOCH) -> None:
        self.gateway = GatewayId("dawan", gateway)
        self.epoch = epoch
        self.offset = 0
        self.next: dict[Lane, int] = {NORMAL: 0, URGENT: 0}

    def birth(self, *infos: SeriesInfo, received_s: float = 0, bus: str = "rs485-1", batch_ms: int = 5000) -> Interpreted:
        """Says what these series are."""
        rows = [
            Series(i, s.key.device, s.key.point, s.unit, s.role, s.period_ms, limits=s.limits) for i, s in enumerate(infos)
        ]  # fmt: skip
        devices = [Device(name, bus=bus) for name in dict.fromkeys(s.key.device for s in infos)]
        return replace(self._message(URGENT, received_s), birth=BirthBody("test", rows, devices, batch_ms=batch_ms))

    def data(
        self,
        info: SeriesInfo,
        values: Mapping[float, Value],
        received_s: float,
        qualities: Mapping[float, int] | None = None,
        lane: Lane = NORMAL,
    ) -> Interpreted:
        """Readings of one series: value by second, quality by second where it is not good."""
        times = tuple(T0 + round(t * 1000) for t in values)
        codes = tuple((qualities or {}).get(t, 0) for t in values)
        return self._message(lane, received_s, columns=(SeriesColumn(info, times, tuple(values.values()), codes),))

    def event(self, kind: str, on: bool | None, at_s: float, received_s: float, subject: str = "probe") -> Interpreted:
        return self._message(URGENT, received_s, events=(SiteEvent(T0 + round(at_s * 1000), kind, on, subject),))

    def _message(
        self, lane: Lane, received_s: float, columns: tuple[SeriesColumn, ...] = (), events: tuple[SiteEvent, ...] = ()
    ) -> Interpreted:
        self.offset += 1
        self.next[lane] += 1
        now_ms = T0 + round(received_s * 1000)
        return Interpreted(self.offset, self.gateway, self.epoch, lane, self.next[lane], now_ms, columns, events)


class MemoryOperations:
    """`seams.Operations` in memory, with the commit of the real one; for tests of what stands behind it."""

    def __init__(self, county: County) -> None:
        self._county = county
        self._warnings: dict[str, Warning] = {}
        self._acts: list[Act] = []

    def warnings(
        self, site: str | None = None, states: Iterable[State] | None = None, limit: int = 200, before_ms: int | None = None
    ) -> Sequence[Warning]:
        wanted = None if states is None else set(states)
        found = [
            w for w in self._warnings.values()
            if site in (None, w.site) and (wanted is None or w.state in wanted) and (before_ms is None or w.began_ms < before_ms)
        ]  # fmt: skip
        return sorted(found, key=lambda w: (-w.began_ms, w.id))[:limit]

    def warning(self, id: str) -> Warning | None:
        return self._warnings.get(id)

    def act(self, id: str, what: Literal["acknowledge", "close", "return"], who: str, note: str, now_ms: int) -> Warning:
        changed = act_on(self._warnings[id], what, who, note)
        if isinstance(changed, Refusal):
            raise Refused(f"{changed.why.zh} / {changed.why.en}")
        self._warnings[id] = changed
        self._acts.append(Act(now_ms, who, what, id, note.strip()))
        return changed

    def acts(self, id: str) -> Sequence[Act]:
        return [act for act in self._acts if act.warning == id]

    def commit(self, cursor: int, state: bytes, changes: Sequence[Change], now_ms: int) -> None:
        for change in changes:
            if isinstance(change, Raised):
                if change.warning.id not in self._warnings:
                    site = self._county.sites.get(change.warning.site)
                    self._warnings[change.warning.id] = replace(change.warning, responsible=site.responsible if site else "")
                    self._acts.append(Act(now_ms, "collector", change.warning.state, change.warning.id))
            elif (warning := self._warnings.get(change.id)) is not None and warning.over_ms is None:
                self._warnings[change.id] = ended(warning, change.over_ms)
                self._acts.append(Act(now_ms, "collector", "over", change.id))


def raised(id_rule: str = "level-low", began_s: float = 0, state: State = "raised", over_s: float | None = None) -> Warning:
    """A warning as the engine makes one."""
    began_ms = T0 + round(began_s * 1000)
    over_ms = None if over_s is None else T0 + round(over_s * 1000)
    return Warning(
        f"{id_rule}~dawan~gw-1~probe.level~{began_ms}", id_rule, "dawan", "gw-1/probe.level",
        "yellow", state, began_ms, began_ms + 5000,
        over_ms=over_ms, title=Text("水位低", "level low"), action=Text("看", "look"), evidence=(("gw-1/probe.level", "0.5 m"),),
    )  # fmt: skip
