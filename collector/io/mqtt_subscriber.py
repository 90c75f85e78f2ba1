"""Does I/O: the collector's link to the broker over paho. MQTT 5 where the broker speaks it, else 3.1.1.

Clean session, subscribes anew on every connect, connects again with jitter. Nothing here is relied on for delivery: receipts are
the collector's word, and everything it publishes is said again (DESIGN.md section 3).
"""

from __future__ import annotations

import logging
import secrets
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import paho.mqtt.client as mqtt
from paho.mqtt import MQTTException
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from collector.domain.identity import GatewayId
from collector.seams import Message
from edge_agent.common.clock import Clock
from edge_agent.common.problem import Problem
from edge_agent.common.thread_name import name_thread
from edge_agent.contract import topics
from edge_agent.contract.encoding import MAX_UNPACKED

_log = logging.getLogger(__name__)
_KEEPALIVE_S = 30
_BACKOFF_S = (0.3, 0.6, 1.2, 2.5, 5.0, 10.0)
_CONNECT_TIMEOUT_S = 5.0
_ANSWER_TIMEOUT_S = 15.0
"""For CONNACK and SUBACK together."""
MQTT_311 = MQTTProtocolVersion.MQTTv311
_OLDER = "Unsupported protocol version"
_WIRE_FAULTS = (MQTTException, struct.error, IndexError, KeyError)
"""What paho raises, beside OSError and ValueError, for bytes that are no MQTT."""


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """How the broker is reached. tls_ca: a file of certificates; empty: the machine's own."""

    host: str
    port: int
    root: str
    user: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False
    tls_ca: str = ""
    protocol: MQTTProtocolVersion | None = None
    """Fixed protocol; None: MQTT 5 first, 3.1.1 if that is refused."""


class PahoSubscriber:
    """`seams.Subscriber`. Callbacks come on one thread of its own; `problem` may be asked from any."""

    def __init__(self, address: Callable[[], BrokerAddress], clock: Clock) -> None:
        """address: asked before each connect, because an embedded broker may come back elsewhere."""
        self._address = address
        self._clock = clock
        self._protocol = address().protocol or MQTTProtocolVersion.MQTTv5
        self._stopping = threading.Event()
        self._connected = False
        self._client: mqtt.Client | None = None
        self._problem: Problem | None = None
        self._thread = threading.Thread(target=self._run, name="subscriber", daemon=True)
        self._chance = Random(secrets.randbits(64))

    def start(self, on_message: Callable[[Message], None], on_connected: Callable[[bool], None]) -> None:
        """Begins to connect; on_connected(True) comes after the subscriptions are confirmed."""
        self._on_message = on_message
        self._on_connected = on_connected
        self._thread.start()

    def publish(self, gateway: GatewayId, kind: topics.Kind, payload: bytes) -> None:
        """Hands over for sending, retained where the contract says so; dropped when not connected."""
        client = self._client
        if client is not None and self._connected:
            topic = topics.topic(self._address().root, gateway.site, gateway.gateway, kind)
            client.publish(topic, payload, qos=1, retain=kind in topics.RETAINED)

    def stop(self) -> None:
        """Disconnects cleanly and ends the thread."""
        self._stopping.set()
        client = self._client
        if client is not None:
            client.disconnect()
        if self._thread.ident is not None:
            self._thread.join(10)

    def problem(self) -> Problem | None:
        """Why there is no link at this moment, if there is none."""
        return self._problem

    def _run(self) -> None:
        name_thread()
        failures = 0
        while not self._stopping.is_set():
            protocol = self._protocol
            failures = 0 if self._session() else failures + 1
            if self._protocol is not protocol:
                continue
            longest = _BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)]
            self._stopping.wait(longest * self._chance.uniform(0.5, 1.0))

    def _session(self) -> bool:
        """One connection from connect to its end. True if it was up."""
        address = self._address()
        self._client = client = self._make_client(address)
        was_up = False
        try:
            self._connect(client, address)
            give_up = time.monotonic() + _ANSWER_TIMEOUT_S
            while not self._stopping.is_set() and client.loop(timeout=1.0) == mqtt.MQTT_ERR_SUCCESS:
                was_up = was_up or self._connected
                if not was_up and time.monotonic() > give_up:
                    self._lost(address, "it accepts the connection and says nothing")
                    break
        except (OSError, ValueError, *_WIRE_FAULTS) as error:
            self._lost(address, f"it cannot be reached: {error}")
        self._client = None
        client.disconnect()
        if self._connected:
            was_up, self._connected = True, False
            self._lost(address, "the connection broke")
            self._on_connected(False)
        return was_up

    def _make_client(self, address: BrokerAddress) -> mqtt.Client:
        five = self._protocol is MQTTProtocolVersion.MQTTv5
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"collector-{secrets.token_hex(8)}",  # nobody else can guess it and take the session over
            clean_session=None if five else True,
            protocol=self._protocol,
            reconnect_on_failure=False,
        )
        client.connect_timeout = _CONNECT_TIMEOUT_S
        client.max_queued_messages_set(0)
        client.max_inflight_messages_set(1000)
        if address.user:
            client.username_pw_set(address.user, address.password or None)
        if address.tls:
            client.tls_set(ca_certs=address.tls_ca or None, cert_reqs=ssl.CERT_REQUIRED)
        client.on_connect = self._connack
        client.on_subscribe = self._suback
        client.on_message = self._message
        client.on_socket_register_write = lambda *_: None  # so that publish() only wakes our thread and never writes itself
        return client

    def _connect(self, client: mqtt.Client, address: BrokerAddress) -> None:
        if self._protocol is not MQTTProtocolVersion.MQTTv5:
            client.connect(address.host, address.port, keepalive=_KEEPALIVE_S)
            return
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's own is untyped
        properties.SessionExpiryInterval = 0
        properties.MaximumPacketSize = MAX_UNPACKED + 4096
        client.connect(address.host, address.port, keepalive=_KEEPALIVE_S, clean_start=True, properties=properties)

    def _connack(self, client: mqtt.Client, _userdata: object, _flags: object, reason: ReasonCode, _properties: object) -> None:
        address = self._address()
        if not reason.is_failure:
            client.subscribe([(topic, 1) for topic in topics.collector_filters(address.root)])
            return
        if self._protocol is MQTTProtocolVersion.MQTTv5 and address.protocol is None and str(reason) == _OLDER:
            self._protocol = MQTTProtocolVersion.MQTTv311
            return
        self._lost(address, f"it refuses the collector: {reason}")

    def _suback(self, client: mqtt.Client, _userdata: object, _mid: int, reasons: list[ReasonCode], _properties: object) -> None:
        if any(reason.is_failure for reason in reasons):
            self._lost(self._address(), "it refuses the collector's subscriptions")
            client.disconnect()
            return
        self._connected, self._problem = True, None
        self._on_connected(True)

    def _message(self, _client: object, _userdata: object, message: mqtt.MQTTMessage) -> None:
        try:
            text = message.topic
        except UnicodeDecodeError:
            text = ""
        topic = topics.parse_topic(text, self._address().root)
        self._on_message(
            Message(
                topic=text,
                gateway=GatewayId(topic.site, topic.gateway) if topic is not None else None,
                kind=topic.kind if topic is not None else None,
                payload=bytes(message.payload),
                retained=message.retain,
                received_ms=self._clock.utc_ms(),
            )
        )

    def _lost(self, address: BrokerAddress, what: str) -> None:
        if self._stopping.is_set():
            return  # this end is wanted
        problem = Problem(
            "BRK804",
            f"broker at {address.host}:{address.port}",
            f"No link to the broker: {what}. It is tried again; the gateways keep their data.",
            "see that the broker runs and that mqtt.host, port, user and password_file are right.",
        )
        if self._problem is None or self._problem.what != problem.what:
            _log.warning("%s", problem.what)
        self._problem = problem
