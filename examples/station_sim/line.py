"""Does I/O: a Modbus RTU line with wire time, reached by a pty and by RFC 2217.

A pty strips parity and speed; RFC 2217 carries speed, parity, stop bits and break, so a master that speaks with the wrong
settings gets no answer there, as on a real line. Bytes need their time: request, 3.5 characters, turn-around, reply.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tty
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serial import rfc2217

from examples.station_sim.instruments import Instrument
from examples.station_sim.modbus import RtuRequests, answer, rtu_frame


@dataclass
class LineSettings:
    """How the instruments on the line are set."""

    baudrate: int = 9600
    parity: str = "N"
    stopbits: int = 1

    @property
    def character_s(self) -> float:
        """Time of one character on the wire."""
        return (1 + 8 + (self.parity != "N") + self.stopbits) / self.baudrate


class Line:
    """The instruments of one line. Masters feed bytes; replies go back to the master that asked."""

    def __init__(self, settings: LineSettings, instruments: Sequence[Instrument], now_ms: Callable[[], int]) -> None:
        self.settings = settings
        self.instruments = {i.unit: i for i in instruments}
        self._now_ms = now_ms
        self._busy = asyncio.Lock()
        self.garbled = 0
        """Requests that no instrument could read: wrong speed or parity."""

    async def serve(self, unit: int, pdu: bytes, length: int, write: Callable[[bytes], None]) -> None:
        """Carries out one request that has just come over the wire."""
        instrument = self.instruments.get(unit)
        async with self._busy:
            character_s = self.settings.character_s
            silence_s = 3.5 * character_s if self.settings.baudrate <= 19200 else 0.00175
            await asyncio.sleep(length * character_s + silence_s)
            if instrument is None or instrument.silent:
                return
            await asyncio.sleep(instrument.turnaround_s)
            frame = rtu_frame(unit, answer(pdu, lambda f, a, c: instrument.read(f, a, c, self._now_ms())))
            for start in range(0, len(frame), 16):
                chunk = frame[start : start + 16]
                await asyncio.sleep(len(chunk) * character_s)
                write(chunk)


class PtyMaster:
    """The end of a pty that the line listens on; `path` is what a program opens as its serial port."""

    def __init__(self, line: Line, link: str) -> None:
        self._line = line
        self._near, self._far = os.openpty()
        tty.setraw(self._near)
        tty.setraw(self._far)
        os.set_blocking(self._near, False)
        self.path = link
        Path(link).unlink(missing_ok=True)
        Path(link).symlink_to(os.ttyname(self._far))
        self._requests = RtuRequests()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begins to listen on the running loop."""
        asyncio.get_running_loop().add_reader(self._near, self._readable)

    def close(self) -> None:
        """Takes the port away, as when an adapter is unplugged."""
        asyncio.get_running_loop().remove_reader(self._near)
        os.close(self._near)
        os.close(self._far)
        Path(self.path).unlink(missing_ok=True)

    def _readable(self) -> None:
        with contextlib.suppress(BlockingIOError, OSError):
            for unit, pdu, length in self._requests.feed(os.read(self._near, 4096)):
                task = asyncio.get_running_loop().create_task(self._line.serve(unit, pdu, length, self._write))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def _write(self, chunk: bytes) -> None:
        with contextlib.suppress(BlockingIOError, OSError):
            os.write(self._near, chunk)


@dataclass
class _Port:
    """What serial.rfc2217.PortManager sets and asks, in place of a real port."""

    baudrate: int = 9600
    bytesize: int = 8
    parity: str = "N"
    stopbits: float = 1
    xonxoff: bool = False
    rtscts: bool = False
    dsrdtr: bool = False
    dtr: bool = True
    rts: bool = True
    cts: bool = True
    dsr: bool = True
    ri: bool = False
    cd: bool = True
    break_condition: bool = False
    cleared: list[None] = field(default_factory=list)

    def reset_input_buffer(self) -> None:
        self.cleared.append(None)

    def reset_output_buffer(self) -> None:
        pass


class _Connection:
    """What PortManager writes its telnet options to."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    def write(self, chunk: bytes) -> None:
        self._writer.write(chunk)


async def serve_rfc2217(line: Line, host: str, port: int, guests: set[asyncio.StreamWriter]) -> asyncio.Server:
    """Serves the line by RFC 2217, one master at a time as a terminal server does."""
    busy: set[asyncio.StreamWriter] = set()

    async def master(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if busy:
            writer.close()
            return
        busy.add(writer)
        guests.add(writer)
        settings = _Port(line.settings.baudrate)
        manager: Any = rfc2217.PortManager(settings, _Connection(writer))
        requests, tasks = RtuRequests(), set()

        def write(chunk: bytes) -> None:
            if not writer.is_closing():
                writer.write(b"".join(manager.escape(chunk)))

        try:
            while chunk := await reader.read(4096):
                plain = b"".join(manager.filter(chunk))
                if settings.cleared or settings.break_condition:
                    settings.cleared.clear()
                    requests.clear()
                heard = (settings.baudrate, settings.parity, settings.stopbits)
                if plain and heard != (line.settings.baudrate, line.settings.parity, line.settings.stopbits):
                    line.garbled += 1
                    continue
                for unit, pdu, length in requests.feed(plain):
                    task = asyncio.get_running_loop().create_task(line.serve(unit, pdu, length, write))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
        except ConnectionError:
            pass
        finally:
            busy.discard(writer)
            guests.discard(writer)
            writer.close()

    return await asyncio.start_server(master, host, port)
