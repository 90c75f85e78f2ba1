"""Does I/O: Jinja templates, and what every page shares: language, texts, header, foot, cookies of preference."""

from __future__ import annotations

from functools import partial
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from collector.domain.lifecycle import STATE_TEXT
from collector.web import wording
from collector.web.assets import VENDOR_SCRIPT, VENDOR_STYLE, Assets
from collector.web.forms import LANGUAGE_COOKIE
from collector.web.language import HTML_LANG, LANGUAGES, Language, choose, pick, say
from collector.web.parts import WebParts
from collector.web.refusals import Refusal
from collector.web.times import age, dated, duration, moment, rfc3339, stamp

_YEAR_S = 365 * 86400


def language_of(request: Request) -> Language:
    """`?lang=`, else the cookie, else Accept-Language, else Chinese."""
    return choose(request.query_params.get("lang"), request.cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language"))


class Rendering:
    """Makes HTML. Everything that is put into a template is escaped; nothing is ever marked safe."""

    def __init__(self, parts: WebParts, assets: Assets) -> None:
        self._parts = parts
        self._assets = assets
        self._environment = Environment(
            loader=PackageLoader("collector.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )

    def page(self, request: Request, template: str, status: int = 200, **values: object) -> HTMLResponse:
        """The template in the reader's language; a choice made with `?lang=` is remembered."""
        language = language_of(request)
        now = self._parts.clock.utc_ms()
        html = self._environment.get_template(template).render(
            t=partial(say, language),
            pick=partial(pick, language=language),
            language=language,
            html_lang=HTML_LANG[language],
            other=next(one for one in LANGUAGES if one != language),
            other_url=_with_language(request, next(one for one in LANGUAGES if one != language)),
            age=partial(age, now_ms=now, language=language),
            duration=partial(duration, language=language),
            moment=partial(moment, now_ms=now),
            dated=dated,
            rfc3339=rfc3339,
            stamp=stamp,
            value_text=partial(wording.value_text, language=language),
            number_text=wording.number_text,
            unit_text=wording.unit_text,
            quality_text=partial(wording.quality_text, language=language),
            series_name=partial(wording.series_name, language=language),
            series_path=wording.series_path,
            state_text=lambda state: pick(STATE_TEXT[state], language),
            asset=self._assets.url,
            vendor=VENDOR_SCRIPT in self._assets and VENDOR_STYLE in self._assets,
            vendor_script=VENDOR_SCRIPT,
            vendor_style=VENDOR_STYLE,
            county_name=pick(self._parts.county().name, language),
            problems=self._parts.problems(),
            version=self._parts.settings.version,
            user=request.scope.get("state", {}).get("user", ""),
            here=request.url.path,
            now_ms=now,
            **values,
        )
        response = HTMLResponse(html, status)
        response.headers["vary"] = "Accept-Language, Cookie"
        if request.query_params.get("lang") == language:
            secure = request.url.scheme == "https"
            response.set_cookie(LANGUAGE_COOKIE, language, max_age=_YEAR_S, httponly=True, samesite="lax", secure=secure)
        return response

    def refusal(self, request: Request, refusal: Refusal, headers: dict[str, str]) -> Response:
        """A page that says what is wrong and what to do."""
        language = language_of(request)
        response = self.page(
            request,
            "refusal.html",
            refusal.status,
            code=refusal.code,
            what=refusal.what(language),
            do=refusal.do(language),
        )
        response.headers.update(headers)
        return response


def _with_language(request: Request, language: Language) -> str:
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != "lang"][:20]
    return f"{request.url.path}?{urlencode([*kept, ('lang', language)])}"
