"""Does I/O: plays the gateway of a replay over MQTT: sends what the window says, hands it the receipts.

It never publishes `birth` or `status`, which are retained and belong to the gateway itself.
"""

from __future__ import annotations

import queue
import secrets
import time
from collections.abc import Callable
from typing import Protocol

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from collector.domain.identity import GatewayId
from collector.io.mqtt_subscriber import BrokerAddress
from edge_agent.common.problem import Problem, ProblemError
from edge_agent.contract import encoding, topics
from edge_agent.contract.message import Receipt

_TURN_S = 0.2
PATIENCE_MS = 120_000
"""How long a replay goes on without any new receipt."""


class Window(Protocol):
    """`collector.replay_window.ReplayWindow`, as the link sees it."""

    progress_ms: int

    @property
    def done(self) -> bool:
        """True when nothing is left to do."""
        ...

    def begin(self, now_ms: int) -> None:
        """The first moment."""
        ...

    def connected(self) -> None:
        """A new connection is up and subscribed."""
        ...

    def receipt(self, now_ms: int, receipt: Receipt) -> None:
        """The collector's word."""
        ...

    def due(self, now_ms: int) -> list[bytes]:
        """What to publish now."""
        ...


def feed(
    window: Window,
    address: BrokerAddress,
    gateway: GatewayId,
    on_progress: Callable[[], None],
    patience_ms: int = PATIENCE_MS,
    on_silence: Callable[[int], None] = lambda _: None,
) -> None:
    """Runs the window to its end. on_silence: hears often for how many ms no new receipt has come.

    Raises ProblemError: TRY412 no link to the broker, TRY413 no receipts.
    """
    events: queue.SimpleQueue[Receipt | bool | str] = queue.SimpleQueue()
    client = _client(address, gateway, events)
    try:
        client.connect(address.host, address.port, keepalive=30)
    except (OSError, ValueError) as error:
        raise ProblemError(_no_link(address, str(error))) from error
    client.loop_start()
    try:
        _run(
            window,
            client,
            topics.topic(address.root, gateway.site, gateway.gateway, topics.Kind.DATA),
            events,
            address,
            on_progress,
            patience_ms,
            on_silence,
        )
    finally:
        client.disconnect()
        client.loop_stop()


def _run(
    window: Window,
    client: mqtt.Client,
    topic: str,
    events: queue.SimpleQueue[Receipt | bool | str],
    address: BrokerAddress,
    on_progress: Callable[[], None],
    patience_ms: int,
    on_silence: Callable[[int], None],
) -> None:
    window.begin(_now_ms())
    up = False
    while not window.done:
        try:
            event = events.get(timeout=_TURN_S)
        except queue.Empty:
            event = up
        if isinstance(event, str):
            raise ProblemError(_no_link(address, event))
        if isinstance(event, Receipt):
            window.receipt(_now_ms(), event)
            on_progress()
        elif event is not up:
            up = event
            if up:
                window.connected()
        if up:
            for payload in window.due(_now_ms()):
                client.publish(topic, payload, qos=1)
        silent_ms = _now_ms() - window.progress_ms
        on_silence(silent_ms)
        if silent_ms > patience_ms:
            raise ProblemError(_no_receipts(address, patience_ms))


def _client(address: BrokerAddress, gateway: GatewayId, events: queue.SimpleQueue[Receipt | bool | str]) -> mqtt.Client:
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2,
        client_id=f"replay-{secrets.token_hex(8)}",
        clean_session=True,
        protocol=MQTTProtocolVersion.MQTTv311,
    )
    client.reconnect_delay_set(1, 5)
    client.max_inflight_messages_set(100)
    if address.user:
        client.username_pw_set(address.user, address.password or None)
    if address.tls:
        client.tls_set(ca_certs=address.tls_ca or None)
    receipts = topics.topic(address.root, gateway.site, gateway.gateway, topics.Kind.RECEIPT)

    def connack(_client: object, _userdata: object, _flags: object, reason: ReasonCode, _properties: object) -> None:
        if reason.is_failure:
            events.put(f"it refuses the connection: {reason}")
        else:
            client.subscribe(receipts, 1)

    def suback(_client: object, _userdata: object, _mid: int, reasons: list[ReasonCode], _properties: object) -> None:
        events.put("it refuses the subscription" if any(reason.is_failure for reason in reasons) else True)

    def lost(_client: object, _userdata: object, _flags: object, _reason: object, _properties: object) -> None:
        events.put(False)

    def message(_client: object, _userdata: object, came: mqtt.MQTTMessage) -> None:
        try:
            events.put(encoding.decode_receipt(bytes(came.payload)))
        except encoding.Malformed:
            return

    client.on_connect, client.on_subscribe, client.on_disconnect, client.on_message = connack, suback, lost, message
    return client


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def _no_link(address: BrokerAddress, why: str) -> Problem:
    where = f"broker at {address.host}:{address.port}"
    return Problem(
        "TRY412",
        where,
        f"No link to the broker: {why}.",
        "start the collector, or name its broker with --broker, --user and --password-file.",
    )


def _no_receipts(address: BrokerAddress, patience_ms: int) -> Problem:
    return Problem(
        "TRY413",
        f"broker at {address.host}:{address.port}",
        f"The collector sent no receipt for {patience_ms // 1000} s; it may be stopped, or out of disk.",
        "see `collector status`, then run the same replay again: what has arrived is not doubled.",
    )
