"""Does I/O: an authority of its own and its certificates, made with the openssl program, for tests with TLS.

    ca = Authority(tmp_path / "ca")
    server = ca.issue("localhost", names=["DNS:localhost", "IP:127.0.0.1"])
    client = ca.issue("station-1.gw-1", ends_s=-60)     # expired a minute ago

Without openssl on the machine the test is skipped; with CI=true it fails.
"""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

DAY_S = 86_400
_CONFIG = """
[ca]
default_ca = here
[here]
dir = {folder}
database = {folder}/index.txt
serial = {folder}/serial
new_certs_dir = {folder}
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
"""


@dataclass(frozen=True, slots=True)
class Issued:
    """One certificate and its key, PEM files."""

    cert: Path
    key: Path


class Authority:
    """One certificate authority in `folder`."""

    def __init__(self, folder: Path, name: str = "test authority") -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self._config = folder / "openssl.cnf"
        self._config.write_text(_CONFIG.format(folder=folder))
        (folder / "index.txt").touch()
        (folder / "serial").write_text("1000\n")
        self.cert, self._key = folder / "ca.pem", folder / "ca.key"
        subject = ["-subj", f"/CN={name}", "-days", "3650", "-keyout", str(self._key), "-out", str(self.cert)]
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", *subject)

    def issue(self, name: str, names: Sequence[str] = (), *, begins_s: int = -DAY_S, ends_s: int = 365 * DAY_S) -> Issued:
        """A certificate of `name`; begins_s, ends_s: its validity, counted from now. names: alternative names of a server."""
        base = f"{name}-{len(list(self.folder.iterdir()))}"
        cert, key, request, extra = (self.folder / f"{base}{suffix}" for suffix in (".crt", ".key", ".csr", ".ext"))
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        _openssl("req", *curve, "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(request))
        extra.write_text(f"subjectAltName={','.join(names)}\n" if names else "basicConstraints=CA:FALSE\n")
        span = ("-startdate", _stamp(begins_s), "-enddate", _stamp(ends_s))
        files = ("-in", str(request), "-out", str(cert), "-cert", str(self.cert), "-keyfile", str(self._key))
        _openssl("ca", "-batch", "-notext", "-config", str(self._config), "-extfile", str(extra), *span, *files)
        return Issued(cert, key)


def tls_listener(ca: Authority, server: Issued, port: int) -> str:
    """Lines of mosquitto.conf: a listener that asks for client certificates; their name becomes the user's.

    Started by root, Mosquitto would change to a user that may not read the keys here.
    """
    return (
        f"listener {port} 127.0.0.1\ncafile {ca.cert}\ncertfile {server.cert}\nkeyfile {server.key}\n"
        f"require_certificate true\nuse_identity_as_username true\nuser {getpass.getuser()}\n"
    )


def _stamp(from_now_s: int) -> str:
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + from_now_s))


def _openssl(*words: str) -> None:
    program = shutil.which("openssl")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("openssl is missing: apt-get install openssl")
        pytest.skip("openssl is missing: apt-get install openssl")
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
