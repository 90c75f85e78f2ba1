"""Does I/O: reads the rulebook - YAML files of rules - into `collector.rules.rule.Rule`, with every error at its file and line.

Codes: RUL601 expression, RUL602 role or unit, RUL603 duration, RUL604 doubled id, RUL605 an empty or missing rulebook, RUL606
kind and keys that do not fit together, RUL607 a scenario; CFG0xx for what YAML and schema refuse.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from collector.rules.duration import MS_OF_UNIT, duration_ms
from collector.rules.expression import Expression, ExpressionError, NameKind, parse
from collector.rules.rule import LINK_NAMES, Need, Param, Rule, Scenario
from collector.rules.scenario import ScenarioError, pieces
from edge_agent.common.located import Findings, Located
from edge_agent.common.located_yaml import check, load_yaml
from edge_agent.common.problem import Problem, ProblemError
from edge_agent.contract.message import Text
from edge_agent.contract.roles import ROLES
from edge_agent.contract.topics import ID_PATTERN
from edge_agent.contract.units import UNITS

PACKAGED = Path(__file__).resolve().parent.parent / "rulebook"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TextFile(_Strict):
    """One text in both languages."""

    zh: Annotated[str, Field(min_length=1)]
    en: Annotated[str, Field(min_length=1)]

    def text(self) -> Text:
        """As the engine holds it."""
        return Text(self.zh, self.en)


class NeedFile(_Strict):
    """One need: `role` or `roles`."""

    role: str = ""
    roles: tuple[str, ...] = ()
    unit: str = ""
    optional: bool = False
    many: bool = False
    at_least: Annotated[int, Field(ge=1, le=100)] = 1


class ParamFile(_Strict):
    """One threshold; its source begins with [S], [m] or [H]."""

    value: float
    unit: str = ""
    source: Annotated[str, Field(pattern=r"^\[[SmH]\]")]


class ScenarioFile(_Strict):
    """One test of a rule."""

    name: Annotated[str, Field(min_length=1)]
    every: str = "1s"
    signals: dict[str, tuple[str, ...]] = {}
    raised: Annotated[int, Field(ge=0)]
    over: Annotated[int, Field(ge=0)] = 0
    limits: dict[str, dict[str, float]] = {}
    nameplate: dict[str, float] = {}
    params: dict[str, float] = {}


class RuleFile(_Strict):
    """One rule as YAML says it."""

    id: Annotated[str, Field(pattern=rf"^{ID_PATTERN}$")]
    kind: Literal["process", "event", "link"] = "process"
    level: Literal["blue", "yellow", "red"]
    title: TextFile
    meaning: TextFile
    cause: TextFile
    action: TextFile
    source: str = ""
    needs: dict[str, NeedFile] = {}
    params: dict[str, ParamFile] = {}
    when: str = ""
    clear: str = ""
    running: str = ""
    for_: str = Field("0s", alias="for")
    clear_for: str = "0s"
    blank: str = "0s"
    event: str = ""
    evidence: tuple[str, ...] = ()
    inhibited_by: tuple[str, ...] = ()
    tests: tuple[ScenarioFile, ...] = ()


class BookFile(_Strict):
    """One file of the rulebook."""

    group: TextFile
    rules: Annotated[list[RuleFile], Field(min_length=1)]


def load_rules(folders: Sequence[Path] = (PACKAGED,)) -> dict[str, Rule]:
    """All rules of `*.yaml` in the folders, by id, in the order of files and lines. Raises ProblemError with all errors at once."""
    paths: list[Path] = []
    for folder in folders:
        found = sorted(folder.glob("*.yaml"))
        if not found:
            do = "name a folder that holds rule files, or leave the option out for the shipped rules."
            raise ProblemError(Problem("RUL605", str(folder), "There is no rule file in this folder.", do))
        paths += found
    return load_rule_files(paths)


def load_rule_files(paths: Iterable[Path]) -> dict[str, Rule]:
    """The rules of some files by id. Raises ProblemError with all errors at once."""
    findings = Findings()
    problems: list[Problem] = []
    rules: dict[str, Rule] = {}
    for path in paths:
        try:
            located = load_yaml(path)
        except ProblemError as error:
            problems += error.problems
            continue
        book = check(located, BookFile, findings)
        if book is None:
            continue
        for index, raw in enumerate(book.rules):
            node = located.get("rules", index)
            if node is not None:
                if raw.id in rules:
                    place = node.get("id") or node
                    do = "give one of them another id, or override the shipped rule in the county file."
                    findings.add("RUL604", place.mark, f'There are two rules "{raw.id}".', do)
                rules[raw.id] = _RuleReader(raw, node, path.stem, findings).rule()
    if problems or findings:
        raise ProblemError([*problems, *findings.problems])
    return rules


class _RuleReader:
    """Turns one checked mapping into a rule; what pydantic cannot see is found here."""

    def __init__(self, raw: RuleFile, node: Located, group: str, findings: Findings) -> None:
        self._raw, self._node, self._group, self._findings = raw, node, group, findings

    def rule(self) -> Rule:
        """The rule; meaningless where findings were added."""
        raw = self._raw
        needs = tuple(self._need(name, need) for name, need in raw.needs.items())
        names = self._names(needs)
        self._check_kind()
        return Rule(
            id=raw.id, kind=raw.kind, group=self._group, level=raw.level, title=raw.title.text(), meaning=raw.meaning.text(),
            cause=raw.cause.text(), action=raw.action.text(), source=raw.source, needs=needs,
            params={name: self._param(name, param) for name, param in raw.params.items()},
            when=self._condition("when", raw.when, names), clear=self._condition("clear", raw.clear, names),
            running=self._condition("running", raw.running, names), for_ms=self._duration(raw.for_, "for"),
            clear_ms=self._duration(raw.clear_for, "clear_for"), blank_ms=self._duration(raw.blank, "blank"), event=raw.event,
            evidence=raw.evidence, inhibited_by=raw.inhibited_by,
            scenarios=tuple(self._scenario(index, scenario, needs) for index, scenario in enumerate(raw.tests)),
        )  # fmt: skip

    def _names(self, needs: Sequence[Need]) -> dict[str, NameKind]:
        names: dict[str, NameKind] = {need.name: "signals" if need.many else "signal" for need in needs}
        for name, param in self._raw.params.items():
            names[name] = "time" if param.unit in MS_OF_UNIT else "param"
        if self._raw.kind == "link":
            names |= dict.fromkeys(LINK_NAMES, "number")
        for name in set(self._raw.needs) & set(self._raw.params):
            self._add("RUL606", f'"{name}" is a need and a parameter.', "rename one of them.", "params", name)
        return names

    def _need(self, name: str, raw: NeedFile) -> Need:
        roles = (raw.role,) if raw.role else raw.roles
        if not roles or (raw.role and raw.roles):
            self._add("RUL602", f'"{name}" needs either `role` or `roles`.', "name one role, or a list of them.", "needs", name)
        for role in roles:
            if role not in ROLES:
                self._add("RUL602", f'There is no role "{role}".', "choose one of docs/roles.md.", "needs", name)
            elif raw.unit and (raw.unit not in UNITS or UNITS[raw.unit].dimension != ROLES[role].dimension):
                what = f'The unit "{raw.unit}" does not fit the role {role} ({ROLES[role].dimension}).'
                self._add("RUL602", what, "choose a unit of that dimension.", "needs", name, "unit")
        if not name.isidentifier():
            self._add("RUL602", f'"{name}" cannot be used in an expression.', "use letters, digits and _.", "needs", name)
        return Need(name, roles, raw.unit, raw.optional, raw.many, raw.at_least)

    def _param(self, name: str, raw: ParamFile) -> Param:
        if raw.unit and raw.unit not in UNITS:
            self._add("RUL602", f'There is no unit "{raw.unit}".', "choose one of docs/units.md.", "params", name, "unit")
        if not name.isidentifier():
            self._add("RUL602", f'"{name}" cannot be used in an expression.', "use letters, digits and _.", "params", name)
        return Param(name, raw.value, raw.unit, raw.source)

    def _condition(self, key: str, text: str, names: dict[str, NameKind]) -> Expression | None:
        if not text:
            return None
        try:
            expression = parse(text, names)
        except ExpressionError as error:
            self._add("RUL601", f"{error.what} (character {error.column + 1})", error.do, key)
            return None
        if expression.gives != "truth" and expression.text not in names:
            self._add("RUL601", f'"{expression.text}" gives a number, not true or false.', "compare it with something.", key)
        return expression

    def _duration(self, text: str, *path: str | int) -> int:
        try:
            return duration_ms(text)
        except ValueError as error:
            self._add("RUL603", f"{error}.", "write e.g. 30s, 10m or 2h.", *path)
            return 0

    def _scenario(self, index: int, raw: ScenarioFile, needs: Sequence[Need]) -> Scenario:
        known = {need.name for need in needs}
        for name, texts in raw.signals.items():
            try:
                pieces(texts)
            except ScenarioError as error:
                self._add(
                    "RUL607",
                    f"{error}.",
                    "write e.g. `12 for 2m`, `1..2 for 10m`, `bad for 1m`, `none for 1m`.",
                    "tests",
                    index,
                    "signals",
                    name,
                )
            if known and name.split("/")[0] not in known:
                self._add(
                    "RUL607",
                    f'"{name}" is not a need of the rule.',
                    f"use {', '.join(sorted(known))}.",
                    "tests",
                    index,
                    "signals",
                    name,
                )
        every_ms = max(1, self._duration(raw.every, "tests", index, "every"))
        return Scenario(raw.name, every_ms, raw.signals, raw.raised, raw.over, raw.limits, raw.nameplate, raw.params)

    def _check_kind(self) -> None:
        raw = self._raw
        if raw.kind == "process" and not (raw.needs and raw.when):
            self._add("RUL606", "A process rule has `needs` and `when`.", "add them, or set `kind`.")
        if raw.kind == "event" and (not raw.event or raw.when or raw.needs):
            self._add(
                "RUL606", "An event rule has `event` and neither `needs` nor `when`.", "name the agent's event, e.g. device.silent."
            )
        if raw.kind == "link" and (not raw.when or raw.needs):
            self._add("RUL606", "A link rule has `when` and no `needs`.", f"speak of {', '.join(LINK_NAMES)}.")

    def _add(self, code: str, what: str, do: str, *path: str | int) -> None:
        node = self._node.get(*path) or self._node
        self._findings.add(code, node.mark, what, do, f'rule "{self._raw.id}"')
