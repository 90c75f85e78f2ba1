"""Pure. Who is meant: gateways and series."""

from __future__ import annotations

from typing import NamedTuple


class GatewayId(NamedTuple):
    """One gateway of one site."""

    site: str
    gateway: str


class SeriesKey(NamedTuple):
    """The identity of a series; unit, role and scale are attributes with history."""

    site: str
    gateway: str
    device: str
    point: str
