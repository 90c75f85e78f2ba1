"""Does I/O: a TCP connection to an instrument or gateway."""

from __future__ import annotations

import select
import socket

from edge_agent.model.points import Tcp
from edge_agent.protocols.session import LinkDown

_READ_BYTES = 4096
_SEND_TIMEOUT_S = 5.0
_FLUSH_READS = 64


class TcpLink:
    """A client connection; made anew by `send` where the other side closed it in between."""

    def __init__(self, settings: Tcp) -> None:
        self.connections = 0
        self.place = ""
        self._settings = settings
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Connects. Raises LinkDown."""
        if self._socket is not None:
            return
        address = (self._settings.host, self._settings.port)
        try:
            made = socket.create_connection(address, self._settings.connect_timeout_ms / 1000)
        except OSError as error:
            raise LinkDown(f"{self._settings.host}:{self._settings.port}: {error.strerror or error}") from error
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        made.settimeout(_SEND_TIMEOUT_S)
        self._socket = made
        self.place = f"{self._settings.host}:{self._settings.port}"
        self.connections += 1

    def close(self) -> None:
        """Ends the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def send(self, payload: bytes) -> None:
        """Sends at once. Raises LinkDown."""
        if self._socket is not None and self._ended(self._socket):
            self.close()
        self.open()
        try:
            self._connected().sendall(payload)
        except OSError as error:
            raise self._gone(error.strerror or str(error)) from error

    def receive(self, timeout_ms: int) -> bytes:
        """What came within timeout_ms. Raises LinkDown."""
        made = self._connected()
        try:
            if not select.select([made], [], [], timeout_ms / 1000)[0]:
                return b""
            chunk = made.recv(_READ_BYTES)
        except OSError as error:
            raise self._gone(error.strerror or str(error)) from error
        if not chunk:
            raise self._gone("closed by the other side")
        return chunk

    def flush(self) -> bytes:
        """Takes away what came; what the other side's end of the connection means is left to `send`."""
        made, taken = self._connected(), b""
        try:
            for _ in range(_FLUSH_READS):
                if not select.select([made], [], [], 0)[0] or not (chunk := made.recv(_READ_BYTES)):
                    break
                taken += chunk
        except OSError as error:
            raise self._gone(error.strerror or str(error)) from error
        return taken

    def wire_ms(self, count: int) -> int:
        """Not worth counting."""
        return count // 1000

    def _connected(self) -> socket.socket:
        if self._socket is None:
            raise LinkDown("not connected")
        return self._socket

    def _gone(self, why: str) -> LinkDown:
        self.close()
        return LinkDown(f"{self._settings.host}:{self._settings.port}: {why}")

    def _ended(self, made: socket.socket) -> bool:
        """True if the other side closed the connection: its end is the next thing to read."""
        try:
            return bool(select.select([made], [], [], 0)[0]) and not made.recv(1, socket.MSG_PEEK)
        except OSError:
            return True
