"""Pure. Durations as rules and settings write them: `500ms`, `30s`, `10m`, `2h`, `3d`."""

from __future__ import annotations

import re

_PATTERN = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s*(ms|s|min|m|h|d)")
_FACTOR_MS = {"ms": 1, "s": 1000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}

MS_OF_UNIT = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
"""ms in one unit of time, by the unit's name in `edge_agent.contract.units`."""


def duration_ms(text: str) -> int:
    """The ms of `text`. Raises ValueError with words for people."""
    match = _PATTERN.fullmatch(text.strip())
    if match is None:
        raise ValueError(f'"{text}" is no duration; write a number and ms, s, m, h or d, e.g. 30s')
    return round(float(match[1]) * _FACTOR_MS[match[2]])


def duration_text(ms: int) -> str:
    """The shortest writing of `ms`: `90s`, `10m`, `2h`."""
    for unit in ("d", "h", "m", "s"):
        if ms and ms % _FACTOR_MS[unit] == 0:
            return f"{ms // _FACTOR_MS[unit]}{unit}"
    return f"{ms}ms"
