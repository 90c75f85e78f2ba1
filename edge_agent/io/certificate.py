"""Does I/O: until when the gateway's own certificates hold."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from edge_agent.common.certificate import validities
from edge_agent.model.points import Broker

MOST_BYTES = 1 << 16


def certificate_end_ms(brokers: Iterable[Broker]) -> int:
    """The latest end among the client certificates; 0 without one, or where one cannot be read (the link says why)."""
    files = [broker.tls.cert for broker in brokers if broker.tls is not None and broker.tls.cert]
    ends = [_end_of(Path(file)) for file in files]
    return 0 if 0 in ends else max(ends, default=0)


def _end_of(file: Path) -> int:
    try:
        with file.open("rb") as door:
            return not_after_ms(door.read(MOST_BYTES))
    except OSError:
        return 0


def not_after_ms(pem: bytes) -> int:
    """The end of the first certificate of a PEM text, ms UTC; 0 if there is none that can be read."""
    try:
        return validities(pem)[0].ends_ms
    except ValueError:
        return 0
