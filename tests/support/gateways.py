"""Does I/O: a TCP gateway with the habits of cheap ones, on a real port: one connection only, and perhaps one request to each."""

from __future__ import annotations

import select
import socket
import threading
import time
from types import TracebackType

from examples.station_sim.modbus import TcpRequests, tcp_frame
from tests.support.instrument import Behaviour


class OneConnectionGateway:
    """Refuses every connection beside the one it has, as a stack with room for one does.

    closes_after_s: it ends a connection so long after its first answer; None: never.
    rest_s: it refuses new ones so long after that.
    """

    def __init__(self, behaviour: Behaviour, closes_after_s: float | None = None, rest_s: float = 0.0) -> None:
        self.behaviour = behaviour
        self.connections = self.lost = 0
        """lost: requests on a connection that was about to end, and got no answer."""
        self._closes_after_s, self._rest_s = closes_after_s, rest_s
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> OneConnectionGateway:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while not self._stop.is_set():
            if not select.select([self._listener], [], [], 0.02)[0]:
                continue
            guest, _ = self._listener.accept()
            self._listener.close()
            self.connections += 1
            with guest:
                self._attend(guest)
            self._stop.wait(self._rest_s)
            self._listener = socket.create_server(("127.0.0.1", self.port))

    def _attend(self, guest: socket.socket) -> None:
        requests, ends_s = TcpRequests(), None
        while not self._stop.is_set():
            left_s = 0.02 if ends_s is None else ends_s - time.monotonic()
            if left_s <= 0:
                return
            if not select.select([guest], [], [], min(0.02, left_s))[0]:
                continue
            try:
                chunk = guest.recv(4096)
            except ConnectionError:
                return
            if not chunk:
                return
            if self.behaviour.hangs_up:
                return
            for transaction, unit, pdu in requests.feed(chunk):
                if ends_s is not None:
                    self.lost += 1
                    continue
                reply = self.behaviour.reply(unit, pdu)
                if reply is not None:
                    guest.sendall(tcp_frame(transaction, unit, reply))
                    if self._closes_after_s is not None:
                        ends_s = time.monotonic() + self._closes_after_s
