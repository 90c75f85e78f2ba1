"""Pure. What the embedded broker tells its parent of messages on topics that are not their sender's.

The broker drops such a message and goes on. Of each sender it tells at most once a second: how many, and the begin of one of them.
A line is never longer than a pipe takes at once (PIPE_BUF, 4096 bytes), so that it is written whole or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

PREFIX = "refused "
"""What such a line begins with; one JSON object follows."""
EVERY_S = 1.0
MAX_SENDERS = 1000
"""Senders that are told apart; all beyond are OTHERS."""
OTHERS = "others"
TOPIC_CHARACTERS = 128
BEGIN_BYTES = 2048


class RefusedPublish(msgspec.Struct, frozen=True):
    """Messages of one sender that went to nobody."""

    sender: str
    """The user's name; `local` for a client of this machine without one."""
    topic: str
    """Of one of them, cut."""
    begin: bytes
    """The first bytes of it."""
    size: int
    """All of its bytes."""
    count: int
    """How many since the last time."""


@dataclass(slots=True)
class _Sender:
    count: int = 0
    told_s: float = float("-inf")
    topic: str = ""
    begin: bytes = b""
    size: int = 0


class RefusalCounts:
    """Counts by sender, in bounded memory. Times in seconds of any clock that only goes forward."""

    def __init__(self) -> None:
        self._senders: dict[str, _Sender] = {}

    def note(self, name: str, topic: str, payload: bytes) -> None:
        """One more message was refused."""
        if name not in self._senders and len(self._senders) >= MAX_SENDERS:
            name = OTHERS
        sender = self._senders.setdefault(name, _Sender())
        sender.count += 1
        sender.topic, sender.begin, sender.size = topic[:TOPIC_CHARACTERS], payload[:BEGIN_BYTES], len(payload)

    def due(self, now_s: float) -> list[RefusedPublish]:
        """What may be told now."""
        return [
            RefusedPublish(name, sender.topic, sender.begin, sender.size, sender.count)
            for name, sender in self._senders.items()
            if sender.count and now_s - sender.told_s >= EVERY_S
        ]

    def told(self, refused: RefusedPublish, now_s: float) -> None:
        """It has been told."""
        sender = self._senders[refused.sender]
        sender.count -= refused.count
        sender.told_s = now_s

    @property
    def is_empty(self) -> bool:
        """True when there is nothing more to tell."""
        return not any(sender.count for sender in self._senders.values())


def line_of(refused: RefusedPublish) -> bytes:
    """The line for the pipe."""
    return PREFIX.encode() + msgspec.json.encode(refused) + b"\n"


def parse_line(line: str) -> RefusedPublish | None:
    """What a line says; None if it is none of these."""
    if not line.startswith(PREFIX):
        return None
    try:
        return msgspec.json.decode(line.removeprefix(PREFIX), type=RefusedPublish)
    except msgspec.MsgspecError:
        return None
