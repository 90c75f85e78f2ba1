"""Delivery running: births go out twice over, once retained; a write that the medium refused is told as refused."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.common.clock import SystemClock
from edge_agent.contract.encoding import decode_sequenced
from edge_agent.contract.message import Birth, BirthBody, Data, Series
from edge_agent.contract.topics import Kind
from edge_agent.delivery import machine as ev
from edge_agent.delivery.courier import Courier
from edge_agent.io.delivery_loop import DeliveryLoop
from edge_agent.io.outbox import OutboxFile
from edge_agent.io.outbox_writer import OutboxWriter
from edge_agent.model.points import Delivery
from edge_agent.model.reading import Reading

EPOCH = "1-00000000000000aa"
BIRTH = BirthBody("test", [Series(0, "meter", "flow")])
UTC = 1_790_000_000_000


class Wire:
    """A link that keeps what it was given."""

    def __init__(self) -> None:
        self.sent: queue.SimpleQueue[tuple[Kind, bytes]] = queue.SimpleQueue()

    def publish(self, kind: Kind, payload: bytes, key: ev.Key | None = None) -> bool:
        self.sent.put((kind, payload))
        return True

    def next(self) -> tuple[Kind, bytes]:
        return self.sent.get(timeout=10)


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def loop(tmp_path: Path, wire: Wire) -> Iterator[DeliveryLoop]:
    file = OutboxFile(tmp_path / "outbox.db")
    file.open()
    clock = SystemClock()
    loop = DeliveryLoop(Courier(Delivery(batch_ms=20)), clock, lambda done: OutboxWriter(file, done))
    loop.start(ev.Start(EPOCH, "boot", BIRTH), wire)
    loop.must(ev.ClockSet(clock.monotonic_ms(), UTC, "ntp", 5))
    loop.must(ev.Connected())
    yield loop
    loop.close()
    assert loop.finish(10)


def test_a_birth_goes_out_in_sequence_and_retained(loop: DeliveryLoop, wire: Wire) -> None:
    (first, in_sequence), (second, retained) = wire.next(), wire.next()
    assert (first, second) == (Kind.DATA, Kind.BIRTH)
    assert in_sequence == retained
    assert isinstance(decode_sequenced(retained), Birth)


def test_readings_go_out_on_data_alone(loop: DeliveryLoop, wire: Wire) -> None:
    assert [wire.next()[0], wire.next()[0]] == [Kind.DATA, Kind.BIRTH]
    loop.take([Reading(0, SystemClock().monotonic_ms(), 1.5)])
    kind, payload = wire.next()
    batch = decode_sequenced(payload)
    assert kind is Kind.DATA
    assert isinstance(batch, Data)
    assert [column.v for block in batch.d.blocks for column in block.c] == [[1.5]]


def test_a_write_that_is_refused_is_told_as_refused(tmp_path: Path) -> None:
    done: queue.SimpleQueue[ev.Event] = queue.SimpleQueue()
    file = OutboxFile(tmp_path / "outbox.db")
    writer = OutboxWriter(file, done.put)
    writer.start()
    writer.order(ev.Write(7, [], []))  # the file was never opened: it refuses
    told = done.get(timeout=10)
    assert isinstance(told, ev.WriteFailed)
    assert told.token == 7
    assert writer.stop(10)
