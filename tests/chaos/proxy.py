"""Does I/O: TCP proxies before a broker, on one thread with an event loop, whose faults chaos switches on and off.

    cut      every connection breaks now, some in the middle of a packet
    strand   half-open: the broker's side is closed, the client's stays open and hears nothing more
    freeze   nothing goes either way, connections stay; what came is delivered when it is over
    delay    every packet of one direction comes so much later
    twice, swapped   share of PUBLISH packets towards the broker or towards the client that come twice, or behind the next one

Packets are known by their fixed headers. A packet that waits for the next one to pass it goes by itself after SWAP_S.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.chaos.packets import CONNECT, PUBLISH, Packets, kind_of, protocol_level, published
from tests.support.ports import free_port

SWAP_S = 0.3
TO_BROKER, TO_CLIENT = 0, 1
Heard = Callable[[str, bytes], None]
"""Topic and payload of a PUBLISH that is about to go to the client."""


class Network:
    """The thread on which every proxy runs."""

    def __init__(self) -> None:
        self.servers: list[asyncio.Server] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network", daemon=True)

    def __enter__(self) -> Network:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Runs it there and waits for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def soon(self, call: Callable[[], None]) -> None:
        """Runs it there."""
        self._loop.call_soon_threadsafe(call)

    async def _end(self) -> None:
        for server in self.servers:
            server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


@dataclass
class Faults:
    """In force now; by direction where there are two values."""

    frozen: bool = False
    delay_s: list[float] = field(default_factory=lambda: [0.0, 0.0])
    twice: list[float] = field(default_factory=lambda: [0.0, 0.0])
    swapped: list[float] = field(default_factory=lambda: [0.0, 0.0])


@dataclass
class Done:
    """How often each fault took hold."""

    cuts: int = 0
    stranded: int = 0
    twice: int = 0
    swapped: int = 0


class Proxy:
    """Listens on a free port and carries connections to `target`."""

    def __init__(self, network: Network, target: int, chance: Random, heard: Heard | None = None) -> None:
        self.port, self.target = free_port(), target
        self.faults, self.done = Faults(), Done()
        self.chance = chance
        self.heard = heard
        self.thawed = asyncio.Event()
        self.thawed.set()
        self._network = network
        self._connections: set[_Connection] = set()

    def start(self) -> None:
        """Begins to listen."""
        self._network.servers.append(self._network.do(asyncio.start_server(self._accept, "127.0.0.1", self.port)))

    def cut(self) -> None:
        """Breaks every connection."""
        self._network.soon(lambda: [self._break(c) for c in list(self._connections)])  # type: ignore[func-returns-value,arg-type]

    def strand(self) -> None:
        """Every connection becomes half-open for good."""
        self._network.soon(lambda: [self._strand(c) for c in list(self._connections)])  # type: ignore[func-returns-value,arg-type]

    def freeze(self, *, on: bool) -> None:
        """Holds everything, or lets it go."""
        self.faults.frozen = on
        self._network.soon(self.thawed.clear if on else self.thawed.set)

    def heal(self) -> None:
        """No fault from now on; what is half-open breaks."""
        fresh = Faults()
        self.faults.delay_s, self.faults.twice, self.faults.swapped = fresh.delay_s, fresh.twice, fresh.swapped
        self.freeze(on=False)
        self._network.soon(lambda: [c.abort() for c in list(self._connections) if c.is_stranded])  # type: ignore[func-returns-value,arg-type]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(self, reader, writer)
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)

    def _break(self, connection: _Connection) -> None:
        self.done.cuts += 1
        if self.chance.random() < 0.5:
            connection.break_inside = True
        else:
            connection.abort()

    def _strand(self, connection: _Connection) -> None:
        self.done.stranded += 1
        connection.strand()


class _Connection:
    """One client's connection and ours to the broker."""

    def __init__(self, proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._client = (reader, writer)
        self._broker: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._level = 4
        self.break_inside = False
        self.is_stranded = False

    async def run(self) -> None:
        try:
            self._broker = await asyncio.open_connection("127.0.0.1", self._proxy.target)
        except OSError:
            self.abort()
            return
        ways = (self._carry(TO_BROKER, self._client[0], self._broker[1]), self._carry(TO_CLIENT, self._broker[0], self._client[1]))
        tasks = [asyncio.ensure_future(way) for way in ways]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            while self.is_stranded and not tasks[TO_BROKER].done():  # the client's side stays; what it says is swallowed
                await asyncio.sleep(0.1)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.abort()

    def abort(self) -> None:
        """RST to both sides."""
        self.is_stranded = False
        for _, writer in filter(None, (self._client, self._broker)):
            _reset(writer)

    def strand(self) -> None:
        """Leaves the client alone with an open connection."""
        if self._broker is not None:
            self.is_stranded = True
            _reset(self._broker[1])

    async def _carry(self, way: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        queue: asyncio.Queue[tuple[float, bytes] | None] = asyncio.Queue()
        sender = asyncio.ensure_future(self._send(way, queue, writer))
        loop = asyncio.get_running_loop()
        packets = Packets()
        try:
            while chunk := await reader.read(65536):
                for packet in packets.feed(chunk):
                    if kind_of(packet) == CONNECT and way == TO_BROKER:
                        self._level = protocol_level(packet)
                    queue.put_nowait((loop.time() + self._proxy.faults.delay_s[way], packet))
            queue.put_nowait(None)
            await sender
        except OSError:
            pass
        finally:
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)

    async def _send(self, way: int, queue: asyncio.Queue[tuple[float, bytes] | None], writer: asyncio.StreamWriter) -> None:
        loop, faults, chance = asyncio.get_running_loop(), self._proxy.faults, self._proxy.chance
        held: bytes | None = None
        while True:
            try:
                entry = await asyncio.wait_for(queue.get(), SWAP_S if held is not None else None)
            except TimeoutError:
                entry = (0.0, held or b"")
                held = None
            else:
                if entry is None:
                    return
                is_publish = kind_of(entry[1]) == PUBLISH
                is_free = way == TO_CLIENT or self._level < 5  # a topic alias must stand before its use
                if is_publish and is_free and held is None and chance.random() < faults.swapped[way]:
                    self._proxy.done.swapped += 1
                    held = entry[1]
                    continue
            at_s, packet = entry
            await asyncio.sleep(max(0.0, at_s - loop.time()))
            await self._proxy.thawed.wait()
            out = [packet]
            if kind_of(packet) == PUBLISH and chance.random() < faults.twice[way]:
                self._proxy.done.twice += 1
                out.append(packet)
            if kind_of(packet) == PUBLISH and held is not None:
                out.append(held)
                held = None
            for one in out:
                if self.break_inside:
                    writer.write(one[: len(one) // 2])
                    await writer.drain()
                    self.abort()
                    return
                self._tell(way, one)
                writer.write(one)
                await writer.drain()

    def _tell(self, way: int, packet: bytes) -> None:
        if way == TO_CLIENT and self._proxy.heard is not None and kind_of(packet) == PUBLISH:
            self._proxy.heard(*published(packet, self._level))


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
