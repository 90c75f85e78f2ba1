"""What every link does: tests/edge_agent/io/test_links.py runs this on a serial port and on a TCP connection.

A subclass gives `link` and `far` (the other end: `send`, `receive`, `hang_up`).
"""

from __future__ import annotations

import time
from typing import Protocol

import pytest

from edge_agent.io.link import Link
from edge_agent.protocols.session import LinkDown


class Far(Protocol):
    """The other end."""

    def send(self, payload: bytes) -> None: ...

    def receive(self, count: int) -> bytes: ...

    def hang_up(self) -> None: ...


def received(link: Link, count: int) -> bytes:
    came, until_s = b"", time.monotonic() + 5
    while len(came) < count and time.monotonic() < until_s:
        came += link.receive(200)
    return came


def listen_for_ever(link: Link) -> None:
    for _ in range(50):
        link.receive(50)
        link.flush()


class LinkSuite:
    """Behaviour of an opened link."""

    def test_carries_bytes_both_ways(self, link: Link, far: Far) -> None:
        every = bytes(range(256))
        link.send(every)
        assert far.receive(256) == every
        far.send(every)
        assert received(link, 256) == every

    def test_receives_nothing_within_the_time(self, link: Link, far: Far) -> None:
        begun_s = time.monotonic()
        assert link.receive(60) == b""
        assert 0.05 <= time.monotonic() - begun_s < 1.0

    def test_flush_takes_away_what_came(self, link: Link, far: Far) -> None:
        far.send(b"old")
        taken, until_s = b"", time.monotonic() + 5
        while len(taken) < 3 and time.monotonic() < until_s:
            taken += link.flush()
        assert taken == b"old"
        assert link.flush() == b""
        assert link.receive(20) == b""

    def test_opening_twice_is_once_and_closing_twice_is_harmless(self, link: Link, far: Far) -> None:
        link.open()
        assert link.connections == 1
        link.close()
        link.close()
        with pytest.raises(LinkDown):
            link.receive(10)

    def test_a_far_end_that_is_gone_is_noticed(self, link: Link, far: Far) -> None:
        far.hang_up()
        with pytest.raises(LinkDown):
            listen_for_ever(link)
