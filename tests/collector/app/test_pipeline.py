"""The line in one process, on real log, store and operations: only the broker is played."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from collector.domain.county import County
from collector.domain.identity import GatewayId, SeriesKey
from collector.intake.daybook import calendars
from collector.io.account_book import SqliteAccountBook
from collector.io.disk_guard import DiskGuard
from collector.io.operations import SqliteOperations
from collector.io.sqlite_log import SqliteLog
from collector.judge import load_state
from collector.pipeline import LineParts, Pipeline
from collector.rules.engine import Engine
from collector.seams import Message, StoreAway, StoreBatch
from collector.stores.embedded import EmbeddedStore
from edge_agent.common.clock import SystemClock
from edge_agent.contract import encoding
from edge_agent.contract import message as m
from edge_agent.contract.message import Text
from edge_agent.contract.topics import Kind, topic
from tests.support.ports import wait_until
from tests.support.scripted_agent import BODY, EPOCH, T0

GATEWAY = GatewayId("s", "g")
COUNT = SeriesKey("s", "g", "meter", "count")
COUNTY = County(Text("县", "County"))


class PlayedBroker:
    """`seams.Subscriber` whose broker is the test."""

    def __init__(self) -> None:
        self.published: list[tuple[Kind, bytes]] = []

    def start(self, on_message: Callable[[Message], None], on_connected: Callable[[bool], None]) -> None:
        self._on_message = on_message
        on_connected(True)

    def publish(self, gateway: GatewayId, kind: Kind, payload: bytes) -> None:
        assert gateway == GATEWAY
        self.published.append((kind, payload))

    def stop(self) -> None:
        pass

    def hear(self, payload: bytes) -> None:
        self._on_message(Message(topic("root", "s", "g", Kind.DATA), GATEWAY, Kind.DATA, payload, False, 0))

    def upto(self) -> int:
        """What the newest receipt says of lane n."""
        receipts = [encoding.decode_receipt(payload) for kind, payload in self.published if kind is Kind.RECEIPT]
        return max((lane.upto for lane in receipts[-1].lanes if lane.l == "n"), default=0) if receipts else 0


class Store(EmbeddedStore):
    """The embedded store with a server that may be away."""

    away = False

    def write(self, batches: Sequence[StoreBatch], cursor: int) -> None:
        if self.away:
            raise StoreAway("no answer", 0.1)
        super().write(batches, cursor)


class Line:
    """Everything in one folder; may be ended and begun again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.free = 0.5
        self.begin()

    def begin(self) -> None:
        clock = SystemClock()
        self.broker = PlayedBroker()
        self.log = SqliteLog(self.folder / "log.sqlite")
        self.store = Store(self.folder / "store.sqlite")
        self.operations = SqliteOperations(self.folder / "operations.sqlite", COUNTY)
        self.book = SqliteAccountBook(self.folder / "account.sqlite")
        self.pipeline = Pipeline(
            LineParts(
                log=self.log,
                store=self.store,
                ledger=self.operations,
                book=self.book,
                days_of=calendars(COUNTY.zone_of),
                new_rules=lambda state: Engine([], COUNTY, state or None),
                subscriber=self.broker,
                clock=clock,
                disk=DiskGuard(self.folder, clock, lambda _: self.free),
                beat=lambda _: None,
                on_changes=lambda: None,
                retention_ms=0,
            )
        )
        self.pipeline.start()

    def end(self) -> None:
        self.pipeline.stop()
        for part in (self.log, self.store, self.operations, self.book):
            part.close()

    def stored(self) -> list[object]:
        return [sample.value for sample in self.store.range(COUNT, 0, 1 << 60)]

    def codes(self) -> set[str]:
        return {problem.code for problem in self.pipeline.problems()}


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    made = Line(tmp_path)
    yield made
    made.end()


RAW, HASH = encoding.encode_birth_body(BODY)
BIRTH = encoding.encode(m.Birth(m.VERSION, EPOCH, m.URGENT, 1, 1, HASH, "boot", T0, msgspec.Raw(RAW)))


def batch(seq: int) -> bytes:
    body = m.Body([m.Block([seq * 1000], [m.Column(0, [seq])])])
    return encoding.encode(m.Data(m.VERSION, EPOCH, m.NORMAL, seq, 1, HASH, T0, body))


def test_a_store_that_is_away_delays_charts_alone(line: Line) -> None:
    line.store.away = True
    for payload in (BIRTH, batch(1), batch(2)):
        line.broker.hear(payload)
    wait_until(lambda: line.broker.upto() == 2, 10, "receipts")
    wait_until(lambda: line.pipeline.judge.position == 3, 10, "judged")
    wait_until(lambda: "COL402" in line.codes(), 10, "a problem")
    assert line.stored() == []
    line.store.away = False
    wait_until(lambda: line.stored() == [1, 2], 10, "stored")
    wait_until(lambda: line.codes() == set(), 10, "no problem")


def test_a_full_disk_stops_receipts(line: Line) -> None:
    line.free = 0.01
    for payload in (BIRTH, batch(1)):
        line.broker.hear(payload)
    wait_until(lambda: "COL401" in line.codes(), 10, "a problem")
    assert line.log.last_offset() == 0
    assert line.broker.upto() == 0
    line.free = 0.5

    def sent_again() -> bool:
        line.broker.hear(BIRTH)
        line.broker.hear(batch(1))
        return line.broker.upto() == 1

    wait_until(sent_again, 10, "receipts again")
    assert line.codes() == set()


def test_batches_before_their_birth_wait_over_a_restart(line: Line) -> None:
    line.broker.hear(batch(1))
    line.broker.hear(batch(2))
    wait_until(lambda: line.broker.upto() == 2, 10, "receipts")
    wait_until(lambda: line.pipeline.judge.position == 2 == line.pipeline.writer.position, 10, "read")
    assert any(kind is Kind.CMD for kind, _ in line.broker.published), "the birth is asked for"
    line.end()
    line.begin()
    assert load_state(line.operations.rule_state()).held == (1, 2)
    assert (line.pipeline.judge.safe, line.pipeline.writer.safe) == (0, 0)
    consumers = (line.pipeline.judge, line.pipeline.writer, line.pipeline.accountant)
    wait_until(lambda: all(one.position == 2 for one in consumers), 10, "only what is held keeps the log from being trimmed")
    done = threading.Event()
    line.pipeline.trim()
    line.pipeline.receiver.submit(done.set)
    assert done.wait(10)
    line.end()
    line.begin()
    line.broker.hear(BIRTH)
    wait_until(lambda: line.stored() == [1, 2], 10, "stored")
    wait_until(lambda: line.pipeline.judge.safe == 3 == line.pipeline.writer.safe, 10, "nothing held")


def test_what_both_have_read_is_trimmed_and_births_stay(line: Line) -> None:
    for payload in (BIRTH, batch(1), batch(2)):
        line.broker.hear(payload)
    wait_until(
        lambda: line.stored() == [1, 2] and line.pipeline.judge.position == line.pipeline.accountant.position == 3, 10, "read"
    )

    def trimmed() -> bool:
        line.pipeline.trim()
        return [record.kind for record in line.log.read(0, 10)] == ["birth"]

    wait_until(trimmed, 10, "trimmed")
    line.end()
    line.begin()
    line.broker.hear(batch(3))
    wait_until(lambda: line.stored() == [1, 2, 3], 10, "interpreted by the birth of before")
    line.broker.hear(batch(1))
    line.broker.hear(batch(4))
    wait_until(lambda: line.broker.upto() == 4, 10, "receipts")
    wait_until(lambda: line.stored() == [1, 2, 3, 4], 10, "nothing twice")


def test_refused_messages_are_told_once_a_minute(line: Line, caplog: pytest.LogCaptureFixture) -> None:
    def refused() -> int:
        return line.pipeline.receiver.refusals().counts.get("shape", 0)

    line.broker.hear(b"{}")
    wait_until(lambda: refused() == 1, 10, "the first one")
    line.broker.hear(b"{}")
    wait_until(lambda: refused() == 2, 10, "the second one")
    told = [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]
    assert told == ["1 messages refused; the last on topic root/s/g/data: shape"]
