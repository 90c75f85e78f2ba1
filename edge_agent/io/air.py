"""Does I/O: what a connection has put on the air, as the kernel counts it (Linux, TCP_INFO).

Counted are IP packets in both directions as the network bills them: the payload of TCP (TLS and MQTT included, repeated segments
too) and, for each segment - data, bare acknowledgement, SYN - its IP and TCP header: 20 bytes IPv4 or 40 IPv6, 20 TCP, and 12
where both ends use time stamps. Not counted are DNS and what lies below IP. Connection open (TCP, TLS, CONNECT to SUBACK, and
the end: FIN both ways) and keep-alive stand apart. Keep-alive is the one part that is reckoned: PINGREQ, PINGRESP and the
acknowledgement of it are three segments, with two TLS records where TLS is on.
"""

from __future__ import annotations

import socket
import struct
import threading
from dataclasses import dataclass
from typing import Protocol

IPV4_BYTES, IPV6_BYTES, TCP_BYTES, STAMPS_BYTES = 20, 40, 20, 12
SYN_OPTION_BYTES = 8
"""A SYN carries so much more than the header of the segments after it (MSS, window scale, SACK permitted)."""
TLS_RECORD_BYTES = 22
"""TLS 1.3: header 5, content type 1, tag 16. (TLS 1.2 with AES-GCM: 29.)"""
PING_BYTES = 2
CLOSE_SEGMENTS = 4
"""FIN and its acknowledgement, each way: they come when nobody can ask the kernel any more."""
_STAMPS_OPTION = 1
_BYTES_ACKED, _BYTES_RECEIVED, _SEGMENTS_OUT, _SEGMENTS_IN, _BYTES_SENT = 120, 128, 136, 140, 200
_INFO_BYTES = 256


class CountedSocket(Protocol):
    """A TCP socket, with TLS or without."""

    @property
    def family(self) -> int:
        """Address family."""
        ...

    def getsockopt(self, level: int, optname: int, buflen: int, /) -> bytes:
        """As socket.socket."""
        ...


@dataclass(frozen=True, slots=True)
class Air:
    """Bytes on the air, both directions. total_bytes holds the others."""

    total_bytes: int = 0
    open_bytes: int = 0
    keepalive_bytes: int = 0
    segments: int = 0

    def __add__(self, other: Air) -> Air:
        return Air(
            self.total_bytes + other.total_bytes,
            self.open_bytes + other.open_bytes,
            self.keepalive_bytes + other.keepalive_bytes,
            self.segments + other.segments,
        )


def refused_connect(*, timed_out: bool) -> Air:
    """A TCP connection that never came about: SYN and RST, or a SYN sent at 0, 1, 3 and 7 s."""
    segments = 4 if timed_out else 2
    size = segments * (IPV4_BYTES + TCP_BYTES + STAMPS_BYTES + SYN_OPTION_BYTES)
    return Air(size, size, 0, segments)


class AirMeter:
    """Counts one connection. Grows only. Any thread may call it."""

    def __init__(self, connection: CountedSocket, *, tls: bool) -> None:
        self._connection: CountedSocket | None = connection
        self._header_bytes = (IPV6_BYTES if connection.family == socket.AF_INET6 else IPV4_BYTES) + TCP_BYTES
        self._ping_bytes = 2 * (PING_BYTES + (TLS_RECORD_BYTES if tls else 0))
        self._lock = threading.Lock()
        self._air = Air(0, 0, 0, 0)
        self._opened = False
        self._pings = 0

    def opened(self) -> None:
        """The session is up: what was counted until now is connection open."""
        with self._lock:
            self._count()
            self._opened = True

    def ping(self) -> None:
        """The session asks whether the broker is there."""
        with self._lock:
            self._pings += 1

    def close(self) -> None:
        """The connection is about to be closed."""
        with self._lock:
            if self._connection is not None:
                self._count()
                self._connection = None
                end = CLOSE_SEGMENTS * self._header_bytes
                self._air += Air(end, end, 0, CLOSE_SEGMENTS)

    def read(self) -> Air:
        """The count up to now."""
        with self._lock:
            if self._connection is not None:
                self._count()
            return self._air

    def _count(self) -> None:
        if self._connection is None:
            return
        try:
            info = self._connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
        except OSError:  # closed meanwhile: what was counted stands
            return
        header = self._header_bytes + (STAMPS_BYTES if info[5] & _STAMPS_OPTION else 0)
        segments = _at(info, _SEGMENTS_OUT, "=I") + _at(info, _SEGMENTS_IN, "=I")
        sent = _at(info, _BYTES_SENT, "=Q") if len(info) >= _BYTES_SENT + 8 else _at(info, _BYTES_ACKED, "=Q")
        total = sent + _at(info, _BYTES_RECEIVED, "=Q") + segments * header + 2 * SYN_OPTION_BYTES
        keepalive = self._pings * (self._ping_bytes + 3 * header)
        total = max(total, self._air.total_bytes)
        opened = self._air.open_bytes if self._opened else total
        self._air = Air(total, opened, max(min(keepalive, total - opened), self._air.keepalive_bytes), segments)


def _at(info: bytes, offset: int, form: str) -> int:
    found: int = struct.unpack_from(form, info, offset)[0]
    return found
