"""Does I/O through the seams. REST: sites, and the series of a site with their newest readings."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from collector.web.answers import SiteParameter, require_site, series_body, site_body, tagged
from collector.web.overview import OPEN_STATES, SiteCard, known_sites, site_cards
from collector.web.parts import WebParts
from collector.web.refusals import Refusal
from collector.web.schema import SeriesListBody, SiteBody, SitesBody

MOST_OPEN_WARNINGS = 5000


def cards(parts: WebParts, site: str | None = None) -> list[SiteCard]:
    """Every site, or the one, as it stands now."""
    county, pulses = parts.county(), parts.pulses()
    sites = known_sites(county, pulses, parts.store.series(site))
    open_ = parts.operations.warnings(site, OPEN_STATES, limit=MOST_OPEN_WARNINGS)
    return site_cards(county, [one for one in sites if site in {None, one}], pulses, open_, parts.clock.utc_ms())


def router(parts: WebParts) -> APIRouter:
    """/api/v1/sites..."""
    routes = APIRouter(prefix="/api/v1", tags=["sites"])

    @routes.get("/sites", response_model=SitesBody, operation_id="list_sites")
    def sites(request: Request) -> Response:
        """Every site with its state, the worst first."""
        return tagged(request, SitesBody(sites=[site_body(card) for card in cards(parts)]))

    @routes.get("/sites/{site}", response_model=SiteBody, operation_id="get_site")
    def site(request: Request, site: SiteParameter) -> Response:
        """One site."""
        found = cards(parts, site)
        if not found:
            raise Refusal("WEB911", f"site {site}", name=site)
        return tagged(request, site_body(found[0]))

    @routes.get("/sites/{site}/series", response_model=SeriesListBody, operation_id="list_series")
    def series(request: Request, site: SiteParameter) -> Response:
        """Series of a site with unit, role and newest reading."""
        require_site(parts, parts.county(), site)
        latest = parts.store.latest(site)
        bodies = [series_body(info, latest.get(info.key)) for info in parts.store.series(site)]
        return tagged(request, SeriesListBody(site=site, series=bodies))

    return routes
