"""The session on links as they are in the country: far away, slow, and dead without a word."""

from __future__ import annotations

import random
import socket
import time
from pathlib import Path

import pytest

from edge_agent.common.clock import SystemClock
from edge_agent.contract.encoding import encode_body
from edge_agent.contract.message import NORMAL, URGENT, BirthBody, Body, Receipt, Series
from edge_agent.contract.message import Event as Happened
from edge_agent.contract.topics import Kind
from edge_agent.delivery.courier import Courier
from edge_agent.delivery.machine import ClockSet, Connected, Disconnected, Key, ReceiptCame, Start, Stored
from edge_agent.io.delivery_loop import DeliveryLoop
from edge_agent.io.mqtt import LinkDown, LinkEvent, LinkUp, Publisher
from edge_agent.io.mqtt_session import UNSENT_BYTES
from edge_agent.io.outbox import OutboxFile
from edge_agent.io.outbox_writer import OutboxWriter
from edge_agent.model.points import Broker, Delivery
from edge_agent.model.reading import Reading
from tests.suites.mqtt_link import EPOCH, IDENTITY, Heard, publisher
from tests.support.fake_collector import FakeCollector
from tests.support.mosquitto import Mosquitto
from tests.support.ports import wait_until
from tests.support.slow_link import SlowLink
from tests.support.watcher import Watcher

pytestmark = pytest.mark.mosquitto
BATCHES, IN_FLIGHT = 320, 32


def drain_s(folder: Path, port: int, collector: FakeCollector) -> float:
    """How long a backlog of BATCHES takes over this link."""
    folder.mkdir()
    earlier = f"1-{folder.name.encode().hex():0>16}"
    bodies = [
        Stored(Key(earlier, NORMAL, seq), "data", "0" * 16, b'{"blocks":[[[0],[[0,[1.5],[]]]]]}', 1, "boot-0", 0, 1_790_000_000_000)
        for seq in range(1, BATCHES + 1)
    ]
    courier = Courier(Delivery(in_flight=IN_FLIGHT))
    clock = SystemClock()
    file = OutboxFile(folder / "outbox.db")
    file.open()
    loop = DeliveryLoop(courier, clock, lambda done: OutboxWriter(file, done))

    def hear(event: LinkEvent) -> None:
        if isinstance(event, LinkUp):
            loop.must(Connected())
        elif isinstance(event, LinkDown):
            loop.must(Disconnected())
        elif isinstance(event, Receipt):
            loop.may(ReceiptCame(event))

    link = Publisher(IDENTITY, [Broker("127.0.0.1", port)], IN_FLIGHT, hear, random.Random(1), data_qos=0)
    now_ms = clock.monotonic_ms()
    loop.start(Start("2-" + "0" * 16, "boot-1", BirthBody("t", [Series(0, "meter", "flow")]), bodies), link)
    loop.must(ClockSet(now_ms, 1_790_000_100_000, "ntp", 5))
    link.start()
    wait_until(lambda: link.figures.up)
    began_s = time.monotonic()
    wait_until(loop.drained, 30, "the backlog is drained")
    took_s = time.monotonic() - began_s
    assert sum(count for (_, lane, _), count in collector.copies.items() if lane == NORMAL) >= BATCHES
    loop.close()
    loop.finish(3)
    link.stop()
    return took_s


def test_a_window_fills_a_link_of_300_ms_round_trip(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker, FakeCollector(broker.port) as collector:
        with SlowLink(broker.port, 0.15) as far:
            took_s = drain_s(tmp_path / "far", far.port, collector)
        bound_s = BATCHES / IN_FLIGHT * 0.3
        print(f"{BATCHES} batches: {took_s:.2f} s at 300 ms; in_flight / round trip allows {bound_s:.2f} s")
        assert max(collector.copies.values()) == 1, "nothing is sent twice for the distance's sake"
        assert took_s < 2 * bound_s + 1


def test_what_is_urgent_does_not_wait_behind_a_window_of_normal_batches(tmp_path: Path) -> None:
    heard = Heard()
    with Mosquitto(tmp_path) as broker, SlowLink(broker.port, 0.0, 15_000, 4096) as slow, Watcher(broker) as watcher:
        link = Publisher(IDENTITY, [Broker(slow.host, slow.port)], 32, heard.append, random.Random(1), data_qos=0)
        link.start()
        wait_until(lambda: heard.of(LinkUp))
        for seq in range(1, 33):
            assert link.publish(Kind.DATA, b'{"n":%d,"x":"%s"}' % (seq, b"x" * 8000), Key(EPOCH, NORMAL, seq))
        wait_until(lambda: watcher.of("data"))
        assert link.publish(Kind.DATA, b'{"urgent":1}', Key(EPOCH, URGENT, 1))
        wait_until(lambda: any("urgent" in message for message in watcher.of("data")), 20)
        before = [message for message in watcher.of("data") if "n" in message]
        assert len(before) < 16, f"{len(before)} of 32 normal batches went first"
        link.stop(0.2)


def test_bytes_that_nobody_acknowledges_end_the_connection_when_the_keep_alive_is_over(tmp_path: Path) -> None:
    """The keep-alive alone takes it twice: once until it asks, once until it gives up."""
    keepalive_s, heard = 3, Heard()
    with Mosquitto(tmp_path) as broker, SlowLink(broker.port) as line:
        link = Publisher(IDENTITY, [Broker(line.host, line.port, keepalive_s=keepalive_s)], 32, heard.append, random.Random(1))
        link.start()
        wait_until(lambda: heard.of(LinkUp))
        line.deafen()
        began_s = time.monotonic()
        assert link.publish(Kind.DATA, b'{"n":1}')
        wait_until(lambda: heard.of(LinkDown), 12, "the dead connection is noticed")
        took_s = time.monotonic() - began_s
        link.stop()
    assert keepalive_s - 0.5 < took_s < 1.7 * keepalive_s, took_s


def arrivals(folder: Path, *, newest_first: bool) -> list[tuple[str, int]]:
    """A backlog of an earlier run and one new reading on a slow link: (epoch, sequence) of lane n as they came to the collector."""
    folder.mkdir()
    earlier, now = "1-" + "1" * 16, "2-" + "2" * 16
    file = OutboxFile(folder / "outbox.db")
    file.open()
    noise = random.Random(1).randbytes(450).hex()  # it does not get much shorter
    body = encode_body(Body(events=[Happened(0, "test", about={"x": noise})]))
    file.write(
        [Stored(Key(earlier, NORMAL, seq), "data", "0" * 16, body, 1, "boot-0", 0, 1_790_000_000_000) for seq in range(1, 61)], []
    )
    file.close()
    opened = file.open()
    loop = DeliveryLoop(
        Courier(Delivery(in_flight=2, batch_ms=1000, resend_ms=20_000, newest_first=newest_first)),
        SystemClock(),
        lambda done: OutboxWriter(file, done),
    )

    def hear(event: LinkEvent) -> None:
        if isinstance(event, LinkUp | LinkDown):
            loop.must(Connected() if isinstance(event, LinkUp) else Disconnected())
        elif isinstance(event, Receipt):
            loop.may(ReceiptCame(event))

    with Mosquitto(folder) as broker, FakeCollector(broker.port) as collector, SlowLink(broker.port, 0.0, 15_000, 4096) as slow:
        link = Publisher(IDENTITY, [Broker(slow.host, slow.port)], 2, hear, random.Random(1), data_qos=0)
        now_ms = SystemClock().monotonic_ms()
        loop.start(Start(now, "boot-1", BirthBody("t", [Series(0, "meter", "flow")]), opened.stored, shelves=opened.shelves), link)
        loop.must(ClockSet(now_ms, 1_790_000_100_000, "ntp", 5))
        link.start()
        wait_until(lambda: len(collector.messages) > 8, 20, "the backlog drains")
        loop.take([Reading(0, SystemClock().monotonic_ms(), 1.5)])
        wait_until(lambda: len(collector.messages) == 62, 30, "all of it is there")
        order = [(epoch, seq) for epoch, lane, seq in collector.messages if lane == NORMAL]
        loop.close()
        loop.finish(3)
        link.stop()
    assert max(collector.copies.values()) == 1
    return [("new" if epoch == now else "old", seq) for epoch, seq in order]


def test_on_a_slow_link_new_readings_go_first_where_the_site_file_says_so(tmp_path: Path) -> None:
    order = arrivals(tmp_path / "newest", newest_first=True)
    old = [seq for kind, seq in order if kind == "old"]
    assert old == sorted(old, reverse=True), "the backlog from its end"
    assert order.index(("new", 1)) < 50, "in the middle of the backlog"
    order = arrivals(tmp_path / "oldest", newest_first=False)
    assert order == [*(("old", seq) for seq in range(1, 61)), ("new", 1)]


def test_a_connection_that_died_without_a_word_is_found_out(tmp_path: Path) -> None:
    heard = Heard()
    with Mosquitto(tmp_path) as broker, SlowLink(broker.port) as proxy:
        link = publisher(heard, Broker(proxy.host, proxy.port, keepalive_s=1))
        link.start()
        wait_until(lambda: heard.of(LinkUp))
        session = link._session
        assert session is not None
        connection = session._client.socket()
        assert connection is not None
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 1000, "unanswered data ends it too"
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == UNSENT_BYTES
        proxy.silent = True
        wait_until(lambda: heard.of(LinkDown), 6, "the dead connection is noticed")
        proxy.silent = False
        wait_until(lambda: len(heard.of(LinkUp)) == 2, 20, "a new one")
        link.stop()
