"""Does I/O: an embedded broker and plain MQTT clients for tests of the collector."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from tests.support.ports import wait_until

SECRET = "collector-secret"


class PlainClient:
    """One MQTT 3.1.1 client that keeps what it hears."""

    def __init__(self, port: int, user: str = "", password: str = "", will: str = "", client_id: str = "") -> None:
        self.heard: queue.SimpleQueue[tuple[str, bytes, bool]] = queue.SimpleQueue()
        self.answer = ""
        self._granted: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._answered = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTProtocolVersion.MQTTv311)
        self._client.reconnect_delay_set(1, 1)
        if user:
            self._client.username_pw_set(user, password)
        if will:
            self._client.will_set(will, b"gone", 1, retain=True)
        self._client.on_connect = self._connected
        self._client.on_message = lambda _c, _u, m: self.heard.put((m.topic, bytes(m.payload), m.retain))
        self._client.on_subscribe = lambda _c, _u, _m, reasons, _p: self._granted.put(not reasons[0].is_failure)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._answered.wait(10)

    @property
    def accepted(self) -> bool:
        return self.answer == "Success"

    def subscribe(self, topic_filter: str) -> bool:
        """True if it was granted."""
        self._client.subscribe(topic_filter, 1)
        return self._granted.get(timeout=10)

    def publish(self, topic: str, payload: bytes, retain: bool = False) -> None:
        """QoS 1; returns when the broker has it."""
        self._client.publish(topic, payload, 1, retain).wait_for_publish(10)

    def next(self, timeout_s: float = 10.0) -> tuple[str, bytes, bool]:
        return self.heard.get(timeout=timeout_s)

    def cut(self) -> None:
        """Ends the connection without DISCONNECT."""
        connection = self._client.socket()
        self._client.loop_stop()
        if connection is not None:
            connection.close()

    def fall_silent(self) -> None:
        """Keeps the connection and reads nothing more from it."""
        self._client.loop_stop()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _connected(self, _client: object, _userdata: object, _flags: object, reason: object, _properties: object) -> None:
        self.answer = str(reason)
        self._answered.set()


@contextmanager
def clients() -> Iterator[list[PlainClient]]:
    """A list whose clients are closed at the end."""
    made: list[PlainClient] = []
    try:
        yield made
    finally:
        for client in made:
            client.close()


__all__ = ["SECRET", "PlainClient", "clients", "wait_until"]
