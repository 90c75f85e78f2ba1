"""Pure. The schema of county.yaml: sites, people, and what the county changes of the shipped rules (docs/collector-file.md)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from collector.config.zone import Zone
from collector.domain.county import County, Person, RuleOverride, SiteInfo
from collector.rules.duration import duration_ms
from edge_agent.common.located import Findings, Located
from edge_agent.common.located_model import Refused, check, choices, closest
from edge_agent.contract.message import Text
from edge_agent.contract.topics import is_id

UNNAMED = Text("本县", "County")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class TextPart(_Part):
    """A text in both languages."""

    zh: str
    en: str

    @property
    def text(self) -> Text:
        """As the domain holds it."""
        return Text(self.zh, self.en)


class Place(_Part):
    """Degrees, WGS-84."""

    latitude: Annotated[float, Field(ge=-90, le=90)]
    longitude: Annotated[float, Field(ge=-180, le=180)]


class PersonPart(_Part):
    """Somebody who can be responsible."""

    id: str
    name: str
    phone: str = ""

    @field_validator("id")
    @classmethod
    def _id(cls, name: str) -> str:
        return _checked_id(name)


class SitePart(_Part):
    """One site."""

    id: str
    name: TextPart
    kind: Literal["water-station", "construction-site"] = "water-station"
    zone: Zone = "Asia/Shanghai"
    """IANA time zone."""
    place: Place | None = None
    responsible: str = ""
    deputies: list[str] = Field(default_factory=list)

    @field_validator("id")
    @classmethod
    def _id(cls, name: str) -> str:
        return _checked_id(name)


class RulePart(_Part):
    """What the county changes of one rule. site and subject empty: everywhere."""

    rule: str
    site: str = ""
    subject: str = ""
    """`gateway/device.point`, `gateway/device` or `gateway`."""
    enabled: bool = True
    level: Literal["blue", "yellow", "red"] | None = None
    dwell: Annotated[str | None, Field(alias="for")] = None
    """How long the condition must hold, e.g. `30s`."""
    clear: str | None = None
    """How long it must be over."""
    params: dict[str, float] = Field(default_factory=dict)
    """The rule's named thresholds."""

    @field_validator("dwell", "clear")
    @classmethod
    def _duration(cls, text: str | None) -> str | None:
        if text is not None:
            try:
                duration_ms(text)
            except ValueError as error:
                raise Refused("CFG210", f"{error}.", "write a number and ms, s, m, h or d, e.g. `30s`.") from None
        return text


class CountyFile(_Part):
    """The whole file."""

    name: TextPart | None = None
    people: list[PersonPart] = Field(default_factory=list)
    sites: list[SitePart] = Field(default_factory=list)
    rules: list[RulePart] = Field(default_factory=list)


def county_of(tree: Located, findings: Findings, known_rules: frozenset[str] | None = None) -> County:
    """The county of a file's tree; every error goes to `findings`. known_rules None: names of rules are not checked."""
    file = check(tree, CountyFile, findings)
    if file is None:
        return County(UNNAMED)
    _check_doubled(tree, file, findings)
    _check_people(tree, file, findings)
    if known_rules is not None:
        _check_rules(tree, file, findings, known_rules)
    return County(
        name=file.name.text if file.name is not None else UNNAMED,
        sites={part.id: _site(part) for part in file.sites},
        people={part.id: Person(part.id, part.name, part.phone) for part in file.people},
        overrides=tuple(_override(part) for part in file.rules),
    )


def _site(part: SitePart) -> SiteInfo:
    place = part.place
    return SiteInfo(
        id=part.id,
        name=part.name.text,
        kind=part.kind,
        zone=part.zone,
        latitude=place.latitude if place is not None else None,
        longitude=place.longitude if place is not None else None,
        responsible=part.responsible,
        deputies=tuple(part.deputies),
    )


def _override(part: RulePart) -> RuleOverride:
    return RuleOverride(
        rule=part.rule,
        site=part.site,
        subject=part.subject,
        enabled=part.enabled,
        level=part.level,
        for_ms=duration_ms(part.dwell) if part.dwell is not None else None,
        clear_ms=duration_ms(part.clear) if part.clear is not None else None,
        params=part.params,
    )


def _checked_id(name: str) -> str:
    if not is_id(name):
        do = "use small letters, digits and hyphens, at most 32 characters, a letter or digit first."
        raise Refused("CFG211", f"`{name}` is no id.", do)
    return name


def _check_doubled(tree: Located, file: CountyFile, findings: Findings) -> None:
    for key, ids in (("people", [p.id for p in file.people]), ("sites", [s.id for s in file.sites])):
        for number, name in enumerate(ids):
            node = tree.get(key, number, "id")
            if name in ids[:number] and node is not None:
                findings.add("CFG202", node.mark, f"The id `{name}` stands in `{key}` twice.", "give each its own id.")


def _check_people(tree: Located, file: CountyFile, findings: Findings) -> None:
    known = [person.id for person in file.people]
    for number, site in enumerate(file.sites):
        named: list[tuple[str, tuple[str | int, ...]]] = [(site.responsible, ("responsible",))] if site.responsible else []
        named += [(person, ("deputies", place)) for place, person in enumerate(site.deputies)]
        for person, path in named:
            node = tree.get("sites", number, *path)
            if person not in known and node is not None:
                findings.add(
                    "CFG201", node.mark, f"Nobody in `people` has the id `{person}`.", _mend(person, known), f'site "{site.id}"'
                )


def _check_rules(tree: Located, file: CountyFile, findings: Findings, known: frozenset[str]) -> None:
    for number, part in enumerate(file.rules):
        node = tree.get("rules", number, "rule")
        if part.rule not in known and node is not None:
            findings.add("CFG204", node.mark, f"There is no rule `{part.rule}`.", _mend(part.rule, sorted(known)))


def _mend(word: str, known: list[str]) -> str:
    near = closest(word, known)
    return f"write `{near}`." if near else f"write one of {choices(known)}." if known else "add it first."
