"""The end of a certificate, as openssl made it."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.io.certificate import certificate_end_ms, not_after_ms
from edge_agent.model.points import Broker, Tls


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
@pytest.mark.parametrize("days", [1000, 20_000])
def test_until_when_it_holds(tmp_path: Path, days: int) -> None:
    """As openssl says itself; beyond 2049 the date has another form."""
    cert = tmp_path / "c.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(tmp_path / "k.pem"), "-out", str(cert)]
    subprocess.run([*make, "-subj", "/CN=gw-1", "-days", str(days)], check=True, capture_output=True)
    said = subprocess.run(["openssl", "x509", "-in", str(cert), "-enddate", "-noout"], check=True, capture_output=True, text=True)
    end = datetime.strptime(said.stdout.strip(), "notAfter=%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC)
    assert certificate_end_ms([Broker("b", tls=Tls(cert=str(cert))), Broker("c")]) == int(end.timestamp()) * 1000


def test_without_certificates_there_is_no_end(tmp_path: Path) -> None:
    assert certificate_end_ms([Broker("b"), Broker("c", tls=Tls(ca="x"))]) == 0
    assert certificate_end_ms([Broker("b", tls=Tls(cert=str(tmp_path / "none.pem")))]) == 0


@given(st.binary(max_size=200))
def test_no_bytes_break_it(body: bytes) -> None:
    assert not_after_ms(b"-----BEGIN CERTIFICATE-----" + body + b"-----END CERTIFICATE-----") >= 0
