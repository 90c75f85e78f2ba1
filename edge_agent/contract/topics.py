"""Pure. MQTT topics of contract version 1: `{root}/{site}/{gateway}/{kind}`.

Ids match `[a-z0-9][a-z0-9-]{0,31}`, so nothing that means something to MQTT, a file system or a log can stand in one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

ID_PATTERN = r"[a-z0-9][a-z0-9-]{0,31}"
_ID = re.compile(ID_PATTERN)
_ROOT = re.compile(rf"{ID_PATTERN}(/{ID_PATTERN}){{0,3}}")
DEFAULT_ROOT = "waterworks"


class Kind(StrEnum):
    """The last level of a topic."""

    BIRTH = "birth"
    DATA = "data"
    STATUS = "status"
    RECEIPT = "receipt"
    TIME = "time"
    CMD = "cmd"
    REPLY = "reply"


FROM_AGENT = (Kind.BIRTH, Kind.DATA, Kind.STATUS, Kind.TIME, Kind.REPLY)
"""What a gateway may publish below its own branch."""
TO_AGENT = (Kind.RECEIPT, Kind.TIME, Kind.CMD)
"""What a gateway subscribes to below its own branch."""
RETAINED = (Kind.BIRTH, Kind.STATUS, Kind.RECEIPT)


def is_id(text: str) -> bool:
    """True if `text` may name a site, gateway, device or point."""
    return _ID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic taken apart."""

    root: str
    site: str
    gateway: str
    kind: Kind

    def __str__(self) -> str:
        return f"{self.root}/{self.site}/{self.gateway}/{self.kind.value}"


def topic(root: str, site: str, gateway: str, kind: Kind) -> str:
    """The topic's text. Raises ValueError for a root or id that may not stand in a topic."""
    if not _ROOT.fullmatch(root):
        raise ValueError(f"root {root!r}: one to four levels of {ID_PATTERN}")
    for part in (site, gateway):
        if not is_id(part):
            raise ValueError(f"id {part!r} does not match {ID_PATTERN}")
    return f"{root}/{site}/{gateway}/{kind.value}"


def parse_topic(text: str, root: str) -> Topic | None:
    """The parts of `text`, or None if it is not a topic of this contract below `root`."""
    prefix = root + "/"
    if not text.startswith(prefix):
        return None
    parts = text[len(prefix) :].split("/")
    if len(parts) != 3 or not (is_id(parts[0]) and is_id(parts[1])):
        return None
    try:
        kind = Kind(parts[2])
    except ValueError:
        return None
    return Topic(root, parts[0], parts[1], kind)


def collector_filters(root: str) -> tuple[str, ...]:
    """The subscriptions of a collector."""
    return tuple(f"{root}/+/+/{kind.value}" for kind in FROM_AGENT)
