"""The whole agent between two brokers, and behind TLS without a clock."""

from __future__ import annotations

import random
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import pytest

from edge_agent.io.mqtt import LinkUp, Publisher
from edge_agent.model.points import Broker as BrokerOf
from edge_agent.model.points import Tls
from tests.edge_agent.test_agent import arrived, status_of
from tests.suites.mqtt_link import IDENTITY, Heard
from tests.support.broker import Broker
from tests.support.certificates import DAY_S, Authority, tls_listener
from tests.support.fake_collector import FakeCollector
from tests.support.mosquitto import Mosquitto
from tests.support.ports import free_port, wait_until
from tests.support.running_agent import FixedKernel, RunningAgent, site


class Doorman:
    """Opens the door and says nothing: a broker that is there and takes no session."""

    def __enter__(self) -> Doorman:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port, self.visits = self._listener.getsockname()[1], 0
        self._thread = threading.Thread(target=self._open, name="doorman")
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _open(self) -> None:
        while True:
            try:
                visitor, _ = self._listener.accept()
            except OSError:
                return
            self.visits += 1
            visitor.close()


def test_ways_back_that_fail_lose_and_double_nothing(tmp_path: Path) -> None:
    with Broker() as second, FakeCollector(second.port) as collector, Doorman() as preferred:
        loaded = site(second.port, "3.1.1", window_ms=60_000)
        brokers = (BrokerOf("127.0.0.1", preferred.port, "3.1.1"), *loaded.site.brokers)
        with RunningAgent(replace(loaded, site=replace(loaded.site, brokers=brokers, return_s=0.5)), tmp_path) as agent:
            wait_until(lambda: collector.statuses.count("online") >= 3, 30, "two ways back that failed")
            given = len(agent.given)
            wait_until(lambda: len(agent.given) > given + 20)
        wait_until(lambda: arrived(collector) == Counter(agent.given))
        assert preferred.visits >= 5, "a knock and a session at each way back"
        stamps = [(device, point, value, at) for device, point, at, value, _ in collector.rows()]
        assert len(stamps) == len(set(stamps)) == len(agent.given)


@contextmanager
def link_to(*ports: int, return_s: float) -> Iterator[tuple[Publisher, Heard]]:
    heard = Heard()
    brokers = [BrokerOf("127.0.0.1", port, "3.1.1") for port in ports]
    link = Publisher(IDENTITY, brokers, 32, heard.append, random.Random(1), return_s=return_s)
    link.start()
    try:
        yield link, heard
    finally:
        link.stop()


def test_while_every_broker_is_away_nothing_is_learnt_of_the_preferred_ones_door() -> None:
    with Doorman() as preferred, link_to(preferred.port, free_port(), return_s=1.0) as (link, heard):
        wait_until(lambda: preferred.visits >= 3, 20)
        assert link._return_after_s == 1.0
        assert not heard.of(LinkUp)


def test_a_way_back_that_failed_makes_it_knock_more_rarely() -> None:
    with Doorman() as preferred, Broker() as second, link_to(preferred.port, second.port, return_s=0.25) as (link, heard):
        wait_until(lambda: len(heard.of(LinkUp)) >= 3, 20, "two ways back")
        assert link._return_after_s == 1.0


SPANS = {"a clock that lags": (DAY_S, 30 * DAY_S), "a clock that runs ahead": (-2 * DAY_S, -DAY_S)}


@pytest.mark.mosquitto
@pytest.mark.parametrize("clock", SPANS)
def test_with_tls_and_a_clock_that_is_wrong_the_link_comes_about_and_brings_the_time(tmp_path: Path, clock: str) -> None:
    """By the machine's clock, kept by nobody, the broker's certificate begins tomorrow or has ended: only the link knows."""
    ca = Authority(tmp_path / "ca")
    begins_s, ends_s = SPANS[clock]
    server, own = ca.issue("broker", ["IP:127.0.0.1"], begins_s=begins_s, ends_s=ends_s), ca.issue("station-1.gw-1")
    tls_port = free_port()
    with Mosquitto(tmp_path, tls_listener(ca, server, tls_port)) as mosquitto, FakeCollector(mosquitto.port) as collector:
        collector.tell_time = False
        loaded = site(tls_port, "5")
        broker = replace(loaded.site.brokers[0], tls=Tls(str(ca.cert), str(own.cert), str(own.key)))
        without_clock = FixedKernel(within_ms=None)
        with RunningAgent(replace(loaded, site=replace(loaded.site, brokers=(broker,))), tmp_path, without_clock) as agent:
            wait_until(lambda: status_of(agent).get("link", {}).get("up"), 20, "the link, without dates")
            assert status_of(agent)["link"]["dates_checked"] is False
            wait_until(lambda: len(agent.given) > 40)
            assert collector.rows() == [], "nothing is stamped by a clock that nobody keeps"
            collector.tell_time = True
            wait_until(lambda: len(collector.rows()) > 40, 15, "readings after the time is known")
            wait_until(lambda: status_of(agent)["clock"]["source"] == "collector", what="the next status file")
        wait_until(lambda: arrived(collector) == Counter(agent.given))
