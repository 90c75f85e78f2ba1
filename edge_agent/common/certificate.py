"""Pure. From when to when a certificate is valid: a strict reader of the few DER fields before it (RFC 5280, 4.1).

    Certificate ::= SEQUENCE { tbsCertificate SEQUENCE { [0] version, serial INTEGER, algorithm SEQUENCE, issuer SEQUENCE,
                                                         validity SEQUENCE { notBefore Time, notAfter Time }, ... }, ... }

Everything else, signatures too, is the business of the TLS library.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from datetime import UTC, datetime

_SEQUENCE, _INTEGER, _VERSION, _UTC_TIME, _GENERAL_TIME = 0x30, 0x02, 0xA0, 0x17, 0x18
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----\s+([A-Za-z0-9+/=\s]+?)-----END CERTIFICATE-----")
_UTC_FORM, _GENERAL_FORM = re.compile(rb"\d{12}Z"), re.compile(rb"\d{14}Z")


@dataclass(frozen=True, slots=True)
class Validity:
    """ms UTC."""

    begins_ms: int
    ends_ms: int


def validities(pem: bytes) -> list[Validity]:
    """Of each certificate in a PEM file, in its order. Raises ValueError for what is no certificate, or no PEM at all."""
    blocks = _PEM.findall(pem)
    if not blocks:
        raise ValueError("no certificate in PEM form")
    return [validity_of_der(base64.b64decode(b"".join(block.split()), validate=True)) for block in blocks]


def validity_of_der(der: bytes) -> Validity:
    """Of one certificate. Raises ValueError."""
    certificate, rest = _read(der, _SEQUENCE)
    if rest:
        raise ValueError("bytes behind the certificate")
    fields, _ = _read(certificate, _SEQUENCE)
    if fields[:1] == bytes([_VERSION]):
        _, fields = _read(fields, _VERSION)
    for tag in (_INTEGER, _SEQUENCE, _SEQUENCE):
        _, fields = _read(fields, tag)
    times, _ = _read(fields, _SEQUENCE)
    begins_ms, times = _read_time(times)
    ends_ms, times = _read_time(times)
    if times:
        raise ValueError("a validity of more than two times")
    return Validity(begins_ms, ends_ms)


def _read(der: bytes, tag: int) -> tuple[bytes, bytes]:
    """The content of the first element, and what follows it."""
    if len(der) < 2 or der[0] != tag:
        raise ValueError(f"no element of tag {tag:#04x}")
    size, at = der[1], 2
    if size & 0x80:
        digits = size & 0x7F
        if not 1 <= digits <= 4 or len(der) < 2 + digits:
            raise ValueError("a length that DER does not have")
        size, at = int.from_bytes(der[2 : 2 + digits], "big"), 2 + digits
        if size < 0x80 or der[2] == 0:
            raise ValueError("a length in more bytes than it needs")
    if len(der) < at + size:
        raise ValueError("truncated")
    return der[at : at + size], der[at + size :]


def _read_time(der: bytes) -> tuple[int, bytes]:
    if der[:1] == bytes([_UTC_TIME]):
        text, rest = _read(der, _UTC_TIME)
        if not _UTC_FORM.fullmatch(text):
            raise ValueError("a UTCTime that is none")
        text = (b"19" if text[:2] >= b"50" else b"20") + text
    else:
        text, rest = _read(der, _GENERAL_TIME)
        if not _GENERAL_FORM.fullmatch(text):
            raise ValueError("a GeneralizedTime that is none")
    at = datetime.strptime(text.decode(), "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    return int(at.timestamp()) * 1000, rest
