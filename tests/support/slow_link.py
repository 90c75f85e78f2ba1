"""Does I/O: a TCP proxy on loopback that is slow, far away or dead.

with SlowLink(broker.port, delay_s=0.15) as link:      # 300 ms round trip
    ... connect to link.port ...
    link.silent = True                                 # half-open: nothing passes any more, and nobody is told
    link.deafen()                                      # the same one layer below: not even the kernel acknowledges a byte
"""

from __future__ import annotations

import ctypes
import heapq
import selectors
import socket
import threading
import time
from types import TracebackType

RECEIVE_BYTES = 16_384
SO_ATTACH_FILTER = 26


class _Instruction(ctypes.Structure):
    """struct sock_filter of <linux/filter.h>."""

    _fields_ = (("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint))


class _Filter(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.POINTER(_Instruction)))


RETURN_NOTHING = (_Instruction * 1)(_Instruction(0x06, 0, 0, 0))
"""BPF: of every packet no byte is taken."""


class SlowLink:
    """delay_s: each way. bytes_per_s: towards the broker; 0: as much as comes."""

    host = "127.0.0.1"

    def __init__(self, to_port: int, delay_s: float = 0.0, bytes_per_s: int = 0, buffer_bytes: int = 0) -> None:
        self._to = ("127.0.0.1", to_port)
        self._delay_s = delay_s
        self._bytes_per_s = bytes_per_s
        self.silent = False
        self.accepted = 0
        self._listener = socket.socket()
        if buffer_bytes:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._over = threading.Event()

    def __enter__(self) -> SlowLink:
        self._threads[0].start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._listener.close()
        for thread in self._threads:
            thread.join(5)

    def deafen(self) -> None:
        """From now on every packet of the present clients is thrown away before TCP sees it, as on a line that is dead."""
        for near in self._open:
            near.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, bytes(_Filter(1, RETURN_NOTHING)))

    def _accept(self) -> None:
        self._listener.settimeout(0.05)
        while not self._over.is_set():
            try:
                near, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            self.accepted += 1
            self._open.append(near)
            far = socket.create_connection(self._to)
            thread = threading.Thread(target=self._carry, args=(near, far), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _carry(self, near: socket.socket, far: socket.socket) -> None:
        other = {near: far, far: near}
        waiting: list[tuple[float, int, socket.socket, bytes]] = []
        number, may_read_s = 0, 0.0
        with selectors.DefaultSelector() as selector, near, far:
            for each in other:
                selector.register(each, selectors.EVENT_READ)
            while not self._over.is_set():
                now_s = time.monotonic()
                for key, _ in selector.select(0.002):
                    from_socket = key.fileobj
                    assert isinstance(from_socket, socket.socket)
                    is_limited = self._bytes_per_s and from_socket is near
                    if self.silent or (is_limited and now_s < may_read_s):
                        time.sleep(0.002)
                        continue
                    try:
                        read = from_socket.recv(512 if is_limited else RECEIVE_BYTES)
                    except OSError:
                        return
                    if not read:
                        return
                    if is_limited:
                        may_read_s = max(now_s, may_read_s) + len(read) / self._bytes_per_s
                    number += 1
                    heapq.heappush(waiting, (now_s + self._delay_s, number, other[from_socket], read))
                while waiting and waiting[0][0] <= time.monotonic() and not self.silent:
                    _, _, to_socket, read = heapq.heappop(waiting)
                    try:
                        to_socket.sendall(read)
                    except OSError:
                        return
