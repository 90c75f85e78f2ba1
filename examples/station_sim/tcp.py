"""Does I/O: an instrument on Modbus TCP, and a relay that stands for the link to the broker and can be cut."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from examples.station_sim.instruments import Instrument
from examples.station_sim.modbus import TcpRequests, answer, tcp_frame

Guests = set[asyncio.StreamWriter]
"""Connections that are open, so that a station that stops can close them."""


async def serve_modbus_tcp(
    instrument: Instrument, host: str, port: int, now_ms: Callable[[], int], guests: Guests
) -> asyncio.Server:
    """Serves one instrument on Modbus TCP."""

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        guests.add(writer)
        requests = TcpRequests()
        try:
            while chunk := await reader.read(4096):
                for transaction, unit, pdu in requests.feed(chunk):
                    if instrument.silent or unit not in (instrument.unit, 0, 255):
                        continue
                    await asyncio.sleep(instrument.turnaround_s)
                    pdu_out = answer(pdu, lambda f, a, c: instrument.read(f, a, c, now_ms()))
                    writer.write(tcp_frame(transaction, unit, pdu_out))
                    await writer.drain()
        except (ConnectionError, ValueError):
            pass
        finally:
            guests.discard(writer)
            writer.close()

    return await asyncio.start_server(client, host, port)


class Relay:
    """Forwards TCP connections to a target; `cut` ends them all and refuses new ones until `restore`."""

    def __init__(self, target: tuple[str, int], host: str = "127.0.0.1") -> None:
        self._target = target
        self._host = host
        self.port = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Listens on `port` (a free one the first time)."""
        self._server = await asyncio.start_server(self._connected, self._host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """The link is gone."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            writer.transport.abort()

    async def restore(self) -> None:
        """The link is back, at the same port."""
        if self._server is None:
            await self.start()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, far_writer}
        try:
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        finally:
            for end in (writer, far_writer):
                self._writers.discard(end)
                end.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    with contextlib.suppress(OSError, RuntimeError):
        writer.write_eof()
