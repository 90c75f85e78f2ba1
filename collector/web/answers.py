"""Pure. What every endpoint shares: bodies made of domain values, ETags, bounded parameters, look-ups that refuse in words."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

import msgspec
from fastapi import Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel

from collector.domain.county import County
from collector.domain.identity import SeriesKey
from collector.domain.series import Sample, SeriesInfo
from collector.domain.warning import Act, Warning
from collector.web.overview import SiteCard, known_sites
from collector.web.parts import WebParts
from collector.web.refusals import Refusal
from collector.web.schema import (
    ActBody,
    EvidenceBody,
    GatewayBody,
    LatestBody,
    SeriesBody,
    SiteBody,
    TextBody,
    WarningBody,
)
from collector.web.times import rfc3339
from edge_agent.contract.message import Text
from edge_agent.contract.quality import quality_from_code
from edge_agent.contract.topics import ID_PATTERN

_WHOLE_ID = f"^{ID_PATTERN}$"
SiteParameter = Annotated[str, Path(pattern=_WHOLE_ID, description="Site id")]
IdQuery = Annotated[str, Query(pattern=_WHOLE_ID)]
WarningParameter = Annotated[str, Path(min_length=1, max_length=200, description="Warning id")]


def text_body(text: Text) -> TextBody:
    """Both languages."""
    return TextBody(zh=text.zh, en=text.en)


def site_body(card: SiteCard) -> SiteBody:
    """A site as the REST interface gives it."""
    site = card.site
    gateways = [
        GatewayBody(
            gateway=pulse.gateway.gateway,
            heard=_time(pulse.heard_ms),
            online=pulse.online,
            software=pulse.software,
            received=pulse.received,
            duplicate=pulse.duplicate,
            lost=pulse.lost,
            behind=pulse.behind,
        )
        for pulse in card.gateways
    ]
    return SiteBody(
        site=site.id,
        name=text_body(site.name),
        kind=site.kind,
        zone=site.zone,
        latitude=site.latitude,
        longitude=site.longitude,
        state=card.state,
        open_warnings=card.open_warnings,
        heard=_time(card.heard_ms),
        gateways=gateways,
    )


def series_body(info: SeriesInfo, sample: Sample | None) -> SeriesBody:
    """A series and its newest reading."""
    latest = None
    if sample is not None:
        quality = quality_from_code(sample.quality)
        level: Literal["good", "uncertain", "bad"] = "good" if quality.is_good else "bad" if quality.is_bad else "uncertain"
        latest = LatestBody(time=rfc3339(sample.time_ms), value=sample.value, quality=level, reason=quality.reason)
    return SeriesBody(
        gateway=info.key.gateway,
        device=info.key.device,
        point=info.key.point,
        unit=info.unit,
        role=info.role,
        kind=info.kind,
        period_ms=info.period_ms,
        decimals=info.decimals,
        name=text_body(info.name) if info.name else None,
        latest=latest,
    )


def warning_body(warning: Warning) -> WarningBody:
    """A warning as the REST interface gives it."""
    return WarningBody(
        id=warning.id,
        rule=warning.rule,
        site=warning.site,
        subject=warning.subject,
        level=warning.level,
        state=warning.state,
        began=rfc3339(warning.began_ms),
        known=rfc3339(warning.known_ms),
        sent=_time(warning.sent_ms),
        over=_time(warning.over_ms),
        title=text_body(warning.title),
        meaning=text_body(warning.meaning),
        action=text_body(warning.action),
        evidence=[EvidenceBody(series=series, showed=showed) for series, showed in warning.evidence],
        responsible=warning.responsible,
        acknowledged_by=warning.acknowledged_by,
        closed_by=warning.closed_by,
        note=warning.note,
    )


def act_body(act: Act) -> ActBody:
    """One line of the audit trail."""
    return ActBody(at=rfc3339(act.at_ms), who=act.who, what=act.what, note=act.note)


def _time(ms: int | None) -> str | None:
    return None if ms is None else rfc3339(ms)


def tagged(request: Request, body: BaseModel) -> Response:
    """The body as JSON with an ETag; 304 without body if the client has it."""
    content = msgspec.json.encode(body.model_dump(mode="json", by_alias=True))
    tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    known = [part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "")[:500].split(",")]
    if tag in known or "*" in known:
        return Response(status_code=304, headers={"etag": tag})
    return Response(content, media_type="application/json", headers={"etag": tag})


def require_site(parts: WebParts, county: County, site: str) -> None:
    """Raises Refusal WEB911 for a site that is neither listed, heard nor stored."""
    if site not in county.sites and site not in known_sites(county, parts.pulses(), parts.store.series(site)):
        raise Refusal("WEB911", f"site {site}", name=site)


def require_series(parts: WebParts, key: SeriesKey) -> SeriesInfo:
    """The series. Raises Refusal WEB912."""
    for info in parts.store.series(key.site):
        if info.key == key:
            return info
    raise Refusal("WEB912", "series", name="/".join(key))


def require_warning(parts: WebParts, id: str) -> Warning:
    """The warning. Raises Refusal WEB913."""
    warning = parts.operations.warning(id)
    if warning is None:
        raise Refusal("WEB913", "warning", name=id)
    return warning
