"""Pure. The audit trail's chain: each line's hash covers the line and the hash before it, so nothing can be changed or cut out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from collector.domain.warning import Act

GENESIS = "0" * 64


def act_hash(before: str, act: Act) -> str:
    """SHA-256 over the hash before and the line as JSON (a list: at_ms, who, what, warning, note), in hex."""
    line = json.dumps([act.at_ms, act.who, act.what, act.warning, act.note], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(f"{before}\n{line}".encode()).hexdigest()


def first_broken(lines: Iterable[tuple[Act, str]]) -> int | None:
    """The position (from 1) of the first line whose hash does not follow; None if the chain is whole."""
    before = GENESIS
    for position, (act, recorded) in enumerate(lines, start=1):
        if act_hash(before, act) != recorded:
            return position
        before = recorded
    return None
