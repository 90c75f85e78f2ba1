"""After a restore the account shows what went with the lost log: exactly what the lost log had and the restored one has not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from collector.domain.identity import GatewayId
from collector.intake.core import Intake
from collector.intake.day_account import DayAccount, Wanted
from collector.intake.daybook import Daybook, calendars
from collector.intake.machine import Append, Arrived, Committed, Connected, Event, Publish, Start, Tick
from collector.io.account_book import SqliteAccountBook
from collector.io.backup import back_up
from collector.io.restore import restore
from collector.io.sqlite_log import SqliteLog
from edge_agent.contract import encoding
from edge_agent.contract.topics import Kind
from edge_agent.delivery import machine as ev
from edge_agent.model.points import Delivery
from tests.support.courier_line import UTC_MS, CourierLine, epoch

GATEWAY = GatewayId("site-1", "gw-1")
DAYS = calendars(lambda _: "UTC")
DAY_MS = 86_400_000
SETTINGS = Delivery(batch_ms=1000, window_ms=2000)


def quiet(_: str) -> None:
    """Nobody reads it."""


class HereCollector:
    """Intake, log and account of a collector on real files, in one thread."""

    def __init__(self, state: Path) -> None:
        self.log = SqliteLog(state / "log.sqlite")
        self.book = SqliteAccountBook(state / "account.sqlite")
        self._cursor = self.book.follow(self.log.log_id, self.log.last_offset(), self.log.lanes(), UTC_MS)
        self._daybook = Daybook(self.book.lane, DAYS)
        self._intake = Intake()
        self._receipts: list[bytes] = []
        self._tell(UTC_MS, Start(self.log.log_id, self.log.lanes()))
        self._tell(UTC_MS, Connected())

    def hear(self, agent: CourierLine) -> None:
        """Everything that the agent sends now is logged, and the agent has the receipts."""
        while sent := agent.take_sent():
            now_ms = UTC_MS + agent.now_ms
            for publish in sent:
                self._tell(now_ms, Arrived("root/site-1/gw-1/data", GATEWAY, Kind.DATA, publish.payload))
            self._tell(now_ms + 2000, Tick())
            for receipt in self._receipts:
                agent.tell(ev.ReceiptCame(encoding.decode_receipt(receipt)))
            self._receipts.clear()

    def keys(self) -> set[tuple[str, str, int]]:
        """Epoch, lane and sequence of all that the log holds."""
        return {(record.key.epoch, record.key.lane, record.key.seq) for record in self.log.read(0, 10_000)}

    def account(self) -> list[DayAccount]:
        """As `collector account` gives it."""
        before = self._cursor
        for record in self.log.read(before, 10_000):
            self._daybook.take(record)
            self._cursor = record.offset
        self.book.commit(before, self._cursor, self._daybook.changes())
        return self.book.accounts(Wanted(), DAYS)

    def _tell(self, now_ms: int, event: Event) -> None:
        for action in self._intake.step(now_ms, event):
            if isinstance(action, Append):
                self.log.append(action.records, action.lanes, action.poison)
                self._tell(now_ms, Committed(action.token))
            elif isinstance(action, Publish) and action.kind is Kind.RECEIPT:
                self._receipts.append(action.payload)


@contextmanager
def collecting(state: Path) -> Iterator[HereCollector]:
    collector = HereCollector(state)
    try:
        yield collector
    finally:
        collector.log.close()
        collector.book.close()


def works(agent: CourierLine, collector: HereCollector | None, batches: int) -> None:
    """The agent reads, a batch every two seconds; each is delivered while there is a collector."""
    for _ in range(batches):
        agent.read(1.0, 2.0)
        agent.tick(2000)
        if collector is not None:
            collector.hear(agent)


def started(before: CourierLine, counter: int, now_ms: int) -> CourierLine:
    agent = CourierLine(SETTINGS, disk=before)
    agent.now_ms = now_ms
    return agent.start(counter, f"boot-{counter}")


def absent(accounts: list[DayAccount]) -> dict[tuple[str, str, int], str]:
    """Why each sequence is not here."""
    holes = {hole for one in accounts for hole in one.absent}
    return {(hole.epoch, hole.lane, seq): hole.why for hole in holes for seq in range(hole.first, hole.last + 1)}


@pytest.mark.parametrize("is_known", [True, False], ids=["first run in the backup", "nothing in the backup"])
def test_what_the_restore_took_away_is_in_the_account_with_where_when_and_why(tmp_path: Path, is_known: bool) -> None:
    agent = CourierLine(SETTINGS).start()
    with collecting(tmp_path / "state") as collector:
        if is_known:
            works(agent, collector, 5)
            collector.account()
        back_up(tmp_path / "state", tmp_path / "b.tar", {}, "1", UTC_MS, quiet)
        works(agent, collector, 6)
        agent.tell(ev.Stop())
        second = started(agent, 2, agent.now_ms + DAY_MS)  # begins and ends between the backup and the restore
        works(second, collector, 7)
        second.tell(ev.Stop())
        third = started(second, 3, second.now_ms + DAY_MS)
        works(third, collector, 4)
        lost = collector.keys()
        assert absent(collector.account()) == {}
    works(third, None, 3)  # nobody answers: it keeps them
    third.take_sent()
    restore(tmp_path / "b.tar", tmp_path / "new", "1", False, quiet)
    with collecting(tmp_path / "new") as collector:
        before = collector.keys()
        works(third, collector, 2)
        third.tick(60_000)
        collector.hear(third)
        accounts, there = collector.account(), collector.keys()
        came = {seq for name, lane, seq in there if (name, lane) == (epoch(3), "n")}
        assert came == set(range(5, 10)), "what it held came again, and what it read since"
        gone = lost - there
        assert {name for name, _, _ in gone} == {epoch(1), epoch(2), epoch(3)}
        assert (before == set()) is not is_known
        assert absent(accounts) == dict.fromkeys(gone, "not-here")
        by_day = {one.day: one.lost for one in accounts if one.lost}
        days = [DAYS("x").of(UTC_MS + run.now_ms) for run in (agent, second, third)]
        assert len(set(days)) == 3
        assert sum(by_day.values()) == len(gone)
        assert min(by_day) == days[0] or not is_known
        assert max(by_day) <= days[2]
        assert [(one.received + one.lost + one.missing == one.expected, one.missing) for one in accounts] == [(True, 0)] * len(
            accounts
        )
