"""The proxy of chaos: packets come whole in any chunking; each fault does what it says, and nothing else is changed."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.contract.encoding import decode_receipt, encode
from edge_agent.contract.message import LaneReceipt, Receipt
from tests.chaos.packets import Packets, kind_of, published
from tests.chaos.proxy import TO_BROKER, TO_CLIENT, Network, Proxy
from tests.support.ports import wait_until

PING = b"\xc0\x00"


def publish(number: int, size: int = 20, level: int = 4) -> bytes:
    """A PUBLISH, QoS 1, of topic a/b."""
    properties = b"\x00" if level >= 5 else b""
    body = b"\x00\x03a/b" + number.to_bytes(2, "big") + properties + bytes([number]) * size
    length, out = len(body), b""
    while True:
        length, digit = divmod(length, 128)
        out += bytes([digit | (0x80 if length else 0)])
        if not length:
            return b"\x32" + out + body


@given(st.lists(st.integers(0, 300), min_size=1, max_size=8), st.data())
def test_packets_come_whole_in_any_chunking(sizes: list[int], data: st.DataObject) -> None:
    sent = [publish(n + 1, size) for n, size in enumerate(sizes)] + [PING]
    stream, packets, got = b"".join(sent), Packets(), list[bytes]()
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        got += packets.feed(stream[:cut])
        stream = stream[cut:]
    assert got == sent
    assert [kind_of(packet) for packet in got] == [3] * len(sizes) + [12]


@pytest.mark.parametrize("level", [4, 5])
def test_topic_and_payload(level: int) -> None:
    assert published(publish(7, 200, level), level) == ("a/b", b"\x07" * 200)


class Ends:
    """A client and what its broker got, with a proxy between."""

    def __init__(self, network: Network, listener: socket.socket) -> None:
        self.heard: list[tuple[str, bytes]] = []
        target = int(listener.getsockname()[1])
        self.proxy = Proxy(network, target, Random(3), lambda *said: self.heard.append(said))
        self.proxy.start()
        self.client = socket.create_connection(("127.0.0.1", self.proxy.port))
        self.broker, _ = listener.accept()
        for end in (self.client, self.broker):
            end.settimeout(5)

    def through(self, packets: list[bytes]) -> list[bytes]:
        """Sends them to the broker, and PINGREQ last; what came before it."""
        self.client.sendall(b"".join([*packets, PING]))
        return self.until_ping(self.broker)

    def until_ping(self, end: socket.socket) -> list[bytes]:
        cut, got = Packets(), list[bytes]()
        while PING not in got:
            got += cut.feed(end.recv(65536))
        return got[:-1]


def is_broken(end: socket.socket) -> bool:
    """Reads to the end of the connection; False if it stays open."""
    try:
        while end.recv(65536):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True


@contextmanager
def ends() -> Iterator[Ends]:
    with Network() as network, socket.create_server(("127.0.0.1", 0)) as listener:
        made = Ends(network, listener)
        try:
            yield made
        finally:
            made.client.close()
            made.broker.close()


def test_without_a_fault_nothing_is_changed() -> None:
    sent = [publish(n) for n in range(1, 50)]
    with ends() as there:
        assert there.through(sent) == sent


def test_twice() -> None:
    with ends() as there:
        there.proxy.faults.twice[TO_BROKER] = 1.0
        assert there.through([publish(1), publish(2)]) == [publish(1)] * 2 + [publish(2)] * 2
        assert there.proxy.done.twice == 2


def test_swapped_and_none_is_left_behind() -> None:
    with ends() as there:
        there.proxy.faults.swapped[TO_BROKER] = 1.0
        there.client.sendall(publish(1) + publish(2) + publish(3))
        cut, got = Packets(), list[bytes]()
        while len(got) < 3:
            got += cut.feed(there.broker.recv(65536))
        assert got == [publish(2), publish(1), publish(3)]


def test_cut_breaks_both_sides() -> None:
    with ends() as there:
        there.through([publish(1)])
        there.proxy.cut()
        wait_until(lambda: there.proxy.done.cuts == 1)
        with suppress(ConnectionError):  # a cut in the middle of a packet waits for one
            there.client.sendall(publish(2))
        assert is_broken(there.client)
        assert is_broken(there.broker)


def test_stranded_the_client_hears_nothing_and_is_not_cut() -> None:
    with ends() as there:
        there.through([publish(1)])
        there.proxy.strand()
        assert is_broken(there.broker)
        there.client.settimeout(0.3)
        there.client.sendall(publish(2))
        with pytest.raises(TimeoutError):
            there.client.recv(1)
        there.proxy.heal()
        there.client.settimeout(5)
        assert is_broken(there.client)


def test_frozen_and_delivered_when_it_is_over() -> None:
    with ends() as there:
        there.through([])
        there.proxy.freeze(on=True)
        wait_until(lambda: not there.proxy.thawed.is_set())
        there.client.sendall(publish(1) + PING)
        there.broker.settimeout(0.3)
        with pytest.raises(TimeoutError):
            there.broker.recv(1)
        there.proxy.freeze(on=False)
        there.broker.settimeout(5)
        assert there.until_ping(there.broker) == [publish(1)]


def test_what_goes_to_the_client_is_heard() -> None:
    receipt = Receipt(1, "ab", [LaneReceipt("1-0123456789abcdef", "n", 7)])
    payload = encode(receipt)
    body = b"\x00\x03a/b\x00\x01" + payload
    with ends() as there:
        there.proxy.faults.twice[TO_CLIENT] = 0.0
        there.broker.sendall(b"\x32" + bytes([len(body)]) + body + PING)
        there.until_ping(there.client)
        assert [(topic, decode_receipt(said)) for topic, said in there.heard] == [("a/b", receipt)]
