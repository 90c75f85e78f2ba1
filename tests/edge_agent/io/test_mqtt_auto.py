"""With `version: auto` the agent speaks MQTT 5, and 3.1.1 to the collector's embedded broker, without a word about it."""

from __future__ import annotations

from collector.io.broker_process import BrokerPlan, BrokerProcess
from edge_agent.io.mqtt import LinkTrouble, LinkUp
from edge_agent.model.points import Broker
from tests.suites.mqtt_link import Heard, publisher
from tests.support.broker import Broker as PlainBroker
from tests.support.ports import wait_until


def test_the_embedded_broker_is_reached_without_choosing_a_version() -> None:
    broker = BrokerProcess(BrokerPlan("waterworks", port=0))
    broker.start()
    heard = Heard()
    link = publisher(heard, Broker("127.0.0.1", broker.port))
    link.start()
    try:
        wait_until(lambda: heard.of(LinkUp), 15, "the link")
        assert heard.of(LinkTrouble) == []
    finally:
        link.stop()
        broker.stop()


def test_a_broker_that_says_nothing_to_mqtt_5_is_reached_too() -> None:
    with PlainBroker() as broker:
        heard = Heard()
        link = publisher(heard, Broker("127.0.0.1", broker.port))
        link.start()
        try:
            wait_until(lambda: heard.of(LinkUp), 40, "the link")
        finally:
            link.stop()


def test_a_fixed_version_stays_and_the_refusal_is_told() -> None:
    broker = BrokerProcess(BrokerPlan("waterworks", port=0))
    broker.start()
    heard = Heard()
    link = publisher(heard, Broker("127.0.0.1", broker.port, "5"))
    link.start()
    try:
        wait_until(lambda: heard.of(LinkTrouble), 15, "the refusal")
        assert heard.of(LinkTrouble)[0].problem.code == "NET303"
        assert heard.of(LinkUp) == []
    finally:
        link.stop()
        broker.stop()
