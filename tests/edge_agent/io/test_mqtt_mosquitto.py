"""The publisher over MQTT 5 and Mosquitto, and what only a broker with access lists and TLS can show."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.contract.message import NORMAL
from edge_agent.contract.topics import Kind
from edge_agent.delivery.machine import Key
from edge_agent.io.mqtt import LinkTook, LinkTrouble, LinkUp, Publisher
from edge_agent.model.points import Broker
from tests.suites.mqtt_link import EPOCH, IDENTITY, Heard, LinkSuite, publisher
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


def test_a_topic_crosses_the_air_once(tmp_path: Path) -> None:
    heard = Heard()
    with Mosquitto(tmp_path, "max_topic_alias 2") as broker, Watcher(broker) as watcher:
        link = publisher(heard, Broker(broker.host, broker.port))
        link.start()
        wait_until(lambda: heard.of(LinkUp))
        for seq in range(6):
            for kind in (Kind.DATA, Kind.TIME, Kind.REPLY):
                assert link.publish(kind, b'{"n":%d}' % seq)
            wait_until(lambda: all(len(watcher.of(kind)) == seq + 1 for kind in ("data", "time", "reply")))  # noqa: B023
        session = link._session
        assert session is not None
        assert [session._named(kind)[0] for kind in (Kind.DATA, Kind.TIME, Kind.REPLY)] == [
            "",
            "",
            "waterworks/station-1/gw-1/reply",
        ]
        assert link.figures.sessions == 1
        link.stop()


def test_the_brokers_word_is_told_with_qos_1_and_never_twice_queued(tmp_path: Path) -> None:
    heard = Heard()
    with Mosquitto(tmp_path) as broker:
        link = publisher(heard, Broker(broker.host, broker.port))
        link.start()
        wait_until(lambda: heard.of(LinkUp))
        keys = [Key(EPOCH, NORMAL, seq) for seq in range(1, 21)]
        for key in keys:
            assert link.publish(Kind.DATA, b"{}", key)
        wait_until(lambda: len(heard.of(LinkTook)) == 20)
        assert [took.key for took in heard.of(LinkTook)] == keys
        assert link.figures.unheard >= 20, "nobody subscribes, and the broker says so"
        link.stop()


@pytest.mark.parametrize("qos", [0, 1])
def test_with_qos_0_no_acknowledgement_is_on_the_air(tmp_path: Path, qos: int) -> None:
    heard = Heard()
    with Mosquitto(tmp_path) as broker, Watcher(broker) as watcher:
        link = Publisher(IDENTITY, [Broker(broker.host, broker.port)], 32, heard.append, random.Random(1), data_qos=qos)
        link.start()
        wait_until(lambda: heard.of(LinkUp))
        for seq in range(20):
            assert link.publish(Kind.DATA, b'{"n":%d}' % seq, Key(EPOCH, NORMAL, seq + 1))
        assert link.publish(Kind.REPLY, b"{}")
        wait_until(lambda: len(watcher.of("data")) == 20 and (session := link._session) and not session._of_mid)
        assert len(heard.of(LinkTook)) == 20 * qos
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
