"""Pure. Runs the small time series that every rule carries as its tests, through the real engine.

A piece of a signal is `VALUE for DURATION`; VALUE is a number, `a..b` (a straight line), `a~b` (from one to the other and back,
each reading), `bad` (bad quality), `none` (no reading at all), `on` or `off`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from collector.domain.county import County, RuleOverride
from collector.domain.identity import GatewayId, SeriesKey
from collector.domain.interpreted import Interpreted, SiteEvent
from collector.domain.pulse import GatewayPulse
from collector.domain.series import SeriesColumn, SeriesInfo
from collector.rules.changes import Change, Over, Raised
from collector.rules.duration import duration_ms
from collector.rules.engine import Engine
from collector.rules.rule import Need, Rule, Scenario
from edge_agent.contract.message import NORMAL, URGENT, BirthBody, Device, Limits, Series, Text, Value
from edge_agent.contract.quality import Quality
from edge_agent.contract.roles import ROLES
from edge_agent.contract.units import UNITS

START_MS = 1_760_000_000_000
"""Any instant; scenarios count from it."""
GATEWAY = GatewayId("station", "gw-1")
SILENCE_NAME = "heard"
EVENT_NAME = "event"
"""Signals of link and event rules: `on for 1m`, `off for 2m`."""
_PIECE = re.compile(r"(?P<value>\S+) for (?P<span>.+)")
_NUMBER = r"-?\d+(?:\.\d+)?"
_LINE = re.compile(rf"({_NUMBER})(\.\.|~)({_NUMBER})")
_EPOCH = "1-00000000000000ab"


class ScenarioError(ValueError):
    """A piece that cannot be read."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a signal. kind: `line` (from first to last), `swing`, `bad`, `none`."""

    kind: str
    span_ms: int
    first: float = 0.0
    last: float = 0.0

    def at(self, offset_ms: int, count: int) -> tuple[Value, int] | None:
        """Value and quality at an instant of the piece; None: no reading."""
        if self.kind == "none":
            return None
        if self.kind == "bad":
            return None, int(Quality.BAD_COMM)
        if self.kind == "swing":
            return (self.last if count % 2 else self.first), 0
        return self.first + (self.last - self.first) * offset_ms / self.span_ms, 0


def pieces(texts: Sequence[str]) -> list[Piece]:
    """The pieces of one signal. Raises ScenarioError."""
    found = []
    for text in texts:
        match = _PIECE.fullmatch(text.strip())
        if match is None:
            raise ScenarioError(f'"{text}" is no piece of a signal')
        try:
            span_ms = duration_ms(match["span"])
        except ValueError as error:
            raise ScenarioError(str(error)) from error
        found.append(_piece(match["value"], span_ms))
    return found


def run_scenario(rule: Rule, scenario: Scenario) -> list[Change]:
    """What the engine makes of the scenario, with this rule alone."""
    county = County(Text("", ""), overrides=(RuleOverride(rule.id, params=dict(scenario.params)),))
    engine = Engine((rule,), county)
    signals = {name: pieces(texts) for name, texts in scenario.signals.items()}
    if rule.kind == "process":
        return _process(engine, rule, scenario, signals)
    return _happenings(engine, rule, scenario, signals)


def outcome(changes: Sequence[Change]) -> tuple[int, int]:
    """How many warnings were raised (past ones too) and how many of them were over at the end."""
    raised = [change.warning for change in changes if isinstance(change, Raised)]
    return len(raised), sum(isinstance(change, Over) for change in changes) + sum(w.state == "past" for w in raised)


def _piece(value: str, span_ms: int) -> Piece:
    if value in ("bad", "none"):
        return Piece(value, span_ms)
    if value in ("on", "off"):
        return Piece("line", span_ms, float(value == "on"), float(value == "on"))
    line = _LINE.fullmatch(value)
    if line is not None:
        return Piece("line" if line[2] == ".." else "swing", span_ms, float(line[1]), float(line[3]))
    if re.fullmatch(_NUMBER, value) is None:
        raise ScenarioError(f'"{value}" is no value of a scenario')
    return Piece("line", span_ms, float(value), float(value))


def _series(rule: Rule, scenario: Scenario) -> dict[str, SeriesInfo]:
    needs = {need.name: need for need in rule.needs}
    described = {}
    for number, name in enumerate(scenario.signals):
        need = needs[name.partition("/")[0]]
        limits = scenario.limits.get(name)
        key = SeriesKey(GATEWAY.site, GATEWAY.gateway, "device-1", f"point-{number}")
        described[name] = SeriesInfo(
            key, unit=_unit(need), role=_role(need, name), period_ms=scenario.every_ms, decimals=3,
            limits=Limits(**limits) if limits is not None else None,
        )  # fmt: skip
    return described


def _role(need: Need, name: str) -> str:
    """`X/2` is the second role of the need."""
    number = name.partition("/")[2]
    return need.roles[(int(number) - 1) % len(need.roles)] if number.isdigit() else need.roles[0]


def _unit(need: Need) -> str:
    dimension = ROLES[need.roles[0]].dimension
    return need.unit or next((unit.name for unit in UNITS.values() if unit.dimension == dimension), "")


def _process(engine: Engine, rule: Rule, scenario: Scenario, signals: dict[str, list[Piece]]) -> list[Change]:
    described = _series(rule, scenario)
    rows = [
        Series(i, s.key.device, s.key.point, s.unit, s.role, s.period_ms, limits=s.limits) for i, s in enumerate(described.values())
    ]
    device = Device("device-1", nameplate=dict(scenario.nameplate), part_of="equipment-1")
    birth = Interpreted(1, GATEWAY, _EPOCH, URGENT, 1, START_MS, birth=BirthBody("scenario", rows, [device]))
    changes = engine.step(START_MS, birth)
    end_ms = max(sum(piece.span_ms for piece in parts) for parts in signals.values())
    seq = 0
    for count, offset_ms in enumerate(range(0, end_ms, scenario.every_ms)):
        now_ms = START_MS + offset_ms
        columns = []
        for name, parts in signals.items():
            found = _at(parts, offset_ms, count)
            if found is not None:
                columns.append(SeriesColumn(described[name], (now_ms,), (found[0],), (found[1],)))
        if columns:
            seq += 1
            changes += engine.step(now_ms, Interpreted(seq + 1, GATEWAY, _EPOCH, NORMAL, seq, now_ms, columns=tuple(columns)))
        changes += engine.step(now_ms, ())
    return changes + engine.step(START_MS + end_ms + 31_000, ())


def _happenings(engine: Engine, rule: Rule, scenario: Scenario, signals: dict[str, list[Piece]]) -> list[Change]:
    """Pulses every `every`; an event whenever the signal `event` changes, silence while the signal `heard` is off."""
    heard = signals.get(SILENCE_NAME, [])
    event = signals.get(EVENT_NAME, [])
    end_ms = sum(piece.span_ms for piece in heard or event)
    pulse = GatewayPulse(GATEWAY, heard_ms=START_MS, online=True)
    changes: list[Change] = []
    state, seq = False, 0
    for count, offset_ms in enumerate(range(0, end_ms, scenario.every_ms)):
        now_ms = START_MS + offset_ms
        found = _at(heard, offset_ms, count) if heard else (1.0, 0)
        if found is not None and found[0]:
            pulse = replace(pulse, heard_ms=now_ms)
        found = _at(event, offset_ms, count)
        on = bool(found[0]) if found is not None else state
        if event and on != state:
            state, seq = on, seq + 1
            told = (SiteEvent(now_ms, rule.event, on=on, subject="device-1"),)
            changes += engine.step(now_ms, Interpreted(seq, GATEWAY, _EPOCH, URGENT, seq, now_ms, events=told))
        changes += engine.step(now_ms, (pulse,))
    return changes


def _at(parts: Sequence[Piece], offset_ms: int, count: int) -> tuple[Value, int] | None:
    for piece in parts:
        if offset_ms < piece.span_ms:
            return piece.at(offset_ms, count)
        offset_ms -= piece.span_ms
    return None
