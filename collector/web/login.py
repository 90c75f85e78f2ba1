"""Does I/O: HTTP Basic (RFC 7617) against argon2 hashes, hashed in a worker thread, remembered for a while.

A hash costs about 50 ms and 64 MB, so one at a time is verified; a right password is remembered (keyed digest, never the
password), and a client that is wrong ten times in five minutes waits.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from typing import TypeVar

import anyio.to_thread
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from collector.web.refusals import Refusal
from edge_agent.common.clock import Clock

_K = TypeVar("_K")
_V = TypeVar("_V")

REMEMBER_MS = 5 * 60_000
MOST_WRONG = 10
MOST_CLIENTS = 1024
MOST_REMEMBERED = 256
MOST_HEADER = 1024


class Login:
    """Says who asks. One per application; used on the event loop alone."""

    def __init__(self, users: Mapping[str, str], clock: Clock) -> None:
        self._users = dict(users)
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, int] = OrderedDict()
        self._wrong: OrderedDict[str, list[int]] = OrderedDict()
        self._one = anyio.CapacityLimiter(1)
        self._hasher = PasswordHasher()
        self._nobody = self._hasher.hash(secrets.token_urlsafe(12))

    async def user(self, header: str | None, client: str) -> str:
        """The user's name. Raises Refusal WEB919 (who are you) or WEB923 (too many tries from `client`)."""
        credentials = _credentials(header)
        if credentials is None:
            raise Refusal("WEB919", "Authorization")
        name, password = credentials
        now = self._clock.monotonic_ms()
        digest = hmac.digest(self._key, f"{name}\0{password}".encode(), "sha256")
        if self._right.get(digest, 0) > now:
            return name
        wrong = [at for at in self._wrong.get(client, []) if at > now - REMEMBER_MS]
        if len(wrong) >= MOST_WRONG:
            raise Refusal("WEB923", "Authorization")
        right = await anyio.to_thread.run_sync(self._matches, name, password, limiter=self._one)
        if not right:
            _remember(self._wrong, client, [*wrong, now], MOST_CLIENTS)
            raise Refusal("WEB919", "Authorization")
        self._wrong.pop(client, None)
        _remember(self._right, digest, now + REMEMBER_MS, MOST_REMEMBERED)
        return name

    def _matches(self, name: str, password: str) -> bool:
        """An unknown name costs the same time as a known one."""
        try:
            return self._hasher.verify(self._users.get(name, self._nobody), password) and name in self._users
        except (VerificationError, InvalidHashError):
            return False


def _remember(kept: OrderedDict[_K, _V], key: _K, value: _V, most: int) -> None:
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > most:
        kept.popitem(last=False)


def _credentials(header: str | None) -> tuple[str, str] | None:
    if header is None or len(header) > MOST_HEADER or header[:6].lower() != "basic ":
        return None
    try:
        name, colon, password = base64.b64decode(header[6:].strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (name, password) if colon else None
