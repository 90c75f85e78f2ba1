"""The broker's Receive Maximum, against a scripted MQTT 5 broker that acknowledges when the test says so."""

from __future__ import annotations

import socket
import threading

from edge_agent.contract.topics import Kind
from edge_agent.io.mqtt import LinkUp
from edge_agent.model.points import Broker
from tests.suites.mqtt_link import Heard, publisher
from tests.support.ports import wait_until

CONNECT, PUBLISH, SUBSCRIBE = 1, 3, 8


class Scripted:
    """One connection: CONNACK with Receive Maximum 3, SUBACK, then PUBACKs by `acknowledge`."""

    def __init__(self) -> None:
        self.publishes: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._link: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def acknowledge(self, number: int) -> None:
        assert self._link is not None
        self._link.sendall(b"\x40\x02" + self.publishes[number])

    def close(self) -> None:
        self._listener.close()
        self._thread.join(5)

    def _serve(self) -> None:
        self._link, _ = self._listener.accept()
        with self._link as link, link.makefile("rb") as stream:
            while first := stream.read(1):
                size, shift = 0, 0
                while True:
                    digit = stream.read(1)[0]
                    size |= (digit & 127) << shift
                    shift += 7
                    if digit < 128:
                        break
                body = stream.read(size)
                kind = first[0] >> 4
                if kind == CONNECT:
                    link.sendall(b"\x20\x06\x00\x00\x03\x21\x00\x03")
                elif kind == SUBSCRIBE:
                    link.sendall(b"\x90\x06" + body[:2] + b"\x00\x01\x01\x01")
                elif kind == PUBLISH:
                    topic_bytes = int.from_bytes(body[:2], "big")
                    self.publishes.append(body[2 + topic_bytes : 4 + topic_bytes])


def test_never_more_without_puback_than_the_broker_allows() -> None:
    broker, heard = Scripted(), Heard()
    link = publisher(heard, Broker("127.0.0.1", broker.port, "5"))
    link.start()
    wait_until(lambda: heard.of(LinkUp))
    assert all(link.publish(Kind.DATA, b"{}") for _ in range(10))
    wait_until(lambda: len(broker.publishes) == 3)  # the status and two
    for number in range(8):
        broker.acknowledge(number)
        wait_until(lambda: len(broker.publishes) >= 4 + number)  # noqa: B023
        assert len(broker.publishes) == 4 + number
    link.stop()
    broker.close()
