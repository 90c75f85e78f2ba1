"""The air meter against what the kernel says of real connections."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from edge_agent.io.air import (
    CLOSE_SEGMENTS,
    IPV4_BYTES,
    STAMPS_BYTES,
    SYN_OPTION_BYTES,
    TCP_BYTES,
    Air,
    AirMeter,
    refused_connect,
)
from tests.support.ports import wait_until

HEADER = IPV4_BYTES + TCP_BYTES + STAMPS_BYTES
OPEN = 3 * HEADER + 2 * SYN_OPTION_BYTES
"""SYN, SYN-ACK, ACK."""


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as near:
        far, _ = listener.accept()
        with far:
            yield near, far


def test_every_segment_has_its_headers_and_every_byte_counts_once(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    meter = AirMeter(near, tls=False)
    assert meter.read().total_bytes == OPEN
    meter.opened()
    near.sendall(b"x" * 1000)
    assert far.recv(2000) == b"x" * 1000
    far.sendall(b"y" * 300)
    assert near.recv(2000) == b"y" * 300
    wait_until(lambda: meter.read().segments >= 6, what="the acknowledgements")
    air = meter.read()
    assert air.total_bytes == OPEN + 1300 + (air.segments - 3) * HEADER
    assert (air.open_bytes, air.keepalive_bytes) == (OPEN, 0)


def test_a_closed_connection_keeps_its_count_and_pays_for_its_end(pair: tuple[socket.socket, socket.socket]) -> None:
    near, _ = pair
    meter = AirMeter(near, tls=False)
    meter.opened()
    meter.close()
    near.close()
    meter.close()
    assert meter.read().total_bytes == OPEN + CLOSE_SEGMENTS * (HEADER - STAMPS_BYTES)
    assert meter.read().open_bytes == meter.read().total_bytes


def test_a_ping_is_keepalive_and_never_more_than_there_was(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    meter = AirMeter(near, tls=False)
    meter.opened()
    meter.ping()
    assert meter.read().keepalive_bytes == 0
    near.sendall(b"\xc0\x00")
    assert far.recv(9) == b"\xc0\x00"
    far.sendall(b"\xd0\x00")
    assert near.recv(9) == b"\xd0\x00"
    wait_until(lambda: meter.read().segments >= 6)
    assert meter.read().keepalive_bytes == 4 + 3 * HEADER <= meter.read().total_bytes - OPEN


def test_counts_add_up_and_a_connection_in_vain_is_opening() -> None:
    vain = refused_connect(timed_out=True)
    assert vain.total_bytes == vain.open_bytes == 2 * refused_connect(timed_out=False).total_bytes > 0
    assert vain + Air(5, 2, 1, 1) == Air(vain.total_bytes + 5, vain.open_bytes + 2, 1, vain.segments + 1)
