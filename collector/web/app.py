"""Does I/O: the page and the REST interface as one ASGI application. Serve it with uvicorn on `settings.listen_host`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Scope

from collector.seams import StorageFailed, StoreAway, StoreRefused
from collector.web import api_account, api_readings, api_service, api_sites, api_warnings, pages
from collector.web.assets import Assets
from collector.web.forms import FormTokens
from collector.web.gate import Gate
from collector.web.login import Login
from collector.web.metrics import Metrics
from collector.web.parts import WebParts
from collector.web.refusals import Refusal, wrong, wrong_parameter
from collector.web.rendering import Rendering
from collector.web.safety import check
from collector.web.schema import ProblemBody

API_VERSION = "1"
_FOR_MACHINES = ("/api/", "/healthz", "/readyz", "/metrics", "/openapi.json", "/static/")


def build(parts: WebParts) -> FastAPI:
    """The application. Raises ProblemError (WEB901-WEB903) for settings that would let strangers in."""
    check(parts.settings)
    assets, metrics = Assets(), Metrics(parts)
    rendering = Rendering(parts, assets)
    problem = {"model": ProblemBody, "content": {"application/problem+json": {}}}
    app = FastAPI(
        title="Waterworks collector",
        version=API_VERSION,
        docs_url=None,
        redoc_url=None,
        responses={422: problem, "4XX": problem, "5XX": problem},
    )
    for router in (
        api_sites.router(parts),
        api_account.router(parts),
        api_readings.router(parts),
        api_warnings.router(parts),
        api_service.router(parts, metrics, assets),
        pages.router(parts, rendering, FormTokens()),
    ):
        app.include_router(router)

    def answer(scope: Scope, refusal: Refusal) -> Response:
        request = Request(scope)
        headers = {}
        if refusal.code == "WEB919":
            headers["www-authenticate"] = 'Basic realm="waterworks", charset="UTF-8"'
        if refusal.status == 503:
            headers["retry-after"] = "10"
        if request.url.path.startswith(_FOR_MACHINES):
            return _problem(refusal, headers)
        return rendering.refusal(request, refusal, headers)

    _translate_errors(app, answer)
    _count(app, parts, metrics)
    login = Login(parts.settings.users, parts.clock) if parts.settings.users else None
    app.add_middleware(Gate, settings=parts.settings, login=login, answer=_as_app(answer))
    return app


def _as_app(answer: Callable[[Scope, Refusal], Response]) -> Callable[[Scope, Refusal], ASGIApp]:
    return answer


def _problem(refusal: Refusal, headers: dict[str, str]) -> Response:
    problem = refusal.problem()
    body = {
        "type": f"urn:waterworks:problem:{problem.code}",
        "title": problem.what,
        "status": refusal.status,
        **problem.as_dict(),
    }
    return JSONResponse(body, refusal.status, headers, "application/problem+json")


def _translate_errors(app: FastAPI, answer: Callable[[Scope, Refusal], Response]) -> None:
    """Every error that leaves an endpoint, as a Refusal; anything unforeseen as WEB999, logged by the server with its traceback."""

    def handle(kind: type[Exception], refusal_of: Callable[[Exception], Refusal]) -> None:
        async def handler(request: Request, error: Exception) -> Response:
            return answer(request.scope, refusal_of(error))

        app.add_exception_handler(kind, handler)

    handle(Refusal, lambda error: error if isinstance(error, Refusal) else Refusal("WEB999", "page"))
    handle(StoreAway, lambda _: Refusal("WEB918", "store"))
    handle(StoreRefused, lambda error: Refusal("WEB924", "store", why=error))
    handle(StorageFailed, lambda error: Refusal("WEB924", "store", why=error))
    handle(RequestValidationError, _invalid)
    handle(HTTPException, _http)
    handle(Exception, lambda _: Refusal("WEB999", "page"))


def _invalid(error: Exception) -> Refusal:
    """The first parameter or field that is wrong."""
    errors = error.errors() if isinstance(error, RequestValidationError) else []
    return wrong_parameter(errors[0]) if errors else wrong("body", "other")


def _http(error: Exception) -> Refusal:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 404:
        return Refusal("WEB914", "path")
    if status == 405:
        return Refusal("WEB921", "method")
    return wrong("body", "other")


def _count(app: FastAPI, parts: WebParts, metrics: Metrics) -> None:
    @app.middleware("http")
    async def count(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        began = parts.clock.monotonic_ms()
        response = await call_next(request)
        route = getattr(request.scope.get("route"), "path", "none")
        metrics.answered(request.method, route, response.status_code, parts.clock.monotonic_ms() - began)
        return response
