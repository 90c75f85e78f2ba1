"""Does I/O: a TCP connection to an instrument or gateway."""

from __future__ import annotations

import errno
import select
import socket
import time

from edge_agent.model.points import Tcp
from edge_agent.protocols.session import LinkDown

_READ_BYTES = 4096
_SEND_TIMEOUT_S = 5.0
_FLUSH_READS = 64
CLOSES = "closes after each request"
"""The note on a gateway that ends the connection behind every answer."""
_CLOSES_AT_ONCE_S = 3.0
"""One that ends it later only tires of waiting."""
_TIMES_TO_BELIEVE = 3
_DOUBT_S = 0.1
"""So long the end of a connection is waited for that may be about to come."""
_FREEING_S = 1.0
"""A gateway with room for one connection may refuse the next one so long after the last one's end."""
_FREEING_PAUSES_S = (0.02, 0.05, 0.1)


class TcpLink:
    """A client connection; made anew by `send` where the other side closed it in between.

    A gateway that closes behind each answer is known after three of them, and then gets every request on a connection of its own:
    no request is lost to an end that is on its way. After the first of the three that end is waited for a moment.
    """

    def __init__(self, settings: Tcp) -> None:
        self.connections = 0
        self.place = ""
        self.note = ""
        self._settings = settings
        self._socket: socket.socket | None = None
        self._asked = self._answered = 0
        """Requests and answers on this connection."""
        self._heard_s = 0.0
        self._ended_s = -_FREEING_S
        self._closed_early = 0
        """Connections in a row that ended right behind their first answer."""

    def open(self) -> None:
        """Connects. Raises LinkDown."""
        if self._socket is not None:
            return
        try:
            made = self._connect()
        except OSError as error:
            self.note, self._closed_early = "", 0
            raise LinkDown(f"{self._settings.host}:{self._settings.port}: {error.strerror or error}") from error
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        made.settimeout(_SEND_TIMEOUT_S)
        self._socket = made
        self.place = f"{self._settings.host}:{self._settings.port}"
        self.connections += 1
        self._asked = self._answered = 0

    def close(self) -> None:
        """Ends the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            self._ended_s = time.monotonic()

    def send(self, payload: bytes) -> None:
        """Sends at once. Raises LinkDown."""
        if self._socket is not None and (self._is_spent() or self._ended(self._socket, self._doubt_s())):
            self.close()
        self.open()
        try:
            self._asked += 1
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
        self._heard()
        return chunk

    def flush(self) -> bytes:
        """Takes away what came; what the other side's end of the connection means is left to `send`."""
        made, taken = self._connected(), b""
        try:
            for _ in range(_FLUSH_READS):
                if not select.select([made], [], [], 0)[0] or not (chunk := made.recv(_READ_BYTES)):
                    break
                taken += chunk
                self._heard()
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

    def _connect(self) -> socket.socket:
        """Raises OSError; of a gateway that is still busy with the end of the last connection only after a while."""
        address, timeout_s = (self._settings.host, self._settings.port), self._settings.connect_timeout_ms / 1000
        for pause_s in _FREEING_PAUSES_S if time.monotonic() - self._ended_s < _FREEING_S else ():
            try:
                return socket.create_connection(address, timeout_s)
            except OSError as error:
                if error.errno not in (errno.ECONNREFUSED, errno.ECONNRESET):
                    raise
                time.sleep(pause_s)
        return socket.create_connection(address, timeout_s)

    def _heard(self) -> None:
        self._heard_s = time.monotonic()
        if self._answered < self._asked:
            self._answered = self._asked
            if self._asked > 1:
                self.note, self._closed_early = "", 0

    def _is_spent(self) -> bool:
        """True of a connection that had its one request, where there is only one to each."""
        return bool(self.note) and self._asked > 0

    def _doubt_s(self) -> float:
        """How long to wait for an end that the last connections had behind their first answer."""
        return _DOUBT_S if self._closed_early and self._answered == 1 else 0.0

    def _was_ended(self) -> None:
        """The other side ended it: a habit, where it always does right behind an answer."""
        if self._answered == 1 and time.monotonic() - self._heard_s < _CLOSES_AT_ONCE_S:
            self._closed_early += 1
            if self._closed_early >= _TIMES_TO_BELIEVE:
                self.note = CLOSES

    def _gone(self, why: str) -> LinkDown:
        if self._socket is not None:
            self._was_ended()
        self.close()
        return LinkDown(f"{self._settings.host}:{self._settings.port}: {why}")

    def _ended(self, made: socket.socket, wait_s: float) -> bool:
        """True if the other side closed the connection: its end is the next thing to read."""
        try:
            is_ended = bool(select.select([made], [], [], wait_s)[0]) and not made.recv(1, socket.MSG_PEEK)
        except OSError:
            is_ended = True
        if is_ended:
            self._was_ended()
        return is_ended
