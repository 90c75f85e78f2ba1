"""Does I/O: until when the gateway's own certificates hold."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from edge_agent.model.points import Broker

MOST_BYTES = 1 << 16
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
_FORMS = {0x17: "%y%m%d%H%M%SZ", 0x18: "%Y%m%d%H%M%SZ"}


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
    found = _PEM.search(pem)
    try:
        der = base64.b64decode(found[1]) if found else b""
        certificate, _ = _inside(der, 0)
        at, _ = _inside(der, certificate)
        if der[at] == 0xA0:
            at = _behind(der, at)
        for _ in ("serial number", "signature", "issuer"):
            at = _behind(der, at)
        validity, _ = _inside(der, at)
        until = _behind(der, validity)
        start, end = _inside(der, until)
        return int(datetime.strptime(der[start:end].decode("ascii"), _FORMS[der[until]]).replace(tzinfo=UTC).timestamp()) * 1000
    except (ValueError, IndexError, KeyError):
        return 0


def _inside(der: bytes, at: int) -> tuple[int, int]:
    """Begin and end of the content of the element at `at` (X.690, definite lengths)."""
    length, start = der[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= 4:
            raise ValueError("length")
        length, start = int.from_bytes(der[start : start + count], "big"), start + count
    if start + length > len(der):
        raise ValueError("beyond the end")
    return start, start + length


def _behind(der: bytes, at: int) -> int:
    return _inside(der, at)[1]
