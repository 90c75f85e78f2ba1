"""Serial and TCP links on a pty and on loopback."""

from __future__ import annotations

import os
import socket
import time
import tty
from collections.abc import Iterator

import pytest

from edge_agent.io.serial_link import SerialLink
from edge_agent.io.tcp_link import TcpLink
from edge_agent.model.points import Serial, Tcp
from edge_agent.protocols.session import LinkDown
from tests.suites.link import LinkSuite, received
from tests.support.ports import free_port


class Pty:
    def __init__(self) -> None:
        self._near, self._far = os.openpty()
        tty.setraw(self._near)
        tty.setraw(self._far)
        self.path = os.ttyname(self._far)
        self._open = True

    def send(self, payload: bytes) -> None:
        os.write(self._near, payload)

    def receive(self, count: int) -> bytes:
        came = b""
        while len(came) < count:
            came += os.read(self._near, 4096)
        return came

    def hang_up(self) -> None:
        if self._open:
            self._open = False
            os.close(self._far)
            os.close(self._near)


class Peer:
    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._guest: socket.socket | None = None

    def accept(self) -> None:
        self._guest, _ = self._listener.accept()

    def send(self, payload: bytes) -> None:
        assert self._guest is not None
        self._guest.sendall(payload)

    def receive(self, count: int) -> bytes:
        assert self._guest is not None
        came = b""
        while len(came) < count:
            came += self._guest.recv(4096)
        return came

    def hang_up(self) -> None:
        if self._guest is not None:
            self._guest.close()

    def close(self) -> None:
        self.hang_up()
        self._listener.close()


class TestSerialLink(LinkSuite):
    @pytest.fixture
    def far(self) -> Iterator[Pty]:
        pty = Pty()
        yield pty
        pty.hang_up()

    @pytest.fixture
    def link(self, far: Pty) -> Iterator[SerialLink]:
        link = SerialLink(Serial(far.path, 115200))
        link.open()
        yield link
        link.close()

    def test_the_port_is_used_by_one_program_alone(self, link: SerialLink, far: Pty) -> None:
        with pytest.raises(LinkDown):
            SerialLink(Serial(far.path, 115200)).open()

    def test_frames_are_kept_apart_by_silence(self, far: Pty) -> None:
        slow = SerialLink(Serial(far.path, 1200))
        slow.open()
        slow.send(b"a")
        begun_s = time.monotonic()
        slow.send(b"b")
        assert time.monotonic() - begun_s >= 3.5 * 10 / 1200
        slow.close()

    def test_wire_time_follows_the_speed(self) -> None:
        assert SerialLink(Serial("x", 9600, "E")).wire_ms(96) == pytest.approx(96 * 11 / 9.6, abs=1.1)


class TestTcpLink(LinkSuite):
    @pytest.fixture
    def far(self) -> Iterator[Peer]:
        peer = Peer()
        yield peer
        peer.close()

    @pytest.fixture
    def link(self, far: Peer) -> Iterator[TcpLink]:
        link = TcpLink(Tcp("127.0.0.1", far.port))
        link.open()
        far.accept()
        yield link
        link.close()

    def test_a_connection_that_was_closed_in_between_is_made_anew(self, link: TcpLink, far: Peer) -> None:
        far.hang_up()
        link.send(b"x")
        far.accept()
        assert far.receive(1) == b"x"
        assert link.connections == 2


class TestSerialUrl(LinkSuite):
    """A terminal server by URL."""

    @pytest.fixture
    def far(self) -> Iterator[Peer]:
        peer = Peer()
        yield peer
        peer.close()

    @pytest.fixture
    def link(self, far: Peer) -> Iterator[SerialLink]:
        link = SerialLink(Serial(f"socket://127.0.0.1:{far.port}", 115200))
        link.open()
        far.accept()
        yield link
        link.close()


def test_what_cannot_be_opened_is_down() -> None:
    for link in (
        SerialLink(Serial("/dev/no-such-port")),
        SerialLink(Serial("nonsense://x")),
        TcpLink(Tcp("127.0.0.1", free_port(), 500)),
    ):
        with pytest.raises(LinkDown):
            link.open()
        link.close()


def test_bytes_sent_before_opening_open_the_link() -> None:
    peer = Peer()
    link = TcpLink(Tcp("127.0.0.1", peer.port))
    link.send(b"hello")
    peer.accept()
    assert peer.receive(5) == b"hello"
    peer.send(b"there")
    assert received(link, 5) == b"there"
    link.close()
    peer.close()
