"""What goes to the socket next."""

from __future__ import annotations

from edge_agent.contract.message import NORMAL, URGENT, Lane
from edge_agent.contract.topics import Kind
from edge_agent.delivery.machine import Key
from edge_agent.io.send_queue import Outgoing, SendQueue


def data(seq: int, lane: Lane = NORMAL, qos: int = 0) -> Outgoing:
    return Outgoing(Kind.DATA, b"{}", qos, Key("1-00000000000000aa", lane, seq))


def test_the_urgent_overtake_what_waits() -> None:
    queue = SendQueue(32, 100)
    reply = Outgoing(Kind.REPLY, b"{}", 0)
    for out in (data(1), data(2), reply, data(1, URGENT)):
        assert queue.offer(out)
    assert [queue.take() for _ in range(5)] == [reply, data(1, URGENT), data(1), data(2), None]


def test_a_message_that_waits_or_has_no_puback_is_not_queued_again() -> None:
    queue = SendQueue(32, 100)
    first = data(1, qos=1)
    assert all(queue.offer(first) for _ in range(3))
    assert queue.take() == first
    assert queue.offer(first)
    assert not queue.has_next()
    queue.done(first)
    assert queue.offer(first)
    assert queue.take() == first
    waiting = data(2)
    assert all(queue.offer(waiting) for _ in range(2))
    assert [queue.take(), queue.take()] == [waiting, None]
    assert queue.offer(waiting)
    assert queue.has_next(), "QoS 0: once written it may be sent again"


def test_qos_1_keeps_the_brokers_window_and_qos_0_passes_it() -> None:
    queue = SendQueue(32, 100)
    queue.allow(2)
    queue.count()
    for out in (data(1, qos=1), data(2, qos=1)):
        assert queue.offer(out)
    assert queue.take() == data(1, qos=1)
    assert queue.take() is None
    assert queue.offer(Outgoing(Kind.TIME, b"{}", 0))
    assert queue.take() is not None
    queue.done(None)
    assert queue.take() == data(2, qos=1)


def test_no_more_waits_than_may() -> None:
    queue = SendQueue(32, 2)
    assert [queue.offer(data(seq)) for seq in (1, 2, 3)] == [True, True, False]
