"""The reader of a certificate's dates, against certificates that openssl made and against every damage."""

from __future__ import annotations

import ssl
import time
from pathlib import Path

import pytest

from edge_agent.common.certificate import Validity, validities, validity_of_der
from tests.support.certificates import DAY_S, Authority

YEAR_S = 365 * DAY_S


def test_dates_of_both_forms_are_read(tmp_path: Path) -> None:
    ca = Authority(tmp_path / "ca")
    now_s = int(time.time())
    for begins_s, ends_s in ((-DAY_S, 90 * DAY_S), (-20 * YEAR_S, 60 * YEAR_S)):  # from 2050 on the other form of time is used
        issued = ca.issue("client", begins_s=begins_s, ends_s=ends_s)
        (found,) = validities(issued.cert.read_bytes())
        assert abs(found.begins_ms - (now_s + begins_s) * 1000) < 20_000
        assert abs(found.ends_ms - (now_s + ends_s) * 1000) < 20_000


def test_every_certificate_of_a_file_is_read_and_keys_are_passed_over(tmp_path: Path) -> None:
    ca = Authority(tmp_path / "ca")
    issued = ca.issue("client")
    both = issued.key.read_bytes() + issued.cert.read_bytes() + b"\n" + ca.cert.read_bytes()
    assert validities(both) == validities(issued.cert.read_bytes()) + validities(ca.cert.read_bytes())
    with pytest.raises(ValueError, match="PEM"):
        validities(issued.key.read_bytes())


def test_a_damaged_certificate_is_refused_or_reads_as_two_times(tmp_path: Path) -> None:
    der = ssl.PEM_cert_to_DER_cert(Authority(tmp_path / "ca").cert.read_text())
    assert isinstance(validity_of_der(der), Validity)
    for end in range(len(der)):
        with pytest.raises(ValueError, match=r"truncated|no element|length"):
            validity_of_der(der[:end])
    with pytest.raises(ValueError, match="behind"):
        validity_of_der(der + b"\0")
    for at in range(min(len(der), 200)):
        for value in (0x00, 0x80, 0xFF):
            damaged = der[:at] + bytes([value]) + der[at + 1 :]
            try:
                validity_of_der(damaged)
            except ValueError:
                continue
