"""Does I/O: the embedded broker, a program of its own: `python -m collector.io.embedded_broker`, started by `broker_process`.

Settings come as one line of JSON on standard input, so that no secret stands on a command line. It prints `ready PORT` when it
listens, or `failed REASON`; later `refused JSON` (broker_refusals.py). It ends when standard input ends, and so never outlives its
parent. amqtt 0.12.1 speaks MQTT 3.1.1, keeps everything in memory, and neither queues nor redelivers; receipts make that good
(DESIGN.md section 3).

What `CarefulBroker` mends of amqtt 0.12.1 is said at each method.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from asyncio import StreamReader, StreamWriter
from contextlib import suppress
from typing import Any, NoReturn

import msgspec
from amqtt.adapters import ReaderAdapter, StreamReaderAdapter, StreamWriterAdapter, WriterAdapter
from amqtt.broker import Broker
from amqtt.contexts import Action
from amqtt.errors import BrokerError, MQTTError
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.session import Session

from collector.io.broker_plugin import permits, who_of
from collector.io.broker_refusals import EVERY_S, RefusalCounts, line_of
from edge_agent.contract.encoding import MAX_UNPACKED

MAX_PACKET = MAX_UNPACKED + 4096
"""Bytes. The largest message of the contract, its topic and header."""
CONNECT_TIMEOUT_S = 10.0
_UNACCEPTABLE = b"\x20\x02\x00\x01"
"""CONNACK, return code 1 (MQTT 3.1.1, 3.2.2.3): unacceptable protocol version."""
_PLUGIN = "collector.io.broker_plugin.RightsPlugin"
EXIT_ADDRESS = 3
"""Exit code: the address is taken or not ours."""


class BrokerSettings(msgspec.Struct, frozen=True):
    """What the parent tells the child. port 0: any free one."""

    host: str
    port: int
    root: str
    users_file: str = ""
    collector_secret: str = ""
    certificate: str = ""
    key: str = ""


class PacketTooLarge(ConnectionError):
    """A packet says that it is larger than any message of the contract; the connection is closed."""


class OtherProtocol(ConnectionError):
    """A CONNECT of another version than MQTT 3.1.1."""


class BoundedReader(StreamReaderAdapter):  # type: ignore[misc]  # amqtt ships no types
    """Refuses to read more than MAX_PACKET at once: amqtt believes any length up to 256 MiB.

    It also looks at the protocol level, one byte behind the name: amqtt would read the properties of an MQTT 5 CONNECT as a client
    id of some thousand bytes and wait for them, so that the client never hears that it should speak 3.1.1.
    """

    def __init__(self, reader: StreamReader) -> None:
        super().__init__(reader)
        self._before = b""
        self._level_seen = False

    async def read(self, n: int = -1) -> bytes:
        """`n` bytes. Raises PacketTooLarge, OtherProtocol."""
        if n > MAX_PACKET:
            raise PacketTooLarge(f"{n} bytes")
        got = bytes(await super().read(n))
        if not self._level_seen:
            self._level_seen = self._before in (b"MQTT", b"MQIsdp")
            if self._level_seen and got != b"\x04":
                raise OtherProtocol(got.hex())
            self._before = got
        return got


class CarefulBroker(Broker):  # type: ignore[misc]  # amqtt ships no types
    """amqtt's broker with its rough edges held in."""

    def __init__(self, settings: BrokerSettings) -> None:
        listener: dict[str, Any] = {"type": "tcp", "bind": f"{settings.host}:{settings.port}", "max_connections": 2000}
        if settings.certificate:
            listener |= {"ssl": True, "certfile": settings.certificate, "keyfile": settings.key}
        plugin = {"root": settings.root, "users_file": settings.users_file, "collector_secret": settings.collector_secret}
        super().__init__({"listeners": {"default": listener}, "plugins": {_PLUGIN: plugin}})
        self._root = settings.root
        self._refusals = RefusalCounts()
        self._telling: asyncio.TimerHandle | None = None

    @property
    def port(self) -> int:
        """The port listened on."""
        return int(self._servers["default"].instance.sockets[0].getsockname()[1])

    async def stream_connected(self, reader: StreamReader, writer: StreamWriter, listener_name: str) -> None:
        """Bounds packets, and lets the kernel notice a dead peer: amqtt never enforces keep-alive."""
        peer: socket.socket = writer.get_extra_info("socket")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3)):
            peer.setsockopt(socket.IPPROTO_TCP, option, value)
        await self._client_connected(listener_name, BoundedReader(reader), StreamWriterAdapter(writer))

    async def _initialize_client_session(
        self, reader: ReaderAdapter, writer: WriterAdapter, remote_address: str, remote_port: int
    ) -> tuple[BrokerProtocolHandler, Session]:
        """A connection that says nothing is closed, one of another version is told so; amqtt waits for ever."""
        try:
            return await asyncio.wait_for(
                super()._initialize_client_session(reader, writer, remote_address, remote_port), CONNECT_TIMEOUT_S
            )
        except OtherProtocol:
            writer.write(_UNACCEPTABLE)
            await _close(writer)
            raise MQTTError("not MQTT 3.1.1") from None
        except (TimeoutError, OSError) as error:
            await _close(writer)
            raise MQTTError(f"no CONNECT: {error}") from None

    async def _topic_filtering(self, session: Session, topic: str, action: Action) -> bool:
        """Asks the rights table without suspending: amqtt iterates over its subscriptions meanwhile."""
        return permits(self._root, session, topic, action)

    async def _handle_message_delivery(
        self, client_session: Session, handler: BrokerProtocolHandler, wait_deliver: asyncio.Future[Any]
    ) -> bool:
        """Tells the parent of a message that its sender may not publish; amqtt drops it without a word."""
        message = wait_deliver.result()
        if message is not None and not permits(self._root, client_session, message.topic or "", Action.PUBLISH):
            who = who_of(client_session)
            name = client_session.username if who is not None and who.kind != "local" else "local"
            self._refusals.note(name or "", message.topic or "", bytes(message.data or b""))
            if self._telling is None:
                self._tell_refusals()
        return bool(await super()._handle_message_delivery(client_session, handler, wait_deliver))

    def _tell_refusals(self) -> None:
        """Never waits for the parent: what does not go into the pipe now is told with the next."""
        loop = asyncio.get_running_loop()
        self._telling = None
        with suppress(BlockingIOError, BrokenPipeError):
            for refused in self._refusals.due(loop.time()):
                os.write(sys.stdout.fileno(), line_of(refused))
                self._refusals.told(refused, loop.time())
        if not self._refusals.is_empty:
            self._telling = loop.call_later(EVERY_S, self._tell_refusals)

    async def _publish_retained_messages_for_subscription(self, subscription: tuple[str, int], session: Session) -> None:
        """Hands out retained messages by rights; none at connect, where amqtt offers those of everybody's subscriptions."""
        topic_filter, qos = subscription
        if not any(one.client_id == session.client_id for one, _ in self._subscriptions.get(topic_filter, ())):
            return
        handler = self._get_handler(session)
        for topic, retained in list(self._retained_messages.items()):
            if handler and self._matches(topic, topic_filter) and permits(self._root, session, topic, Action.RECEIVE):
                send = handler.mqtt_publish(topic, retained.data, min(qos, retained.qos or 0), retain=True)
                self._tasks_queue.append(asyncio.ensure_future(send))


async def _close(writer: WriterAdapter) -> None:
    with suppress(OSError):  # the peer has gone already
        await writer.close()


async def serve(settings: BrokerSettings) -> int:
    """Runs the broker until standard input ends. Returns the exit code."""
    broker = CarefulBroker(settings)
    broker.logger.addFilter(_is_no_failed_start)
    try:
        await broker.start()
    except BrokerError as error:
        reason = " ".join(str(error.__cause__ or error).split())
        print(f"failed {reason}", flush=True)  # noqa: T201 - the parent tells it, once
        return EXIT_ADDRESS
    with suppress(BrokenPipeError):  # the parent has been killed meanwhile; its end of standard input says so too
        print(f"ready {broker.port}", flush=True)  # noqa: T201 - the parent waits for this line
        os.set_blocking(sys.stdout.fileno(), False)  # from now on it may be slow
    await _parent_gone()
    return 0


def _is_no_failed_start(record: logging.LogRecord) -> bool:
    """amqtt logs a start that failed with its traceback, and raises it too."""
    return record.msg != "Broker startup failed"


async def _parent_gone() -> None:
    parent = StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(parent), sys.stdin)
    await parent.read()


def main() -> NoReturn:
    """The program. Signals to the whole group are the parent's business: it ends this child last.

    There is no orderly shutdown: nothing here outlives the process, and amqtt's own can wait for ever for a session that is just
    coming or going, while the address stays taken for the collector that starts next.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    logging.basicConfig(level=logging.ERROR, format="broker: %(message)s")
    logging.getLogger("amqtt.plugins").setLevel(logging.WARNING)
    settings = msgspec.json.decode(sys.stdin.readline(), type=BrokerSettings)
    code = asyncio.new_event_loop().run_until_complete(serve(settings))
    logging.shutdown()
    os._exit(code)


if __name__ == "__main__":
    main()
