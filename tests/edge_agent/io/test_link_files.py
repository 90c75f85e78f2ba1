"""Files of the link that are missing, locked, foreign or no PEM: which one it is, and what to do."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_agent.common.problem import Problem
from edge_agent.io.link_files import link_file_problems
from edge_agent.model.points import Broker, Tls
from tests.support.certificates import DAY_S, Authority, Issued

NOW_MS = time.time_ns() // 1_000_000


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("files") / "ca")


@pytest.fixture
def own(ca: Authority, tmp_path: Path) -> Issued:
    """A certificate of the test's own, to be spoilt."""
    issued = ca.issue("gw-1")
    return Issued(Path(shutil.copy(issued.cert, tmp_path / "gw.pem")), Path(shutil.copy(issued.key, tmp_path / "gw.key")))


def problems(ca: Path, own: Issued, password: str = "") -> list[Problem]:
    broker = Broker("broker", 8883, username="gw-1", password_file=password, tls=Tls(str(ca), str(own.cert), str(own.key)))
    return link_file_problems([broker, broker], NOW_MS)


def test_good_files_are_no_problem(ca: Authority, own: Issued, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\n")
    assert problems(ca.cert, own, str(tmp_path / "password")) == []
    assert link_file_problems([Broker("plain")], NOW_MS) == []


def gone(ca: Authority, own: Issued) -> None:
    own.key.unlink()


def folder_instead(ca: Authority, own: Issued) -> None:
    own.cert.unlink()
    own.cert.mkdir()


def key_of_another(ca: Authority, own: Issued) -> None:
    shutil.copy(ca.issue("gw-2").key, own.key)


def no_pem(ca: Authority, own: Issued) -> None:
    own.cert.write_bytes(b"\x30\x82\x01\x00 what a browser saved")


def locked(ca: Authority, own: Issued) -> None:
    lock = ["openssl", "ec", "-aes256", "-passout", "pass:water", "-in", str(own.key), "-out", str(own.key) + ".locked"]
    subprocess.run(lock, check=True, capture_output=True)
    Path(str(own.key) + ".locked").rename(own.key)


@pytest.mark.parametrize(
    ("spoil", "where", "words"),
    [
        (gone, "gw.key", "`tls: key:` cannot be read: No such file"),
        (folder_instead, "gw.pem", "`tls: cert:` cannot be read: Is a directory"),
        (key_of_another, "broker:8883", "The key gw.key does not belong to the certificate gw.pem."),
        (no_pem, "broker:8883", "not in PEM form"),
        (locked, "broker:8883", "locked with a passphrase"),
    ],
)
def test_what_is_wrong_is_named_once(
    ca: Authority, own: Issued, spoil: Callable[[Authority, Issued], None], where: str, words: str
) -> None:
    spoil(ca, own)
    (found,) = problems(ca.cert, own)
    assert (found.code, found.where.endswith(where), words in found.what) == ("NET304", True, True), found
    assert found.do


def test_an_authority_that_is_missing(own: Issued, tmp_path: Path) -> None:
    (found,) = problems(tmp_path / "ca.pem", own)
    assert (found.code, "`tls: ca:`" in found.what) == ("NET304", True)


def test_a_certificate_that_has_ended(ca: Authority) -> None:
    (found,) = problems(ca.cert, ca.issue("gw-1", begins_s=-2 * DAY_S, ends_s=-DAY_S))
    assert (found.code, "has ended on" in found.what) == ("NET315", True)


@pytest.mark.parametrize(("content", "words"), [(None, "No such file"), (b"", "empty"), (b"\xff\xfe\x00", "no"), (b"\n", "empty")])
def test_a_password_file_that_holds_none(ca: Authority, own: Issued, tmp_path: Path, content: bytes | None, words: str) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    (found,) = problems(ca.cert, own, str(file))
    assert (found.code, words in found.what) == ("NET307", True), found
