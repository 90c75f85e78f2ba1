"""The embedded broker as a real child process: rights, retained messages, sizes, and its end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from collector.io.broker_process import BrokerPlan, BrokerProcess, check_plan
from edge_agent.common.problem import ProblemError
from tests.support.collector_line import SECRET, PlainClient, clients, wait_until
from tests.support.ports import listens


@contextmanager
def running(plan: BrokerPlan) -> Iterator[BrokerProcess]:
    broker = BrokerProcess(plan)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


@pytest.fixture(scope="module")
def open_broker() -> Iterator[BrokerProcess]:
    with running(BrokerPlan("root", port=0, collector_secret=SECRET)) as broker:
        yield broker


@pytest.fixture(scope="module")
def closed_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    users = tmp_path_factory.mktemp("broker") / "users"
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    users.write_text(f"gw-1 s/g {quick.hash('one')}\ngw-2 s/h {quick.hash('two')}\n")
    with running(BrokerPlan("root", port=0, users_file=str(users), collector_secret=SECRET)) as broker:
        yield broker


def test_only_the_collector_speaks_as_the_collector(open_broker: BrokerProcess) -> None:
    with clients() as all_clients:
        agent = PlainClient(open_broker.port)
        collector = PlainClient(open_broker.port, "collector", SECRET)
        forger = PlainClient(open_broker.port, "collector", "guess")
        all_clients += [agent, collector, forger]
        assert agent.accepted
        assert collector.accepted
        assert not forger.accepted
        assert agent.subscribe("root/a/b/receipt")
        agent.publish("root/a/b/receipt", b"forged")
        collector.publish("root/a/b/receipt", b"true", retain=True)
        assert agent.next() == ("root/a/b/receipt", b"true", False)
        late = PlainClient(open_broker.port)
        all_clients.append(late)
        assert late.subscribe("root/a/b/receipt")
        assert late.next() == ("root/a/b/receipt", b"true", True)


def test_messages_of_a_mebibyte_pass_and_larger_ones_end_the_connection(open_broker: BrokerProcess) -> None:
    with clients() as all_clients:
        collector, agent = PlainClient(open_broker.port, "collector", SECRET), PlainClient(open_broker.port)
        all_clients += [collector, agent]
        assert collector.subscribe("root/+/+/data")
        agent.publish("root/a/b/data", b"x" * (1 << 20))
        assert len(collector.next()[1]) == 1 << 20
    with socket.create_connection(("127.0.0.1", open_broker.port), 10) as raw:
        raw.sendall(bytes.fromhex("100c00044d5154540402003c0000"))  # CONNECT, no client id, clean session
        assert raw.recv(4)[3] == 0
        raw.sendall(b"\x30\xff\xff\xff\x7f\x00\x0droot/a/b/data")  # PUBLISH that says it has 256 MiB
        raw.settimeout(10)
        assert raw.recv(10) == b""


def test_a_gateway_stays_on_its_branch(closed_broker: BrokerProcess) -> None:
    with clients() as all_clients:
        collector = PlainClient(closed_broker.port, "collector", SECRET)
        gateway = PlainClient(closed_broker.port, "gw-1", "one")
        all_clients += [collector, gateway]
        assert collector.subscribe("root/+/+/data")
        assert not gateway.subscribe("root/s/h/receipt")
        assert not gateway.subscribe("#")
        assert gateway.subscribe("root/s/g/receipt")
        gateway.publish("root/s/h/data", b"foreign")
        gateway.publish("root/s/g/data", b"own")
        assert collector.next() == ("root/s/g/data", b"own", False)
        collector.publish("root/s/h/receipt", b"not yours", retain=True)
        collector.publish("root/s/g/receipt", b"yours")
        assert gateway.next()[1] == b"yours"


def test_nobody_is_handed_what_others_asked_for(closed_broker: BrokerProcess) -> None:
    with clients() as all_clients:
        collector = PlainClient(closed_broker.port, "collector", SECRET)
        all_clients.append(collector)
        assert collector.subscribe("root/#")
        for topic in ("root/s/h/receipt", "root/s/g/cmd"):
            collector.publish(topic, b"kept", retain=True)
        own = PlainClient(closed_broker.port, "gw-1", "one")
        all_clients.append(own)
        own.publish("root/s/g/birth", b"kept", retain=True)
        late = PlainClient(closed_broker.port, "gw-1", "one", client_id="late")
        all_clients.append(late)
        assert late.subscribe("root/s/g/receipt")
        collector.publish("root/s/g/receipt", b"asked for")
        assert late.next()[:2] == ("root/s/g/receipt", b"asked for")
        assert late.subscribe("root/s/g/#")
        assert late.next()[:2] == ("root/s/g/cmd", b"kept")
        collector.publish("root/s/g/time", b"end")
        assert late.next()[:2] == ("root/s/g/time", b"end")


def test_names_passwords_and_wills_are_judged(closed_broker: BrokerProcess) -> None:
    with clients() as all_clients:
        strangers = [
            PlainClient(closed_broker.port),
            PlainClient(closed_broker.port, "gw-1", "wrong"),
            PlainClient(closed_broker.port, "nobody", "one"),
            PlainClient(closed_broker.port, "gw-1", "one", will="root/s/h/status"),
        ]
        all_clients += strangers
        assert [client.accepted for client in strangers] == [False] * 4


def test_the_will_is_said_when_a_gateway_is_cut_off(closed_broker: BrokerProcess) -> None:
    with clients() as all_clients:
        collector = PlainClient(closed_broker.port, "collector", SECRET)
        all_clients.append(collector)
        assert collector.subscribe("root/+/+/status")
        gateway = PlainClient(closed_broker.port, "gw-2", "two", will="root/s/h/status")
        assert gateway.accepted
        gateway.cut()
        assert collector.next()[:2] == ("root/s/h/status", b"gone")


def test_a_killed_broker_comes_back_on_the_same_port() -> None:
    with running(BrokerPlan("root", port=0)) as broker:
        port, pid = broker.port, broker.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: broker.starts == 2 and broker.problem() is None, 20, "a second start")
        assert broker.port == port
        assert broker.pid != pid
        assert listens(port)


def test_the_broker_ends_with_its_parent() -> None:
    program = (
        "from collector.io.broker_process import *; import os, signal\n"
        "b = BrokerProcess(BrokerPlan('root', port=0)); b.start(); print(b.port, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    import sys

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    port = int(done.stdout)
    wait_until(lambda: not listens(port), 10, "the end of the child")


def test_the_broker_ends_at_once_although_a_client_does_not_read() -> None:
    """amqtt's own shutdown waits for such a session, and the address stays taken for the next collector."""
    with running(BrokerPlan("root", port=0, collector_secret=SECRET)) as broker, clients() as all_clients:
        deaf = PlainClient(broker.port)
        assert deaf.subscribe("root/a/b/#")
        deaf.fall_silent()
        speaker = PlainClient(broker.port, "collector", SECRET)
        all_clients += [deaf, speaker]
        for _ in range(20):
            speaker.publish("root/a/b/receipt", bytes(500_000))
        began = time.monotonic()
        broker.stop()
        assert time.monotonic() - began < 1.5
        assert not listens(broker.port)


def test_a_taken_address_is_a_problem(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    with running(BrokerPlan("root", port=0)) as broker, pytest.raises(ProblemError) as caught:
        BrokerProcess(BrokerPlan("root", port=broker.port)).start(1.5)
    assert caught.value.problems[0].code == "BRK802"
    assert "address already in use" in caught.value.problems[0].what
    assert [record.getMessage() for record in caplog.records] == [caught.value.problems[0].what], "told once, in one line"
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "plan",
    [
        BrokerPlan("root", "0.0.0.0"),
        BrokerPlan("root", "::", users_file="u"),
        BrokerPlan("root", "192.0.2.1", certificate="c", key="k"),
    ],
)
def test_nothing_listens_beyond_this_machine_without_tls_and_credentials(plan: BrokerPlan, tmp_path: Path) -> None:
    problem = check_plan(plan)
    assert problem is not None
    assert problem.code == "BRK801"
    with pytest.raises(ProblemError):
        BrokerProcess(plan)
