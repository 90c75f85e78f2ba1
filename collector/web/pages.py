"""Does I/O through the seams. The pages: sites, one site, one chart, warnings, one warning. GET changes nothing, POST redirects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from collector.domain.days import DAY_MS, Days
from collector.domain.evidence import evidence_text
from collector.domain.identity import SeriesKey
from collector.domain.lifecycle import ACTS, MAX_NOTE, TABLE, What, act_on
from collector.domain.lifecycle import Refusal as NotAllowed
from collector.domain.series import Sample
from collector.domain.warning import State, Warning
from collector.intake.day_account import Count, Wanted, totals
from collector.seams import StorageFailed
from collector.web import api_readings, api_warnings
from collector.web.answers import SiteParameter, WarningParameter, require_series, require_site, require_warning
from collector.web.api_sites import MOST_OPEN_WARNINGS, cards
from collector.web.chart import Chart, chart
from collector.web.forms import (
    NONCE_COOKIE,
    WHO_COOKIE,
    FormTokens,
    clean_name,
    name_from_cookie,
    name_to_cookie,
)
from collector.web.language import pick, say
from collector.web.overview import (
    LEVELS,
    OPEN_STATES,
    device_groups,
    evidence_key,
    is_ahead,
    is_old,
    site_info,
    warning_counts,
)
from collector.web.parts import WebParts
from collector.web.refusals import Refusal
from collector.web.rendering import Rendering, language_of
from collector.web.schema import MAX_WHO
from collector.web.times import HOUR_MS, MINUTE_MS, rfc3339
from collector.web.wording import series_name, series_path

Hours = Literal[6, 24, 72, 168]
HOURS: tuple[Hours, ...] = (6, 24, 72, 168)
LOST_DAYS = 7
"""Days that a site's page looks back for losses."""
CHART_POINTS = 600
NEWEST_ROWS = 30
WARNINGS_A_PAGE = 50
_YEAR_S = 365 * 86400
BY_COLLECTOR = ("raised", "past", "over")
"""Lines of the audit trail that no person wrote."""
PAST_STATES: tuple[State, ...] = ("closed", "past")


@dataclass(frozen=True, slots=True)
class Evidence:
    """One line of evidence; link: its chart, "" where there is none."""

    name: str
    showed: str
    link: str


@dataclass(frozen=True, slots=True)
class ChartWindow:
    """What a chart page shows; times ms UTC. live: its end is now."""

    hours: Hours
    from_ms: int
    to_ms: int
    live: bool


def router(parts: WebParts, rendering: Rendering, tokens: FormTokens) -> APIRouter:
    """Everything a person sees."""
    routes = APIRouter(include_in_schema=False)
    _site_pages(routes, parts, rendering)
    _chart_page(routes, parts, rendering)
    _warning_pages(routes, parts, rendering, tokens)
    _warning_form(routes, parts, tokens)
    return routes


def _site_pages(routes: APIRouter, parts: WebParts, rendering: Rendering) -> None:
    @routes.get("/")
    def sites(request: Request) -> Response:
        shown = cards(parts)
        return rendering.page(
            request,
            "sites.html",
            cards=shown,
            levels=warning_counts(parts.operations.warnings(None, OPEN_STATES, limit=MOST_OPEN_WARNINGS)),
        )

    @routes.get("/sites/{site}")
    def site(request: Request, site: SiteParameter) -> Response:
        found = cards(parts, site)
        if not found:
            raise Refusal("WEB911", f"site {site}", name=site)
        groups = device_groups(parts.store.series(site), parts.store.latest(site), parts.clock.utc_ms())
        open_ = parts.operations.warnings(site, OPEN_STATES, limit=20)
        people = parts.county().people
        responsible = people.get(found[0].site.responsible)
        return rendering.page(
            request,
            "site.html",
            card=found[0],
            groups=groups,
            warnings=open_,
            responsible=responsible,
            lost=_lost_lately(parts, site),
        )


def _lost_lately(parts: WebParts, site: str) -> Mapping[Count, int]:
    """The counts of the last days; zeros where the account cannot be read: the page does not depend on it."""
    try:
        return totals(parts.account(Wanted(site, first=Days("UTC").of(parts.clock.utc_ms() - LOST_DAYS * DAY_MS))))
    except StorageFailed:
        return totals(())


def _chart_page(routes: APIRouter, parts: WebParts, rendering: Rendering) -> None:
    @routes.get("/sites/{site}/{gateway}/{device}/{point}")
    def show(
        request: Request,
        site: SiteParameter,
        gateway: SiteParameter,
        device: SiteParameter,
        point: SiteParameter,
        hours: Annotated[int, Query(ge=1, le=168)] = 72,
        end: api_readings.When = None,
        mark: api_readings.When = None,
    ) -> Response:
        info = require_series(parts, SeriesKey(site, gateway, device, point))
        window = _window(hours, end, parts.clock.utc_ms())
        samples = parts.store.range(info.key, window.from_ms, window.to_ms, CHART_POINTS)
        county_site = site_info(parts.county(), site)
        drawn = chart(
            info,
            samples,
            window.from_ms,
            window.to_ms,
            zone=county_site.zone,
            thinned_ms=_thinned_ms(samples, window),
            mark_ms=api_readings.instant("mark", mark) if mark else None,
        )
        latest = parts.store.latest(site).get(info.key)
        return rendering.page(
            request,
            "chart.html",
            info=info,
            site=county_site,
            chart=drawn,
            window=window,
            choices=HOURS,
            latest=latest,
            old=is_old(info, latest, parts.clock.utc_ms()),
            ahead=is_ahead(latest, parts.clock.utc_ms()),
            newest=list(reversed(samples[-NEWEST_ROWS:])),
            summary=_summary(drawn),
            earlier=rfc3339(window.to_ms - window.hours * HOUR_MS // 2),
            later=rfc3339(window.to_ms + window.hours * HOUR_MS // 2),
            mark=mark,
            max_points=CHART_POINTS * 2,
        )


def _window(hours: int, end: str | None, now_ms: int) -> ChartWindow:
    """The choice of hours nearest above what is asked; an end beyond now is now."""
    chosen = next((choice for choice in HOURS if choice >= hours), HOURS[-1])
    to_ms = now_ms if end is None else min(api_readings.instant("end", end), now_ms)
    return ChartWindow(chosen, to_ms - chosen * HOUR_MS, to_ms, live=to_ms >= now_ms)


def _thinned_ms(samples: Sequence[Sample], window: ChartWindow) -> int:
    """The interval of thinning, two readings an interval; 0 if the store gave every reading."""
    return (window.to_ms - window.from_ms) * 2 // CHART_POINTS if len(samples) > CHART_POINTS * 3 // 4 else 0


def _summary(drawn: Chart) -> str:
    """Which sentence describes the chart to those who cannot see it."""
    if drawn.low is None:
        return "chart.summary-empty"
    gaps = any(stretch.kind == "gap" for stretch in drawn.stretches)
    return "chart.summary-gaps" if gaps else "chart.summary"


def _warning_pages(routes: APIRouter, parts: WebParts, rendering: Rendering, tokens: FormTokens) -> None:
    @routes.get("/warnings")
    def warnings(
        request: Request,
        site: api_warnings.SiteQuery = None,
        show: Literal["open", "past", "all"] = "open",
        state: api_warnings.StateQuery = None,
        cursor: Annotated[str | None, Query(max_length=20)] = None,
    ) -> Response:
        if site is not None:
            require_site(parts, parts.county(), site)
        states = state or {"open": OPEN_STATES, "past": PAST_STATES, "all": (*OPEN_STATES, *PAST_STATES)}[show]
        found, following = api_warnings.page(parts, site, list(states), WARNINGS_A_PAGE, cursor)
        if show == "open" and not state:
            found.sort(key=lambda warning: (LEVELS.index(warning.level), -warning.began_ms))
        county = parts.county()
        infos = {warning.site: site_info(county, warning.site) for warning in found}
        return rendering.page(
            request,
            "warnings.html",
            warnings=found,
            show="all" if state else show,
            states=state or (),
            site=site,
            next=following,
            sites=infos,
        )

    @routes.get("/warnings/{id}")
    def warning(request: Request, id: WarningParameter, done: str = "") -> Response:
        found = require_warning(parts, id)
        county = parts.county()
        nonce = tokens.nonce(request.cookies.get(NONCE_COOKIE))
        responsible = county.people.get(found.responsible)
        response = rendering.page(
            request,
            "warning.html",
            warning=found,
            site=site_info(county, found.site),
            responsible=responsible.name if responsible else found.responsible,
            phone=responsible.phone if responsible else "",
            evidence=_evidence(parts, request, found),
            acts=parts.operations.acts(id),
            known_acts=ACTS,
            by_collector=BY_COLLECTOR,
            allowed=_allowed(found),
            token=tokens.token(nonce),
            who=name_from_cookie(request.cookies.get(WHO_COOKIE)),
            done=done if done in ACTS else "",
            max_who=MAX_WHO,
            max_note=MAX_NOTE,
        )
        secure = request.url.scheme == "https"
        response.set_cookie(NONCE_COOKIE, nonce, httponly=True, samesite="strict", secure=secure)
        return response


def _allowed(warning: Warning) -> list[What]:
    """The buttons. Closing while the condition lasts is refused, so it is not offered."""
    return [what for what in ACTS if (warning.state, what) in TABLE and not (what == "close" and warning.over_ms is None)]


def _evidence(parts: WebParts, request: Request, warning: Warning) -> list[Evidence]:
    """Named series with a link to their chart around the time when it began."""
    language = language_of(request)
    known = {info.key: info for info in parts.store.series(warning.site)}
    lines = []
    for path, showed in warning.evidence:
        key = evidence_key(warning.site, path)
        info = known.get(key) if key is not None else None
        if info is None or key is None:
            named, value = evidence_text(path, showed)
            lines.append(Evidence(pick(named, language), pick(value, language), ""))
            continue
        device = pick(info.device_name, language) if info.device_name else key.device
        name = f"{device} · {series_name(info, language)}"
        end = max(warning.over_ms or parts.clock.utc_ms(), warning.began_ms) + 30 * MINUTE_MS
        hours = next((choice for choice in HOURS if (end - warning.began_ms) * 2 <= choice * HOUR_MS), HOURS[-1])
        end = min(end, warning.began_ms + hours * HOUR_MS - 30 * MINUTE_MS)
        mark = rfc3339(warning.began_ms)
        lines.append(Evidence(name, showed, f"{series_path(key)}?hours={hours}&end={rfc3339(end)}&mark={mark}"))
    return lines


def _warning_form(routes: APIRouter, parts: WebParts, tokens: FormTokens) -> None:
    @routes.post("/warnings/{id}")
    def act(
        request: Request,
        id: WarningParameter,
        what: Annotated[What, Form()],
        token: Annotated[str, Form(max_length=128)] = "",
        who: Annotated[str, Form(max_length=400)] = "",
        note: Annotated[str, Form(max_length=MAX_NOTE * 2)] = "",
    ) -> Response:
        if not tokens.matches(request.cookies.get(NONCE_COOKIE), token):
            raise Refusal("WEB916", f"warning {id}")
        user = str(request.scope["state"]["user"])
        name = user or clean_name(who)
        language = language_of(request)
        before = require_warning(parts, id)
        outcome = act_on(before, what, name, note)
        if isinstance(outcome, NotAllowed):
            raise Refusal("WEB915", f"warning {id}", why=pick(outcome.why, language) or say(language, "warning.refused"))
        api_warnings.carry_out(parts, id, what, name, note.strip()[:MAX_NOTE])
        response = RedirectResponse(f"/warnings/{id}?done={what}", status_code=303)
        if not user:
            secure = request.url.scheme == "https"
            cookie = name_to_cookie(name)
            response.set_cookie(WHO_COOKIE, cookie, max_age=_YEAR_S, httponly=True, samesite="strict", secure=secure)
        return response
