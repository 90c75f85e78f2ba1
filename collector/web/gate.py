"""Does I/O: the ASGI layer before everything: host, size, login, origin, and the headers of every answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from collector.web.login import Login
from collector.web.parts import WebSettings
from collector.web.refusals import Refusal
from collector.web.safety import HEADERS, from_our_page, host_name, served_hosts

MOST_BODY_BYTES = 64 * 1024
WITHOUT_LOGIN = frozenset({"/healthz", "/readyz"})
"""For watchdogs: they say up or down and nothing else."""

Answer = Callable[[Scope, Refusal], ASGIApp]
"""Makes the answer to a refused request."""


class Gate:
    """ASGI middleware. Leaves the user's name in `scope["state"]["user"]` ("" without login)."""

    def __init__(self, app: ASGIApp, settings: WebSettings, login: Login | None, answer: Answer) -> None:
        self._app = app
        self._settings = settings
        self._login = login
        self._answer = answer
        self._hosts = served_hosts(settings)
        self._headers = dict(HEADERS)
        if settings.tls_certificate is not None or settings.base_url.startswith("https://"):
            self._headers["strict-transport-security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sender = self._with_headers(send)
        try:
            await self._admit(scope)
            body = _Bounded(receive, Headers(scope=scope))
        except Refusal as refusal:
            await self._answer(scope, refusal)(scope, receive, sender)
            return
        await self._app(scope, body, sender)

    async def _admit(self, scope: MutableMapping[str, Any]) -> None:
        headers = Headers(scope=scope)
        state = scope.setdefault("state", {})
        state["user"] = ""
        host = host_name(headers.get("host", ""))
        if self._hosts is not None and host not in self._hosts:
            raise Refusal("WEB920", "Host", name=host[:80])
        if self._login is not None and scope["path"] not in WITHOUT_LOGIN:
            client = scope["client"][0] if scope.get("client") else ""
            state["user"] = await self._login.user(headers.get("authorization"), client)
        if scope["method"] not in {"GET", "HEAD", "OPTIONS"} and not from_our_page(headers, self._settings):
            raise Refusal("WEB916", "Origin")

    def _with_headers(self, send: Send) -> Send:
        async def sender(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-cache, private")
            await send(message)

        return sender


class _Bounded:
    """Receives a body of at most MOST_BODY_BYTES. Raises Refusal WEB922, also in the middle of one without a length."""

    def __init__(self, receive: Receive, headers: Headers) -> None:
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length[:20]) > MOST_BODY_BYTES:
            raise _too_large()
        self._receive: Callable[[], Awaitable[Message]] = receive
        self._left = MOST_BODY_BYTES

    async def __call__(self) -> Message:
        """The next piece."""
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise _too_large()
        return message


def _too_large() -> Refusal:
    return Refusal("WEB922", "body", limit=MOST_BODY_BYTES)
