"""TLS with client certificates against a Mosquitto that asks for one: what works, and what each failure is called."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge_agent.common.problem import Problem
from edge_agent.contract.topics import Kind
from edge_agent.io.mqtt import LinkTrouble, LinkUp, Publisher
from edge_agent.io.mqtt_tls import ending_problem, first_ending
from edge_agent.model.points import Broker, Tls
from tests.suites.mqtt_link import IDENTITY, Heard
from tests.support.certificates import DAY_S, Authority, Issued, tls_listener
from tests.support.mosquitto import Mosquitto
from tests.support.ports import free_port, wait_until
from tests.support.watcher import Watcher

pytestmark = pytest.mark.mosquitto
NAMES = ["DNS:localhost", "IP:127.0.0.1"]


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "ca")


@pytest.fixture(scope="module")
def client(ca: Authority) -> Issued:
    return ca.issue("station-1.gw-1")


@pytest.fixture(scope="module")
def server(ca: Authority) -> Issued:
    return ca.issue("broker", NAMES)


@contextmanager
def link_to(
    folder: Path,
    ca: Authority,
    server: Issued,
    tls: Tls,
    host: str = "127.0.0.1",
    version: str = "5",
    *,
    clock_kept: bool = True,
    certain_ms: int = 0,
) -> Iterator[tuple[Publisher, Heard, Mosquitto]]:
    port, heard = free_port(), Heard()
    with Mosquitto(folder, tls_listener(ca, server, port)) as mosquitto:
        broker = Broker(host, port, "5" if version == "5" else "3.1.1", tls=tls)
        link = Publisher(
            IDENTITY, [broker], 32, heard.append, random.Random(1), clock_kept=lambda: clock_kept, certain_ms=lambda: certain_ms
        )
        link.start()
        try:
            yield link, heard, mosquitto
        finally:
            link.stop()


def files(ca: Authority, client: Issued | None) -> Tls:
    return Tls(str(ca.cert), str(client.cert), str(client.key)) if client else Tls(str(ca.cert))


def trouble(heard: Heard) -> Problem:
    wait_until(lambda: heard.of(LinkTrouble), what="a trouble")
    assert not heard.of(LinkUp)
    problem = heard.of(LinkTrouble)[0].problem
    assert isinstance(problem, Problem)
    return problem


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_a_good_certificate_is_let_in_and_data_passes(
    tmp_path: Path, ca: Authority, server: Issued, client: Issued, version: str
) -> None:
    with link_to(tmp_path, ca, server, files(ca, client), "localhost", version) as (link, heard, mosquitto):
        wait_until(lambda: heard.of(LinkUp))
        with Watcher(mosquitto) as watcher:
            assert link.publish(Kind.DATA, b'{"n":1}')
            wait_until(lambda: watcher.of("data") == [{"n": 1}])
        assert link.figures.dates_checked
        assert link.figures.air_open_bytes > 2500, "certificates both ways"


def test_an_authority_that_is_not_known(tmp_path: Path, ca: Authority, server: Issued, client: Issued) -> None:
    other = Authority(tmp_path / "other", "somebody else")
    tls = Tls(str(other.cert), str(client.cert), str(client.key))
    with link_to(tmp_path, ca, server, tls) as (link, heard, _):
        assert trouble(heard).code == "NET312"
        assert link.figures.air_open_bytes > 1000, "a handshake in vain costs too"


def test_a_client_certificate_of_somebody_else(tmp_path: Path, ca: Authority, server: Issued) -> None:
    stranger = Authority(tmp_path / "other", "somebody else").issue("station-1.gw-1")
    tls = Tls(str(ca.cert), str(stranger.cert), str(stranger.key))
    with link_to(tmp_path, ca, server, tls) as (_, heard, _):
        problem = trouble(heard)
        assert (problem.code, "does not know its issuer" in problem.what) == ("NET314", True), problem


def test_a_client_certificate_that_has_ended(tmp_path: Path, ca: Authority, server: Issued) -> None:
    ended = ca.issue("old", begins_s=-2 * DAY_S, ends_s=-60)
    with link_to(tmp_path, ca, server, files(ca, ended)) as (_, heard, _):
        problem = trouble(heard)
        assert (problem.code, "it has ended" in problem.what) == ("NET314", True), problem
        assert str(ended.cert) in problem.do


def test_a_certificate_that_ends_in_the_field_is_told_and_its_new_file_taken_without_a_restart(
    tmp_path: Path, ca: Authority, server: Issued
) -> None:
    old, new = ca.issue("station-1.gw-1", begins_s=-2 * DAY_S, ends_s=-60), ca.issue("station-1.gw-1")
    own = Issued(Path(shutil.copy(old.cert, tmp_path / "gw.pem")), Path(shutil.copy(old.key, tmp_path / "gw.key")))
    with link_to(tmp_path, ca, server, files(ca, own)) as (link, heard, _):
        assert "refuses the gateway's certificate gw.pem: it has ended" in trouble(heard).what
        shutil.copy(new.cert, own.cert)  # for a moment the key is another's
        wait_until(lambda: "does not belong" in (link.figures.problem or trouble(heard)).what, 20, "the half that is new is told")
        shutil.copy(new.key, own.key)
        wait_until(lambda: heard.of(LinkUp), 40, "it went on trying")
        assert link.figures.problem is None


def test_no_client_certificate(tmp_path: Path, ca: Authority, server: Issued) -> None:
    with link_to(tmp_path, ca, server, files(ca, None)) as (_, heard, _):
        problem = trouble(heard)
        assert (problem.code, "names none" in problem.what) == ("NET314", True), problem


def test_a_broker_certificate_that_has_ended(tmp_path: Path, ca: Authority, client: Issued) -> None:
    ended = ca.issue("broker", NAMES, begins_s=-2 * DAY_S, ends_s=-60)
    with link_to(tmp_path, ca, ended, files(ca, client)) as (_, heard, _):
        assert trouble(heard).code == "NET310"


def test_a_certificate_that_has_ended_locks_nobody_out_whose_clock_may_run_ahead(
    tmp_path: Path, ca: Authority, client: Issued
) -> None:
    """Unless it had ended when the time was last known: then no clock is to blame, and no password goes out."""
    ended = ca.issue("broker", NAMES, begins_s=-2 * DAY_S, ends_s=-3600)
    now_ms = time.time_ns() // 1_000_000
    last_year_ms = now_ms - 365 * DAY_S * 1000
    with link_to(tmp_path, ca, ended, files(ca, client), clock_kept=False, certain_ms=last_year_ms) as (link, heard, mosquitto):
        wait_until(lambda: heard.of(LinkUp), what="the link without dates")
        assert "as edge." in mosquitto.log.read_text()
        assert not link.figures.dates_checked
        told = heard.of(LinkTrouble)[0].problem
        assert (told.code, "kept by nobody" in told.what) == ("NET310", True)
    with link_to(tmp_path, ca, ended, files(ca, client), clock_kept=False, certain_ms=now_ms) as (link, heard, mosquitto):
        wait_until(lambda: (link.figures.problem or told).what.endswith("whatever the gateway's clock shows."))
        assert not heard.of(LinkUp)
        assert "as edge." not in mosquitto.log.read_text(), "not even CONNECT was sent"


def test_a_broker_certificate_for_another_host(tmp_path: Path, ca: Authority, client: Issued) -> None:
    other = ca.issue("broker", ["DNS:mqtt.example.org"])
    with link_to(tmp_path, ca, other, files(ca, client), "localhost") as (_, heard, _):
        problem = trouble(heard)
        assert (problem.code, "localhost" in problem.what) == ("NET313", True)


def test_a_certificate_that_is_not_yet_valid_locks_nobody_out_whose_clock_may_lag(
    tmp_path: Path, ca: Authority, client: Issued
) -> None:
    early = ca.issue("broker", NAMES, begins_s=DAY_S, ends_s=30 * DAY_S)
    with link_to(tmp_path, ca, early, files(ca, client)) as (_, heard, _):
        assert trouble(heard).code == "NET311"
    with link_to(tmp_path, ca, early, files(ca, client), clock_kept=False) as (link, heard, _):
        wait_until(lambda: heard.of(LinkUp), what="the link without dates")
        assert not link.figures.dates_checked
    stranger = Authority(tmp_path / "third", "somebody else").issue("broker", NAMES, begins_s=DAY_S, ends_s=30 * DAY_S)
    with link_to(tmp_path, ca, stranger, files(ca, client), clock_kept=False) as (_, heard, _):
        wait_until(
            lambda: any(event.problem.code == "NET312" for event in heard.of(LinkTrouble)), what="the chain is checked all the same"
        )
        assert not heard.of(LinkUp)


def test_files_that_cannot_be_used_are_named(tmp_path: Path, ca: Authority, server: Issued, client: Issued) -> None:
    other = ca.issue("another")
    for tls in (Tls(str(tmp_path / "none.pem")), Tls(str(ca.cert), str(client.cert), str(other.key))):
        with link_to(tmp_path, ca, server, tls) as (_, heard, _):
            assert trouble(heard).code == "NET304"


def test_what_ends_first_is_told_within_30_days(ca: Authority) -> None:
    soon = ca.issue("soon", ends_s=20 * DAY_S + 600)
    ending = first_ending(files(ca, soon))
    assert ending is not None
    assert ending.file == str(soon.cert)
    now_ms = ending.ends_ms - (20 * DAY_S + 600) * 1000
    assert ending.days(now_ms) == 20
    problem = ending_problem(Broker("broker"), ending, now_ms)
    assert problem is not None
    assert (problem.code, "in 20 days" in problem.what) == ("NET315", True)
    assert ending_problem(Broker("broker"), ending, now_ms - 11 * DAY_S * 1000) is None
    assert ending.days(ending.ends_ms + 1) == -1
    assert first_ending(Tls("/none", "/none", "/none")) is None
