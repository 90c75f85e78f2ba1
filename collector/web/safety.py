"""Pure. Who may reach the page: the check of its settings, the host names served, and whether our own page asked for a change."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from collector.config.collector_file import Web
from collector.web.parts import WebSettings
from edge_agent.common.problem import Problem, ProblemError

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_USER = re.compile(r"[^\s:\x00-\x1f\x7f]{1,40}")

HEADERS: Mapping[str, str] = {
    "content-security-policy": (
        "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
"""Sent with every answer. `same-origin` as referrer policy keeps the Origin of our own forms."""


def is_loopback(host: str) -> bool:
    """True for `localhost` and the addresses of 127.0.0.0/8 and ::1."""
    if host.strip("[]").lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def settings_of(web: Web, version: str = "") -> WebSettings:
    """The page's settings from its part of the configuration. Without a base_url the address listened on serves."""
    host = f"[{web.host}]" if ":" in web.host else web.host
    return WebSettings(
        listen_host=web.host,
        listen_port=web.port,
        base_url=web.base_url or f"{'https' if web.certificate else 'http'}://{host}:{web.port}",
        users=web.users,
        tls_certificate=Path(web.certificate) if web.certificate else None,
        tls_key=Path(web.key) if web.key else None,
        version=version,
    )


def check(settings: WebSettings) -> None:
    """Raises ProblemError (WEB901-WEB903) for settings under which strangers could read or change anything."""
    where = f"web / listen {settings.listen_host}:{settings.listen_port}"
    base = _base_parts(settings.base_url, where)
    reachable = not is_loopback(settings.listen_host)
    published = bool(base[1]) and not is_loopback(base[1])
    problems: list[Problem] = []
    if (reachable or published) and not settings.users:
        problems.append(
            Problem(
                "WEB901",
                where,
                "The page would be open to everybody: it is reached from other machines and no user is set.",
                "Add users (name and argon2 hash), or listen on 127.0.0.1 with a base_url on this machine.",
            )
        )
    if bool(settings.tls_certificate) != bool(settings.tls_key):
        problems.append(Problem("WEB902", where, "Certificate and key belong together; one is missing.", "Name both TLS files."))
    elif reachable and settings.tls_certificate is None and base[0] != "https":
        problems.append(
            Problem(
                "WEB902",
                where,
                "Passwords would cross the network in the clear.",
                "Name the TLS certificate and key, or set base_url to the https:// address of the proxy in front.",
            )
        )
    for name, digest in settings.users.items():
        if not _USER.fullmatch(name) or not digest.startswith("$argon2"):
            do = "Use a name without blank or colon, and a hash that begins with $argon2."
            problems.append(Problem("WEB903", f"web / user {name[:40]!r}", "The user's name or hash cannot be used.", do))
    if problems:
        raise ProblemError(problems)


def _base_parts(base_url: str, where: str) -> tuple[str, str]:
    """Scheme and host of base_url; two empty texts for an empty one."""
    if not base_url:
        return "", ""
    try:
        parts = urlsplit(base_url)
        scheme, host, _ = parts.scheme, parts.hostname or "", parts.port
    except ValueError:
        scheme, host = "", ""
    if scheme not in {"http", "https"} or not host:
        raise ProblemError(
            Problem("WEB903", where, f"base_url {base_url[:80]!r} is no address.", "Write it like https://water.example")
        )
    return scheme, host


def served_hosts(settings: WebSettings) -> frozenset[str] | None:
    """Host names (without port) that are answered; None: any, because a login stands before everything.

    On loopback without this check a foreign page could rebind its own name to 127.0.0.1 and read ours.
    """
    if not is_loopback(settings.listen_host):
        return None
    base = urlsplit(settings.base_url).hostname if settings.base_url else None
    named = {f"[{base}]" if ":" in base else base} if base else set()
    return frozenset(_LOOPBACK_NAMES | named)


def host_name(header: str) -> str:
    """The Host header without its port, in lower case."""
    return re.sub(r":\d{1,5}$", "", header.strip()).lower()


def from_our_page(headers: Mapping[str, str], settings: WebSettings) -> bool:
    """False if the browser says that the request began on another site. A program (curl) says nothing and passes."""
    if headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
        return False
    origin = headers.get("origin")
    if origin is None:
        return True
    own = {headers.get("host", "").lower()}
    if settings.base_url:
        own.add(urlsplit(settings.base_url).netloc.lower())
    return urlsplit(origin).netloc.lower() in own if origin != "null" else False
