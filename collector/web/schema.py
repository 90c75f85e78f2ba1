"""Pure. Bodies of the REST interface, version 1. Times are RFC 3339 in UTC with milliseconds; texts carry both languages.

Readings are never built through these models, one by one would be too slow: `ReadingsBody` documents what `api_readings` writes.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from collector.domain.lifecycle import MAX_NOTE
from collector.domain.warning import Level, State
from collector.web.overview import SiteState
from edge_agent.contract.message import Value

MAX_WHO = 40
Time = Annotated[str, Field(examples=["2026-05-01T00:00:00.000Z"])]
Who = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_WHO, pattern=r"^[^\x00-\x1f\x7f]+$")]
Note = Annotated[str, StringConstraints(strip_whitespace=True, max_length=MAX_NOTE, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TextBody(_Body):
    """One text in both languages."""

    zh: str
    en: str


class GatewayBody(_Body):
    """One gateway as the collector sees it now."""

    gateway: str
    heard: Time | None
    online: bool | None
    """As its status topic says; false means "may be offline"."""
    software: str
    received: int
    duplicate: int
    lost: int
    behind: int


class SiteBody(_Body):
    """One site and its state."""

    site: str
    name: TextBody
    kind: str
    zone: str
    latitude: float | None
    longitude: float | None
    state: SiteState
    open_warnings: int
    heard: Time | None
    gateways: list[GatewayBody]


class SitesBody(_Body):
    """All sites, the worst first."""

    sites: list[SiteBody]


class LatestBody(_Body):
    """The newest reading. quality: `good`, `uncertain` or `bad`; reason: empty for good."""

    time: Time
    value: Value
    quality: Literal["good", "uncertain", "bad"]
    reason: str


class SeriesBody(_Body):
    """A series with its present attributes and newest reading."""

    gateway: str
    device: str
    point: str
    unit: str
    role: str
    kind: str
    period_ms: int
    decimals: int | None
    name: TextBody | None
    latest: LatestBody | None


class SeriesListBody(_Body):
    """The series of one site."""

    site: str
    series: list[SeriesBody]


class ReadingsBody(_Body):
    """Readings in order of time. next: the cursor of the next page, null after the last or when thinned."""

    site: str
    gateway: str
    device: str
    point: str
    unit: str
    thinned: bool
    readings: list[LatestBody]
    next: str | None


class AbsentBody(_Body):
    """Batches first..last of a lane that are not here. why: null while they may still come. readings: null where nobody knows."""

    epoch: str
    lane: Literal["n", "u"]
    first: int
    last: int
    why: str | None
    readings: int | None
    from_: Annotated[Time, Field(serialization_alias="from")]
    to: Time


class AccountCounts(_Body):
    """In batches, and in readings where the name says so. expected = received + lost + missing."""

    expected: int
    received: int
    lost: int
    missing: int
    late: int
    duplicate: int
    received_readings: int
    lost_readings: int
    late_readings: int


class AccountDayBody(AccountCounts):
    """One gateway on one day of its site's time zone. why: batches lost, by reason."""

    site: str
    gateway: str
    day: str
    why: dict[str, int]
    absent: list[AbsentBody]


class AccountBody(_Body):
    """By site, gateway and day. left_out: days beyond the bound of an answer; the total counts them."""

    late_after_s: int
    days: list[AccountDayBody]
    left_out: int
    total: AccountCounts


class EvidenceBody(_Body):
    """A series path `gateway/device.point` and what it showed."""

    series: str
    showed: str


class WarningBody(_Body):
    """One warning. began, known, sent, over: as in DESIGN.md section 7; null: not yet."""

    id: str
    rule: str
    site: str
    subject: str
    level: Level
    state: State
    began: Time
    known: Time
    sent: Time | None
    over: Time | None
    title: TextBody
    meaning: TextBody
    action: TextBody
    evidence: list[EvidenceBody]
    responsible: str
    acknowledged_by: str
    closed_by: str
    note: str


class WarningsBody(_Body):
    """Newest first. next: the cursor of the next page."""

    warnings: list[WarningBody]
    next: str | None


class ActBody(_Body):
    """Who did what to a warning."""

    at: Time
    who: str
    what: str
    note: str


class WarningDetailBody(_Body):
    """One warning and its audit trail, oldest first."""

    warning: WarningBody
    acts: list[ActBody]


class ActRequest(_Body):
    """What a person does. Behind a login `who` is the user, whatever is written here."""

    who: Who
    note: Note = ""


class ProblemBody(BaseModel):
    """RFC 9457 with the members of `Problem` (code, where, what, do)."""

    type: str
    title: str
    status: int
    code: str
    where: str
    what: str
    do: str


class ReadyBody(_Body):
    """problems: codes of what is wrong with the collector itself."""

    ready: bool
    problems: list[str]


class HealthBody(_Body):
    """The process answers."""

    status: Literal["ok"]
