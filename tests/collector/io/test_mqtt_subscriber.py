"""The collector's link to the broker: same tests on the embedded broker and on Mosquitto."""

from __future__ import annotations

import os
import queue
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from collector.domain.identity import GatewayId
from collector.io.broker_process import BrokerPlan, BrokerProcess
from collector.io.broker_rights import COLLECTOR_USER
from collector.io.mqtt_subscriber import BrokerAddress, PahoSubscriber
from collector.seams import Message
from edge_agent.common.clock import SystemClock
from edge_agent.contract.topics import Kind
from tests.support.collector_line import SECRET, PlainClient, clients, wait_until
from tests.support.mosquitto import Mosquitto
from tests.support.ports import free_port


class Station(NamedTuple):
    address: BrokerAddress
    kill: Callable[[], None]


@pytest.fixture(params=["embedded", pytest.param("mosquitto", marks=pytest.mark.mosquitto)])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Station]:
    if request.param == "mosquitto":
        with Mosquitto(tmp_path) as mosquitto:
            yield Station(BrokerAddress("127.0.0.1", mosquitto.port, "root"), mosquitto.restart)
        return
    process = BrokerProcess(BrokerPlan("root", port=0, collector_secret=SECRET))
    process.start()

    def kill() -> None:
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)

    yield Station(BrokerAddress("127.0.0.1", process.port, "root", COLLECTOR_USER, SECRET), kill)
    process.stop()


class Ear:
    """What the subscriber said."""

    def __init__(self) -> None:
        self.messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self.links: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def up(self) -> bool:
        return self.links.get(timeout=20)


def test_it_hears_says_and_comes_back(broker: Station, caplog: pytest.LogCaptureFixture) -> None:
    ear = Ear()
    subscriber = PahoSubscriber(lambda: broker.address, SystemClock())
    subscriber.start(ear.messages.put, ear.links.put)
    try:
        assert ear.up() is True
        with clients() as all_clients:
            agent = PlainClient(broker.address.port)
            all_clients.append(agent)
            assert agent.subscribe("root/s/g/receipt")
            assert agent.subscribe("root/s/g/cmd")
            agent.publish("root/s/g/data", b"one")
            heard = ear.messages.get(timeout=10)
            assert (heard.gateway, heard.kind, heard.payload, heard.retained) == (GatewayId("s", "g"), Kind.DATA, b"one", False)
            subscriber.publish(GatewayId("s", "g"), Kind.RECEIPT, b"r")
            subscriber.publish(GatewayId("s", "g"), Kind.CMD, b"c")
            assert {agent.next()[1], agent.next()[1]} == {b"r", b"c"}
            late = PlainClient(broker.address.port)
            all_clients.append(late)
            assert late.subscribe("root/s/g/#")
            assert late.next() == ("root/s/g/receipt", b"r", True)
        broker.kill()
        assert ear.up() is False
        assert subscriber.problem() is not None
        assert ear.up() is True
        assert subscriber.problem() is None
        with clients() as all_clients:
            agent = PlainClient(broker.address.port)
            all_clients.append(agent)
            agent.publish("root/s/g/status", b"two")
            assert ear.messages.get(timeout=10).payload == b"two"
    finally:
        caplog.clear()
        subscriber.stop()
    assert (subscriber.problem(), caplog.messages) == (None, []), "an end that is wanted is no trouble"


def test_a_broker_that_is_away_or_refuses_is_a_problem() -> None:
    for address in (BrokerAddress("127.0.0.1", free_port(), "root"), BrokerAddress("127.0.0.1", free_port(), "root", "x", "y")):
        ear = Ear()
        subscriber = PahoSubscriber(lambda address=address: address, SystemClock())  # type: ignore[misc]
        subscriber.start(ear.messages.put, ear.links.put)
        wait_until(subscriber.problem, 10, "a problem")
        subscriber.publish(GatewayId("s", "g"), Kind.RECEIPT, b"nobody hears it")
        subscriber.stop()
        problem = subscriber.problem()
        assert problem is not None
        assert problem.code == "BRK804"
