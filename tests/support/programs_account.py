"""Does I/O: the account of a run: what the instruments served (the stations' journals) against what arrived, value by value."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_agent.config.load import load_site
from examples.demo.readings import held_back, values_of_reply

Series = tuple[str, str]
"""Device, point."""
Timed = tuple[int, Any]
"""ms UTC and value."""
APART_MS = 450
"""How far an instrument's instant and the reading's stamp may lie apart; the shortest period is twice that."""


def served(site_file: Path, environment: Mapping[str, str], run_dir: Path) -> dict[Series, list[Timed]]:
    """What each instrument gave, by series, in order: the journal's words through the point's scale."""
    site = load_site(site_file, environment=environment).site
    found: dict[Series, list[Timed]] = {}
    for device in (device for bus in site.buses for device in bus.devices):
        for line in (run_dir / f"{site.site}-{device.id}.jsonl").read_text(encoding="utf-8").splitlines():
            at_ms, function, address, words = json.loads(line)
            for name, value in values_of_reply(device, function, address, words).items():
                found.setdefault((device.id, name), []).append((at_ms, value))
    return found


def may_be_unsent(site_file: Path, environment: Mapping[str, str]) -> frozenset[Series]:
    """The series with a dead-band: what has not changed is not sent."""
    return frozenset((device, point) for _, device, point in held_back(site_file, environment))


def missing(arrived: Sequence[Timed], given: Sequence[Timed], apart_ms: int = APART_MS) -> list[int]:
    """Instants (ms UTC) of what was given and did not arrive. Raises ValueError for what arrived and was never given.

    Both in order of time. A reading is the given value of about the same instant; so order, value and number are judged at once.
    """
    lost: list[int] = []
    place = 0
    for at_ms, value in arrived:
        while place < len(given) and given[place][0] < at_ms + apart_ms:
            given_ms, given_value = given[place]
            place += 1
            if given_value == value and given_ms > at_ms - apart_ms:
                break
            lost.append(given_ms)
        else:
            raise ValueError(f"{value!r} at {at_ms} was not given, or arrived twice")
    return lost + [given_ms for given_ms, _ in given[place:]]


@dataclass
class Sum:
    """Of a whole site."""

    served: int = 0
    arrived: int = 0
    without_value: int = 0
    """Readings that say that there is no value: they stand in no journal."""
    unchanged: int = 0
    """Values of series with a dead-band that were given and not sent."""
    lost: dict[Series, list[int]] = field(default_factory=dict)

    def instants(self) -> list[int]:
        """When what did not arrive was given, each exchange once."""
        return sorted({at_ms for found in self.lost.values() for at_ms in found})


def settle(
    arrived: Mapping[Series, Sequence[Timed]], given: Mapping[Series, Sequence[Timed]], unsent: frozenset[Series] = frozenset()
) -> Sum:
    """The account of every series; of those in `unsent` nothing is lost: what did not arrive had not changed.

    Raises AssertionError for a reading that no instrument gave, or that is there twice.
    """
    total = Sum()
    for series in sorted(set(arrived) | set(given)):
        rows, journal = sorted(arrived.get(series, ()), key=lambda row: row[0]), given.get(series, ())
        assert len({at_ms for at_ms, _ in rows}) == len(rows), f"{series}: an instant is there twice"
        values = [row for row in rows if row[1] is not None]
        try:
            lost = missing(values, journal)
        except ValueError as error:
            raise AssertionError(f"{series}: {error}") from None
        total.lost[series] = [] if series in unsent else lost
        total.unchanged += len(lost) if series in unsent else 0
        total.served += len(journal)
        total.arrived += len(values)
        total.without_value += len(rows) - len(values)
    return total
