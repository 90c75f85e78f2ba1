"""Does I/O: our authentication and topic rights inside amqtt (checks passwords in a thread, off the event loop).

Both of amqtt's seams are used: it asks `authenticate` at CONNECT, where the will's topic is judged too (amqtt itself never looks at
it), and `topic_filtering` for each subscription, publication and delivery.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from amqtt.contexts import Action, BaseContext
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.session import Session
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from collector.io.broker_rights import COLLECTOR_USER, User, Who, load_users, may_publish, may_receive, may_subscribe

_WHO = "collector.who"
"""Where a session keeps whom it speaks for."""
_LOCAL = Who("local")
_hasher = PasswordHasher()
_NO_USER = _hasher.hash("nobody")
"""Checked for unknown names, so that an answer takes as long as for a known one."""


def who_of(session: Session) -> Who | None:
    """Whom the session speaks for; None before it is authenticated."""
    who = session.attributes.get(_WHO)
    return who if isinstance(who, Who) else None


def permits(root: str, session: Session, topic: str, action: Action) -> bool:
    """The rights table applied to one session; nothing is permitted before authentication."""
    who = who_of(session)
    if who is None:
        return False
    if action == Action.PUBLISH:
        return may_publish(who, root, topic)
    if action == Action.RECEIVE:
        return may_receive(who, root, topic)
    return may_subscribe(who, root, topic)


class RightsPlugin(BaseAuthPlugin, BaseTopicPlugin):  # type: ignore[misc]  # amqtt ships no types
    """Authentication and rights after `broker_rights`."""

    @dataclass
    class Config:
        """What amqtt hands over from its configuration."""

        root: str = ""
        users_file: str = ""
        """Empty: clients without a known name are `local`."""
        collector_secret: str = field(default="", repr=False)
        """The collector's own password, drawn at each start."""

    config: Config

    def __init__(self, context: BaseContext) -> None:
        super().__init__(context)
        path = self.config.users_file
        self._users: Mapping[str, User] = load_users(path) if path else {}
        self._open = not path
        self._checking = ThreadPoolExecutor(1, thread_name_prefix="passwords")

    async def authenticate(self, *, session: Session) -> bool:
        """True if the password is right and the will, if any, stays on the session's own branch."""
        who = await self._who(session.username or "", session.password or "")
        if who is None:
            self.context.logger.warning("refused: user %.40r from %s", session.username, session.remote_address)
            return False
        if session.will_flag and not may_publish(who, self.config.root, session.will_topic or ""):
            self.context.logger.warning("refused: will of %.40r on a foreign topic", session.username)
            return False
        session.attributes[_WHO] = who
        return True

    async def topic_filtering(
        self, *, session: Session | None = None, topic: str | None = None, action: Action | None = None
    ) -> bool:
        """The rights table."""
        return (
            session is not None and topic is not None and action is not None and permits(self.config.root, session, topic, action)
        )

    async def close(self) -> None:
        """Lets the password thread end."""
        self._checking.shutdown(wait=False)

    async def _who(self, name: str, password: str) -> Who | None:
        if name == COLLECTOR_USER:
            right = hmac.compare_digest(password.encode(), self.config.collector_secret.encode())
            return Who("collector") if right and self.config.collector_secret else None
        if self._open:
            return _LOCAL
        user = self._users.get(name)
        right = await asyncio.get_running_loop().run_in_executor(self._checking, _verify, user, password)
        return user.who if user is not None and right else None


def _verify(user: User | None, password: str) -> bool:
    try:
        return _hasher.verify(user.password_hash if user is not None else _NO_USER, password)
    except (VerificationError, InvalidHashError):
        return False
