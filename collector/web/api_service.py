"""Does I/O through the seams. For machines that watch the collector: health, readiness, metrics, static files."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client.exposition import choose_encoder

from collector.seams import StorageFailed, StoreAway, StoreRefused
from collector.web.assets import Assets
from collector.web.metrics import Metrics
from collector.web.parts import WebParts
from collector.web.refusals import Refusal
from collector.web.schema import HealthBody, ReadyBody

_FOREVER = "public, max-age=31536000, immutable"


def router(parts: WebParts, metrics: Metrics, assets: Assets) -> APIRouter:
    """/healthz, /readyz, /metrics, /static/..."""
    routes = APIRouter(tags=["service"])

    @routes.get("/healthz", operation_id="health")
    def health() -> HealthBody:
        """The process answers; says nothing of what it needs."""
        return HealthBody(status="ok")

    @routes.get("/readyz", operation_id="ready", response_model=ReadyBody, responses={503: {"model": ReadyBody}})
    def ready() -> Response:
        """Whether warnings and readings can be shown; 503 if not."""
        codes = [problem.code for problem in parts.problems()]
        try:
            parts.store.cursor()
            parts.operations.warnings(limit=1)
        except StoreAway:
            return _ready(ReadyBody(ready=False, problems=[*codes, "WEB918"]))
        except (StoreRefused, StorageFailed):
            return _ready(ReadyBody(ready=False, problems=[*codes, "WEB924"]))
        return _ready(ReadyBody(ready=True, problems=codes))

    @routes.get("/metrics", operation_id="metrics", response_class=Response)
    def show(request: Request) -> Response:
        """Prometheus text, or OpenMetrics where the client accepts it."""
        encode, media = choose_encoder(request.headers.get("accept", "")[:500])
        return Response(encode(metrics.registry), headers={"content-type": media})

    @routes.get("/static/{path:path}", include_in_schema=False)
    def static(request: Request, path: str, v: str = "") -> Response:
        """One static file; for ever under its hash, else with an ETag."""
        asset = assets.get(path)
        if asset is None:
            raise Refusal("WEB914", "static")
        headers = {"etag": f'"{asset.tag}"', "cache-control": _FOREVER if v == asset.tag else "no-cache"}
        if headers["etag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(asset.content, headers={**headers, "content-type": asset.media})

    return routes


def _ready(body: ReadyBody) -> Response:
    return JSONResponse(body.model_dump(), status_code=200 if body.ready else 503)
