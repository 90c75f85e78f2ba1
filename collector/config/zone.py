"""Pure. The time zone of a configuration file: a name of the IANA list, checked in one place."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator

from edge_agent.common.located_model import Refused


def _known(zone: str) -> str:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a folder of the list, a name too long for a file
        raise Refused("CFG203", f"`{zone}` is no time zone.", "write a name of the IANA list, e.g. `Asia/Shanghai`.") from None
    return zone


Zone = Annotated[str, AfterValidator(_known)]
"""Raises Refused (CFG203) for a name that is none."""
