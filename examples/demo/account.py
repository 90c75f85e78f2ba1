"""Pure. The demo's account: what the instruments served against what the agents took and what the store holds.

Three witnesses that know nothing of each other: the stations' journals, the agents' counters, the collector's readings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

Key = tuple[str, str, str]
"""Site, device, point."""

CUT_OFF = 1
"""An agent that is told to end may leave one request unheard: its reply was served, and is no reading."""


@dataclass
class Account:
    """What was found. `errors` empty: every reading taken was stored exactly once."""

    taken: int = 0
    stored: int = 0
    served: int = 0
    errors: list[str] = field(default_factory=list)


def check_readings(
    taken: Mapping[Key, int],
    stored: Mapping[Key, Sequence[tuple[int, Any]]],
    served: Mapping[Key, Sequence[Any]],
    failed: Mapping[str, int],
    unsent: Mapping[Key, int] = MappingProxyType({}),
) -> Account:
    """taken: readings the agent counted. stored: (time ms, value) of readings of that run with a value, in order of time.

    served: the values the instrument gave, in order. failed: exchanges that the agent of a site counted as failed: so many of
    the served values may have been refused on the way and are no readings. unsent: how many readings of a series with a dead-band
    the agent may have left out at most, because nothing had changed.
    """
    account = Account(sum(taken.values()), sum(len(rows) for rows in stored.values()), sum(len(v) for v in served.values()))
    for key in sorted(set(taken) | set(stored)):
        name = "/".join(key)
        rows = stored.get(key, ())
        if taken.get(key, 0) != len(rows):
            account.errors.append(f"{name}: {taken.get(key, 0)} taken, {len(rows)} stored")
        times = [time for time, _ in rows]
        if len(set(times)) != len(times):
            account.errors.append(f"{name}: an instant is stored twice")
        if key in served:
            missing = unmatched([value for _, value in rows if value is not None], served[key])
            if missing is None:
                account.errors.append(f"{name}: a value is stored that the instrument did not give, or in another order")
            elif missing > failed.get(key[0], 0) + unsent.get(key, 0) + CUT_OFF:
                account.errors.append(f"{name}: {missing} values served and not stored, {failed.get(key[0], 0)} exchanges failed")
    return account


def unmatched(stored: Sequence[Any], served: Sequence[Any]) -> int | None:
    """How many served values are left out when `stored` is read as a subsequence of `served`; None if it is none."""
    position = 0
    for value in stored:
        while position < len(served) and served[position] != value:
            position += 1
        if position == len(served):
            return None
        position += 1
    return len(served) - len(stored)


def check_warnings(expected: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Differences between the warnings listed and those raised: by site, rule, subject, state and whether it is over."""

    def line(warning: Mapping[str, Any]) -> str:
        over = "over" if warning["over"] else "still true"
        return f"{warning['site']}: {warning['rule']} of {warning['subject']}, {warning['state']}, {over}"

    want, have = sorted(map(line, expected)), sorted(map(line, found))
    errors = []
    for text in sorted(set(want) | set(have)):
        if want.count(text) != have.count(text):
            errors.append(f"warning listed {want.count(text)} times, found {have.count(text)} times: {text}")
    return errors
