"""Does I/O: sees everything on the branch of gateway station-1/gw-1 and can publish there."""

from __future__ import annotations

import json
import threading
from types import TracebackType
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.contract.encoding import unpack

BRANCH = "waterworks/station-1/gw-1/"


class Watcher:
    """A subscriber for tests; `broker` has host and port."""

    def __init__(self, broker: Any) -> None:
        self._messages: list[tuple[str, bool, bytes]] = []
        self._ready = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, client_id="watcher", clean_session=True)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._message
        self._address = (broker.host, broker.port)

    def __enter__(self) -> Watcher:
        self._client.connect(*self._address)
        self._client.loop_start()
        self._client.subscribe(BRANCH + "+", 1)
        assert self._ready.wait(10)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def seen(self) -> list[tuple[str, bool]]:
        """(kind, retained) of everything that came."""
        return [(kind, retained) for kind, retained, _ in self._messages]

    def of(self, kind: str) -> list[Any]:
        """JSON of everything that came on one topic."""
        return [json.loads(unpack(payload)) for seen, _, payload in self._messages if seen == kind]

    def last(self, kind: str) -> Any:
        """The newest on one topic."""
        return self.of(kind)[-1]

    def publish(self, kind: str, payload: bytes) -> None:
        """To the gateway's branch."""
        self.publish_to(BRANCH + kind, payload)

    def publish_to(self, topic: str, payload: bytes) -> None:
        """To any topic."""
        self._client.publish(topic, payload, qos=1)

    def _message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        self._messages.append((message.topic.removeprefix(BRANCH), message.retain, message.payload))
