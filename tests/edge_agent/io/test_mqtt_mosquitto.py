"""The publisher over MQTT 5 and Mosquitto, and what only a broker with access lists and TLS can show."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.contract.topics import Kind
from edge_agent.io.mqtt import LinkTrouble, LinkUp
from edge_agent.model.points import Broker
from tests.suites.mqtt_link import Heard, LinkSuite, publisher
from tests.support.mosquitto import Mosquitto
from tests.support.ports import wait_until
from tests.support.watcher import Watcher

pytestmark = pytest.mark.mosquitto


class TestMosquitto(LinkSuite):
    @pytest.fixture
    def broker(self, tmp_path: Path) -> Iterator[Mosquitto]:
        with Mosquitto(tmp_path) as broker:
            yield broker


def test_the_brokers_receive_maximum_is_kept(tmp_path: Path) -> None:
    heard = Heard()
    with Mosquitto(tmp_path, "max_inflight_messages 2") as broker, Watcher(broker) as watcher:
        link = publisher(heard, Broker(broker.host, broker.port))
        link.start()
        wait_until(lambda: heard.of(LinkUp))
        for seq in range(1, 101):
            assert link.publish(Kind.DATA, b'{"n":%d}' % seq)
        wait_until(lambda: len(watcher.of("data")) == 100)
        assert link.figures.sessions == 1
        link.stop()


def test_a_refused_login_is_told_once_and_in_words(tmp_path: Path) -> None:
    heard = Heard()
    with Mosquitto(tmp_path) as broker:
        config = tmp_path / f"mosquitto-{broker.port}.conf"
        config.write_text(config.read_text().replace("allow_anonymous true", "allow_anonymous false"))
        broker.restart()
        link = publisher(heard, Broker(broker.host, broker.port))
        link.start()
        wait_until(lambda: heard.of(LinkTrouble))
        assert heard.of(LinkTrouble)[0].problem.code == "NET303"
        assert not link.figures.up
        link.stop()
