"""Does I/O: a small Modbus instrument in a thread, on a pty or a TCP port, with faults that can be switched."""

from __future__ import annotations

import os
import select
import socket
import threading
import tty
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from edge_agent.common.clock import SystemClock
from examples.station_sim.modbus import RtuRequests, TcpRequests, answer, rtu_frame, tcp_frame

CLOCK = SystemClock()


@dataclass
class Behaviour:
    """What the instrument holds and how it behaves. Units not listed do not answer."""

    units: dict[int, dict[int, int]] = field(default_factory=dict)
    """unit -> holding register -> word."""
    texts: dict[int, dict[int, str]] = field(default_factory=dict)
    """unit -> texts of device identification (43/14)."""
    silent: set[int] = field(default_factory=set)
    locked: set[int] = field(default_factory=set)
    """Addresses that refuse to be written, exception 2."""
    deaf: bool = False
    """Says yes to what is written, and keeps what it had."""
    busy: set[int] = field(default_factory=set)
    """Units that answer with exception 4."""
    echo: bool = False
    damage: bool = False
    close_after_each: bool = False
    hangs_up: bool = False
    """A gateway ends each connection at its first request."""
    refuse_once: bool = False
    """The next request is answered by exception 2."""
    cut_once: bool = False
    """The next reply over TCP breaks off in the middle and the connection ends."""
    asked: list[tuple[int, bytes]] = field(default_factory=list)
    connections: int = 0

    def reply(self, unit: int, pdu: bytes) -> bytes | None:
        """The reply PDU; None: no answer."""
        self.asked.append((unit, pdu))
        registers = self.units.get(unit)
        if registers is None or unit in self.silent:
            return None
        if self.refuse_once:
            self.refuse_once = False
            return bytes((pdu[0] | 0x80, 2))
        if unit in self.busy:
            return bytes((pdu[0] | 0x80, 4))

        if pdu[0] == 43 and unit in self.texts:
            objects = b"".join(bytes((number, len(text))) + text.encode() for number, text in self.texts[unit].items())
            return pdu[:3] + bytes((0x81, 0, 0, len(self.texts[unit]))) + objects
        if pdu[0] in (5, 6, 15, 16, 22):
            return self._write(registers, pdu)

        def read(function: int, address: int, count: int) -> list[int] | int:
            words = [registers.get(at) for at in range(address, address + count)]
            return 2 if function != 3 or None in words else [word for word in words if word is not None]

        return answer(pdu, read)

    def _write(self, registers: dict[int, int], pdu: bytes) -> bytes:
        """Coils are the registers of their address: 0 or 1."""
        function, address, word = pdu[0], int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big")
        match function:
            case 5:
                words = {address: int(word == 0xFF00)}
            case 6:
                words = {address: word}
            case 22:
                other = int.from_bytes(pdu[5:7], "big")
                words = {address: registers.get(address, 0) & word | other & ~word & 0xFFFF}
            case 15:
                words = {address + i: pdu[6 + i // 8] >> i % 8 & 1 for i in range(word)}
            case _:
                words = {address + i: int.from_bytes(pdu[6 + 2 * i : 8 + 2 * i], "big") for i in range(word)}
        if self.locked & words.keys() or not words.keys() <= registers.keys():
            return bytes((function | 0x80, 2))
        if not self.deaf:
            registers.update(words)
        return pdu if function == 22 else pdu[:5]


class _Server:
    """A thread that serves until it is left."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Any:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._close()

    def _serve(self) -> None:
        raise NotImplementedError

    def _close(self) -> None:
        raise NotImplementedError

    def _answer_rtu(self, requests: RtuRequests, chunk: bytes, write: Callable[[bytes], object]) -> None:
        if self.behaviour.echo:
            write(chunk)
        for unit, pdu, _ in requests.feed(chunk):
            reply = self.behaviour.reply(unit, pdu)
            if reply is not None:
                frame = bytearray(rtu_frame(unit, reply))
                frame[-1] ^= self.behaviour.damage
                write(bytes(frame))


class PtyInstrument(_Server):
    """Instruments on the far end of a pty; `path` is the port to open."""

    def __init__(self, behaviour: Behaviour) -> None:
        super().__init__(behaviour)
        self._near, self._far = os.openpty()
        tty.setraw(self._near)
        tty.setraw(self._far)
        self.path = os.ttyname(self._far)

    def _serve(self) -> None:
        requests = RtuRequests()
        while not self._stop.is_set():
            if select.select([self._near], [], [], 0.05)[0]:
                self._answer_rtu(requests, os.read(self._near, 4096), lambda frame: os.write(self._near, frame))

    def _close(self) -> None:
        os.close(self._near)
        os.close(self._far)


class TcpInstrument(_Server):
    """Instruments behind a TCP port, one connection at a time as cheap gateways do."""

    def __init__(self, behaviour: Behaviour, port: int = 0, framing: str = "tcp") -> None:
        super().__init__(behaviour)
        self.framing = framing
        self._listener = socket.create_server(("127.0.0.1", port))
        self._listener.settimeout(0.05)
        self.port = int(self._listener.getsockname()[1])

    def _serve(self) -> None:
        while not self._stop.is_set():
            try:
                guest, _ = self._listener.accept()
            except TimeoutError:
                continue
            with guest:
                self.behaviour.connections += 1
                with suppress(ConnectionError):  # a guest that had to wait may be gone before its answer
                    self._attend(guest)

    def _attend(self, guest: socket.socket) -> None:
        rtu, tcp = RtuRequests(), TcpRequests()
        while not self._stop.is_set():
            if not select.select([guest], [], [], 0.05)[0]:
                continue
            try:
                chunk = guest.recv(4096)
            except ConnectionError:
                return
            if not chunk:
                return
            if self.framing == "rtu-over-tcp":
                self._answer_rtu(rtu, chunk, guest.sendall)
                continue
            try:
                asked = tcp.feed(chunk)
            except ValueError:  # as real ones do with what is no Modbus TCP
                return
            for transaction, unit, pdu in asked:
                reply = self.behaviour.reply(unit, pdu)
                if reply is not None and self.behaviour.cut_once:
                    self.behaviour.cut_once = False
                    guest.sendall(tcp_frame(transaction, unit, reply)[:8])
                    return
                if reply is not None:
                    guest.sendall(tcp_frame(transaction, unit, reply))
            if self.behaviour.close_after_each:
                return

    def _close(self) -> None:
        self._listener.close()
