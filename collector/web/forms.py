"""Pure. The token that ties a form to the browser it was shown in, and the name that the browser remembers.

The cookie holds a nonce, the form its HMAC under a key of this process: another site can neither read nor make the pair. Goes
together with the check of Origin and Sec-Fetch-Site (`safety.from_our_page`).
"""

from __future__ import annotations

import hmac
import re
import secrets
from urllib.parse import quote, unquote

from collector.web.schema import MAX_WHO

NONCE_COOKIE = "ww_form"
WHO_COOKIE = "ww_who"
LANGUAGE_COOKIE = "ww_lang"
_NONCE = re.compile(r"[A-Za-z0-9_-]{32}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class FormTokens:
    """Makes and checks tokens; its key lives as long as the process."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def nonce(self, cookie: str | None) -> str:
        """The browser's nonce, or a new one."""
        return cookie if cookie is not None and _NONCE.fullmatch(cookie) else secrets.token_urlsafe(24)

    def token(self, nonce: str) -> str:
        """What a form shown to the browser with this nonce carries."""
        return hmac.digest(self._key, nonce.encode(), "sha256").hex()

    def matches(self, cookie: str | None, token: str) -> bool:
        """True if the form was shown to this browser by this process."""
        if cookie is None or not _NONCE.fullmatch(cookie):
            return False
        return hmac.compare_digest(self.token(cookie).encode(), token.encode())


def clean_name(text: str) -> str:
    """A person's name as kept in the audit trail: one line, at most MAX_WHO characters."""
    return _CONTROL.sub(" ", text).strip()[:MAX_WHO]


def name_to_cookie(name: str) -> str:
    """Chinese names do not fit into a cookie as they are."""
    return quote(name, safe="")


def name_from_cookie(cookie: str | None) -> str:
    """The remembered name, "" for none."""
    return clean_name(unquote(cookie[:400], errors="replace")) if cookie else ""
