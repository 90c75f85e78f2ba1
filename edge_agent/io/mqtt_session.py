"""Does I/O: one MQTT connection from CONNECT to its end, over paho-mqtt.

Each connection gets a paho client of its own: what paho still holds in its queue goes with the connection, so the outbox stays
the only queue. One thread runs `Session.run`; any thread may call `publish`. The socket is given only as much as it takes
(TCP_NOTSENT_LOWAT), the rest waits in the SendQueue, where what is urgent goes first.

With MQTT 5 a topic crosses the air once: from then on its alias stands for it, as far as the broker allows aliases. Receipts and
answers are subscribed to with QoS 0: whoever misses one hears the next, and no PUBACK goes out for it.
"""

from __future__ import annotations

import select
import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from paho.mqtt import MQTTException
from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.common.problem import Problem, ProblemError
from edge_agent.contract.encoding import MAX_UNPACKED, encode
from edge_agent.contract.message import VERSION, Status
from edge_agent.contract.topics import RETAINED, TO_AGENT, Kind, topic
from edge_agent.delivery.machine import Key
from edge_agent.io.air import Air, AirMeter, refused_connect
from edge_agent.io.link_files import link_context, read_password
from edge_agent.io.mqtt_tls import TlsContext, alert_problem, handshake_problem
from edge_agent.io.send_queue import Outgoing, SendQueue
from edge_agent.model.points import Broker

CONNECT_TIMEOUT_S = 10.0
"""For TCP and TLS; another as long for CONNACK and SUBACK together."""
UNSENT_BYTES = 4096
"""So much may wait in the kernel before the network takes it: 2 s at 16 kbit/s. More waits where what is urgent can overtake."""
FEED_BYTES = 8192
"""So much is handed to the socket at a time."""
UNANSWERED_S = 60
"""Sent bytes that nobody acknowledges for so long end the connection (the kernel's TCP_USER_TIMEOUT), or after the keep-alive."""
ALIASES = {Kind.DATA: 1, Kind.TIME: 2, Kind.REPLY: 3}
"""Topics that are published to more than once in a session; where the broker allows few aliases, the first ones count."""
ALIASES_HEARD = 8
"""Topic aliases the broker may use towards the agent."""
NOBODY_LISTENS = 0x10
"""PUBACK "No matching subscribers"."""
_WIRE_FAULTS = (MQTTException, struct.error, IndexError, KeyError, UnicodeDecodeError, ValueError, OSError)
"""What paho raises from its reading side for bytes that are no MQTT, beside socket errors."""


class LinkFailed(Exception):
    """No session came about, or it broke in a way that a person should hear of."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.what)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Identity:
    """Who connects. status: what is said online; the last will says the same with `offline`."""

    site: str
    gateway: str
    epoch: str
    boot: str
    software: str

    @property
    def client_id(self) -> str:
        """One per gateway: a second agent of the same name takes the session over."""
        return f"edge.{self.site}.{self.gateway}"

    def status(self, state: str) -> bytes:
        """The payload of topic `status`."""
        return encode(Status(VERSION, "online" if state == "online" else "offline", self.epoch, self.boot, self.software))


class Session:
    """One connection. Raises LinkFailed from `run` when none comes about."""

    def __init__(
        self,
        identity: Identity,
        broker: Broker,
        in_flight: int,
        *,
        on_up: Callable[[], None],
        on_message: Callable[[Kind, bytes], None],
        on_taken: Callable[[Key], None] | None = None,
        without_dates_from_ms: int | None = None,
    ) -> None:
        """on_taken: is told of each sequenced message that the broker acknowledged (QoS 1).

        without_dates_from_ms: the dates of certificates are not checked, but that the broker's had not ended by this time (UTC).
        """
        self._without_dates_from_ms = without_dates_from_ms
        self._identity = identity
        self._broker = broker
        self._queue = SendQueue(in_flight, in_flight * 4 + 64)
        self._on_up = on_up
        self._on_message = on_message
        self._topics = {kind: topic(broker.root, identity.site, identity.gateway, kind) for kind in Kind}
        self._kinds = {self._topics[kind]: kind for kind in TO_AGENT}
        self._awaiting: set[int] = set()
        self._up = threading.Event()
        self._over = threading.Event()
        self._failed: Problem | None = None
        self._lock = threading.Lock()
        self._on_taken = on_taken
        self._of_mid: dict[int, Outgoing] = {}
        self._aliases_allowed = 0
        self._aliases: dict[Kind, Properties] = {}
        self._topic_of_alias: dict[int, str] = {}
        """Aliases the broker uses."""
        self._due: deque[Callable[[], None]] = deque()
        self._refused = self._unheard = 0
        self._tls: TlsContext | None = None
        self._meter: AirMeter | None = None
        self._air = Air()
        """Of a connection that never came about."""
        self._wake_r, self._wake_w = socket.socketpair()
        self._wake_r.setblocking(False)
        self._wake_w.setblocking(False)

    @property
    def is_up(self) -> bool:
        """Connected, subscribed, not over."""
        return self._up.is_set() and not self._over.is_set()

    @property
    def refused(self) -> int:
        """Messages that the broker acknowledged with a failure code (MQTT 5)."""
        return self._refused

    @property
    def unheard(self) -> int:
        """Messages of which the broker said that nobody listens to them (MQTT 5)."""
        return self._unheard

    @property
    def air(self) -> Air:
        """What the connection has put on the air until now."""
        meter = self._meter
        return self._air if meter is None else meter.read()

    # --- for any thread ----------------------------------------------------------------------------------------------

    def publish(self, kind: Kind, payload: bytes, *, qos: int = 1, key: Key | None = None) -> bool:
        """Hands one message to the connection; False when it is not up or has more than enough to do."""
        if not (self.is_up and self._queue.offer(Outgoing(kind, payload, qos, key))):
            return False
        self._wake()
        return True

    def end(self) -> None:
        """Asks for a clean end: `offline` is said, then DISCONNECT; `run` returns soon after."""
        if self.is_up:
            self._say("offline")
        self._client.disconnect()
        self._wake()

    def abort(self) -> None:
        """Ends at once, without DISCONNECT: the broker will publish the last will."""
        self._over.set()
        self._wake()

    # --- the connection's own thread ---------------------------------------------------------------------------------

    def run(self) -> None:
        """Connects and serves until the connection is over. Raises LinkFailed if it never was up."""
        try:
            self._client = self._make_client()
            self._connect()
            self._serve()
        finally:
            self._over.set()
            self._close()
        if self._failed is not None:
            raise LinkFailed(self._failed)
        if not self._up.is_set():
            raise LinkFailed(self._away("the connection ended before the broker accepted it"))

    def _make_client(self) -> Client:
        broker = self._broker
        mqtt5 = broker.version != "3.1.1"
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._identity.client_id,
            clean_session=None if mqtt5 else True,
            protocol=MQTTProtocolVersion.MQTTv5 if mqtt5 else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.max_inflight_messages_set(0)  # `publish` keeps the window, with the broker's own limit
        client.max_queued_messages_set(0)
        client.will_set(self._topics[Kind.STATUS], self._identity.status("offline"), qos=1, retain=True)
        self._use_files(client)
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_message = self._message
        client.on_publish = self._acknowledged
        client.on_disconnect = self._disconnected
        client.on_log = self._logged
        client.on_socket_open = self._opened
        client.on_socket_close = self._closing
        client.on_socket_register_write = lambda *_: None  # so that publish() never writes from another thread
        return client

    def _use_files(self, client: Client) -> None:
        """Password and TLS files, read anew for each connection: renewed ones count without a restart."""
        broker = self._broker
        try:
            if broker.username:
                client.username_pw_set(broker.username, read_password(broker))
            if broker.tls is not None:
                self._tls = link_context(broker, broker.tls, without_dates_from_ms=self._without_dates_from_ms)
                client.tls_set_context(self._tls)
        except ProblemError as error:
            raise LinkFailed(error.problems[0]) from None

    def _connect(self) -> None:
        broker = self._broker
        properties = None
        options: dict[str, Any] = {}
        if broker.version != "3.1.1":
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's own is untyped
            properties.SessionExpiryInterval = 0
            properties.MaximumPacketSize = MAX_UNPACKED + 4096
            properties.TopicAliasMaximum = ALIASES_HEARD
            options = {"clean_start": True, "properties": properties}
        try:
            self._client.connect(broker.host, broker.port, keepalive=broker.keepalive_s, **options)
        except ssl.SSLError as error:
            self._count_failed()
            raise LinkFailed(handshake_problem(broker, error)) from None
        except (OSError, ValueError) as error:
            self._count_failed(timed_out=isinstance(error, TimeoutError))
            raise LinkFailed(self._away(str(error))) from None

    def _count_failed(self, *, timed_out: bool = False) -> None:
        """Counts a connection that paho gave up before it told of it, and closes it."""
        connection = self._tls.connection if self._tls is not None else None
        if connection is None or connection.fileno() < 0:
            self._air = refused_connect(timed_out=timed_out)
            return
        meter = AirMeter(connection, tls=True)
        meter.close()
        self._air = meter.read()
        connection.close()

    def _serve(self) -> None:
        give_up = time.monotonic() + CONNECT_TIMEOUT_S
        while not self._over.is_set():
            connection = self._client.socket()
            if connection is None:
                return
            if not self._up.is_set() and time.monotonic() > give_up:
                self._failed = self._away("it accepts the connection and then says nothing")
                return
            try:
                self._turn(connection)
            except _WIRE_FAULTS as error:
                if not self._up.is_set():
                    self._failed = self._away(f"it does not speak MQTT ({error})")
                return
            while self._due:  # outside of the `try`: what the receivers raise is a defect, no wire fault
                self._due.popleft()()

    def _turn(self, connection: Any) -> None:
        waiting = isinstance(connection, ssl.SSLSocket) and connection.pending() > 0
        writers = [connection] if self._client.want_write() or (self._up.is_set() and self._queue.has_next()) else []
        readable, writable, _ = select.select([connection, self._wake_r], writers, [], 0 if waiting else 1.0)
        if self._wake_r in readable:
            self._wake_r.recv(4096)
        if waiting or connection in readable:
            self._client.loop_read()
        if writable:
            if not self._client.want_write():
                self._feed()
            self._client.loop_write()
        self._client.loop_misc()

    def _close(self) -> None:
        client = getattr(self, "_client", None)
        connection = client.socket() if client is not None else None
        if connection is not None:
            if self._meter is not None:
                self._meter.close()
            connection.close()
        with self._lock:
            self._wake_r.close()
            self._wake_w.close()

    def _wake(self) -> None:
        with self._lock:
            if self._wake_w.fileno() >= 0:
                with suppress(BlockingIOError):  # full: it is awake already
                    self._wake_w.send(b"w")

    def _feed(self) -> None:
        """Hands over what the socket is likely to take at once; at least one message."""
        handed = 0
        while handed < FEED_BYTES and (out := self._queue.take()) is not None:
            self._send(out)
            handed += len(out.payload)

    def _send(self, out: Outgoing) -> None:
        self._publish(out, *self._named(out.kind))

    def _publish(self, out: Outgoing, text: str, properties: Properties | None = None) -> None:
        sent = self._client.publish(text, out.payload, qos=out.qos, retain=out.kind in RETAINED, properties=properties)
        if out.qos:
            self._of_mid[sent.mid] = out

    def _named(self, kind: Kind) -> tuple[str, Properties | None]:
        """The topic as it goes out: its text, its text with a new alias, or the alias alone."""
        known = self._aliases.get(kind)
        if known is not None:
            return "", known
        number = ALIASES.get(kind, 0)
        if not 0 < number <= self._aliases_allowed:
            return self._topics[kind], None
        alias = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho's own is untyped
        alias.TopicAlias = number
        self._aliases[kind] = alias
        return self._topics[kind], alias

    def _say(self, state: str) -> None:
        """The status, past the queue."""
        self._queue.count()
        self._publish(Outgoing(Kind.STATUS, self._identity.status(state)), self._topics[Kind.STATUS])
        self._wake()

    # --- paho's callbacks, on the connection's thread ----------------------------------------------------------------

    def _opened(self, _client: Client, _userdata: Any, connection: Any) -> None:
        self._meter = AirMeter(connection, tls=self._tls is not None)
        unanswered_ms = min(UNANSWERED_S, self._broker.keepalive_s) * 1000
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, unanswered_ms)

    def _closing(self, _client: Client, _userdata: Any, _connection: Any) -> None:
        if self._meter is not None:
            self._meter.close()

    def _logged(self, _client: Client, _userdata: Any, _level: int, text: str) -> None:
        if text == "Sending PINGREQ" and self._meter is not None:
            self._meter.ping()
        elif "failed to receive on socket" in text and not self._up.is_set():  # with TLS 1.3 a refusal comes after the handshake
            self._failed = alert_problem(self._broker, text)

    def _connected(
        self, client: Client, _userdata: Any, _flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self._failed = self._refusal(str(reason))
            return
        theirs = getattr(properties, "ReceiveMaximum", None)
        if isinstance(theirs, int):
            self._queue.allow(theirs)  # paho does not heed it by itself
        self._aliases_allowed = getattr(properties, "TopicAliasMaximum", 0)
        self._say("online")
        _, mid = client.subscribe([(text, int(kind is Kind.CMD)) for text, kind in self._kinds.items()])
        if mid is not None:
            self._awaiting.add(mid)

    def _subscribed(self, _client: Client, _userdata: object, mid: int, reasons: list[ReasonCode], _properties: object) -> None:
        if mid not in self._awaiting:
            return
        if any(reason.is_failure for reason in reasons):
            where = f"{self._broker.host}:{self._broker.port}"
            self._failed = Problem(
                "NET305",
                where,
                "The broker refuses the agent's subscriptions; without them no receipt arrives.",
                f"let this user read {', '.join(self._kinds)} in the broker's access list",
            )
            self._over.set()
            return
        if self._meter is not None:
            self._meter.opened()
        self._up.set()
        self._due.append(self._on_up)

    def _message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        text, alias = message.topic, getattr(message.properties, "TopicAlias", None)
        if alias is not None:
            text = text or self._topic_of_alias.get(alias, "")
            self._topic_of_alias[alias] = text
        kind = self._kinds.get(text)
        if kind is not None:
            self._due.append(partial(self._on_message, kind, bytes(message.payload)))

    def _acknowledged(self, _client: Client, _userdata: object, mid: int, reason: ReasonCode, _properties: object) -> None:
        out = self._of_mid.pop(mid, None)
        if out is None:
            return  # of QoS 0: paho tells that it is written
        self._queue.done(out)
        self._refused += reason.is_failure
        self._unheard += reason.value == NOBODY_LISTENS
        if out.kind is Kind.DATA and out.key is not None and not reason.is_failure and self._on_taken:
            self._due.append(partial(self._on_taken, out.key))

    def _disconnected(self, _client: Client, _userdata: object, _flags: object, _reason: ReasonCode, _properties: object) -> None:
        self._over.set()

    # --- problems ----------------------------------------------------------------------------------------------------

    def _away(self, why: str) -> Problem:
        broker = self._broker
        return Problem(
            "NET302",
            f"{broker.host}:{broker.port}",
            f"The broker cannot be reached: {why}.",
            f"check the gateway's network and the address; `nc -vz {broker.host} {broker.port}` must succeed",
        )

    def _refusal(self, reason: str) -> Problem:
        broker = self._broker
        hint = ' or the version: an MQTT 3.1.1 broker needs version: "3.1.1"' if broker.version == "5" else ""
        return Problem(
            "NET303",
            f"{broker.host}:{broker.port}",
            f"The broker refuses the connection: {reason}.",
            f"check username and password_file in the site file{hint}",
        )
