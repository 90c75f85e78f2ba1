"""What `Publisher` promises over any broker. A test module gives the fixture `broker` and inherits `LinkSuite`."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from edge_agent.contract.encoding import encode
from edge_agent.contract.message import VERSION, Command, LaneReceipt, Receipt, TimeAsk, TimeTell
from edge_agent.contract.topics import Kind, topic
from edge_agent.io.mqtt import LinkDown, LinkEvent, LinkTrouble, LinkUp, Publisher
from edge_agent.io.mqtt_session import Identity
from edge_agent.model.points import Broker
from tests.support.ports import free_port, wait_until
from tests.support.watcher import Watcher

EPOCH = "1-00000000000000aa"
IDENTITY = Identity("station-1", "gw-1", EPOCH, "boot-1", "edge-agent 0.1.0")


class Heard(list[LinkEvent]):
    """Events in the order in which they came."""

    def of(self, kind: type[Any]) -> list[Any]:
        """Those of one kind."""
        return [event for event in self if isinstance(event, kind)]


def publisher(heard: Heard, *brokers: Broker) -> Publisher:
    """A publisher of gateway station-1/gw-1."""
    return Publisher(IDENTITY, brokers, 32, heard.append, random.Random(1))


class LinkSuite:
    """`broker`: started, with port, version, kill(), start()."""

    @pytest.fixture
    def heard(self) -> Heard:
        return Heard()

    @pytest.fixture
    def link(self, broker: Any, heard: Heard) -> Iterator[Publisher]:
        link = publisher(heard, Broker(broker.host, broker.port, broker.version))
        link.start()
        yield link
        link.stop()
        assert not any(thread.name == "mqtt" and thread.is_alive() for thread in threading.enumerate())

    def test_online_is_retained_and_offline_is_said_at_the_end(self, broker: Any, link: Publisher, heard: Heard) -> None:
        wait_until(lambda: heard.of(LinkUp))
        with Watcher(broker) as watcher:
            wait_until(lambda: ("status", True) in watcher.seen, what="retained status")
            assert watcher.last("status")["state"] == "online"
            link.stop()
            wait_until(lambda: watcher.last("status")["state"] == "offline")
        assert heard.of(LinkDown)

    def test_the_last_will_says_offline(self, broker: Any, link: Publisher, heard: Heard) -> None:
        wait_until(lambda: heard.of(LinkUp))
        with Watcher(broker) as watcher:
            wait_until(lambda: ("status", True) in watcher.seen)
            session = link._session
            assert session is not None
            link._stopping.set()  # so that it does not come back and say online
            session.abort()
            wait_until(lambda: any(m["state"] == "offline" for m in watcher.of("status")), what="last will")
        with Watcher(broker) as late:
            wait_until(lambda: ("status", True) in late.seen, what="retained last will")
            assert late.last("status")["state"] == "offline"

    def test_messages_of_every_kind_arrive_and_come(self, broker: Any, link: Publisher, heard: Heard) -> None:
        wait_until(lambda: heard.of(LinkUp))
        with Watcher(broker) as watcher:
            for seq in range(1, 101):
                assert link.publish(Kind.DATA, b'{"n":%d}' % seq)
            wait_until(lambda: len(watcher.of("data")) == 100)
            assert [m["n"] for m in watcher.of("data")] == list(range(1, 101))
            receipt = Receipt(VERSION, "log-1", [LaneReceipt(EPOCH, "n", 3)])
            watcher.publish("receipt", encode(receipt))
            watcher.publish("cmd", encode(Command(VERSION, "c1", "ping")))
            watcher.publish("time", encode(TimeTell(VERSION, "t1", 1_800_000_000_000)))
            wait_until(lambda: heard.of(Receipt) and heard.of(Command) and heard.of(TimeTell))
            assert heard.of(Receipt) == [receipt]

    def test_malformed_messages_are_counted_and_dropped(self, broker: Any, link: Publisher, heard: Heard) -> None:
        wait_until(lambda: heard.of(LinkUp))
        with Watcher(broker) as watcher:
            for kind in ("receipt", "cmd", "time"):
                for payload in (b"", b"{", b"\x00\xff", b"x\x9c\x03", b'{"v":9}', b"[" * 5000):
                    watcher.publish(kind, payload)
            watcher.publish("time", encode(TimeAsk(VERSION, "own")))
            watcher.publish("cmd", encode(Command(VERSION, "c2", "ping")))
            wait_until(lambda: heard.of(Command))
            assert link.figures.malformed == 18
            assert not heard.of(Receipt)
            assert link.figures.up

    def test_after_the_broker_died_it_comes_back_and_sends_nothing_old(self, broker: Any, link: Publisher, heard: Heard) -> None:
        wait_until(lambda: heard.of(LinkUp))
        broker.kill()
        link.publish(Kind.DATA, b'{"n":1}')
        wait_until(lambda: heard.of(LinkDown))
        assert not link.publish(Kind.DATA, b'{"n":2}')
        broker.start()
        with Watcher(broker) as watcher:
            wait_until(lambda: len(heard.of(LinkUp)) == 2, 30)
            assert link.publish(Kind.DATA, b'{"n":3}')
            wait_until(lambda: watcher.of("data"))
            assert [m["n"] for m in watcher.of("data")] == [3]
        assert link.figures.sessions == 2

    def test_the_second_broker_is_taken_when_the_first_is_away(self, broker: Any, heard: Heard) -> None:
        link = publisher(heard, Broker("127.0.0.1", free_port(), broker.version), Broker(broker.host, broker.port, broker.version))
        link.start()
        wait_until(lambda: heard.of(LinkUp))
        assert [event.problem.code for event in heard.of(LinkTrouble)] == ["NET302"]
        assert link.figures.broker == f"{broker.host}:{broker.port}"
        link.stop()

    def test_topics_are_the_gateways_own(self, broker: Any, link: Publisher, heard: Heard) -> None:
        wait_until(lambda: heard.of(LinkUp))
        with Watcher(broker) as watcher:
            watcher.publish_to(topic("waterworks", "station-1", "gw-2", Kind.CMD), encode(Command(VERSION, "no", "ping")))
            watcher.publish("cmd", encode(Command(VERSION, "yes", "ping")))
            wait_until(lambda: heard.of(Command))
            assert [command.id for command in heard.of(Command)] == ["yes"]

    def test_air_bytes_hold_every_message_and_only_grow(self, broker: Any, link: Publisher, heard: Heard) -> None:
        wait_until(lambda: heard.of(LinkUp))
        opened = link.figures
        assert opened.air_bytes >= opened.air_open_bytes > 500
        with Watcher(broker) as watcher:
            for _ in range(20):
                assert link.publish(Kind.DATA, b'{"n":"%s"}' % (b"x" * 1000))
            wait_until(lambda: len(watcher.of("data")) == 20)
        sent = link.figures
        assert 20_000 < sent.air_bytes - opened.air_bytes < 20_000 + 20 * 500
        assert sent.air_open_bytes == opened.air_open_bytes
        broker.kill()
        wait_until(lambda: heard.of(LinkDown))
        lost = link.figures
        assert lost.air_bytes >= sent.air_bytes
        assert lost.air_open_bytes > sent.air_open_bytes

    def test_keepalive_is_counted_apart(self, broker: Any, heard: Heard) -> None:
        link = publisher(heard, Broker(broker.host, broker.port, broker.version, keepalive_s=1))
        link.start()
        wait_until(lambda: link.figures.air_keepalive_bytes, what="a ping")
        figures = link.figures
        assert 100 < figures.air_keepalive_bytes < figures.air_bytes - figures.air_open_bytes + 1
        assert figures.up
        link.stop()

    def test_a_preferred_broker_that_comes_back_is_gone_back_to(self, broker: Any, heard: Heard) -> None:
        preferred = type(broker)(broker._folder) if hasattr(broker, "_folder") else type(broker)()
        addresses = [Broker(each.host, each.port, broker.version) for each in (preferred, broker)]
        link = Publisher(IDENTITY, addresses, 32, heard.append, random.Random(1), return_s=0.2)
        link.start()
        wait_until(lambda: heard.of(LinkUp))
        assert link.figures.broker == f"{broker.host}:{broker.port}"
        with preferred:
            wait_until(lambda: len(heard.of(LinkUp)) == 2, what="the way back")
            assert link.figures.broker == f"{preferred.host}:{preferred.port}"
            assert [down.next_try_s for down in heard.of(LinkDown)] == [0.0]
            link.stop()
