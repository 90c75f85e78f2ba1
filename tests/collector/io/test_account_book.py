"""The account on disk: once in effect, bounded, damaged, newer, and after a restore."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from collector.domain.identity import GatewayId
from collector.intake import accounting
from collector.intake.day_account import Wanted, totals
from collector.intake.daybook import MAX_HOLES, Daybook, LaneId, calendars
from collector.intake.records import BatchKey, LaneState, Record
from collector.io import account_book
from collector.io.account_book import SqliteAccountBook
from collector.seams import StorageFailed
from edge_agent.common.problem import ProblemError
from edge_agent.contract import encoding
from edge_agent.contract import message as m
from tests.support.intake import EPOCHS, NAME, T0

DAYS = calendars(lambda _site: "Asia/Shanghai")
LANE = LaneId(*NAME, EPOCHS[0], "n")


def record(seq: int, low: int = 1, t0: int = T0, epoch: str = EPOCHS[0], gaps: tuple[m.Gap, ...] = ()) -> Record:
    body = m.Body([m.Block([0, 1000], [m.Column(0, [1.0, 2.0])])], gaps=list(gaps))
    payload = encoding.encode(m.Data(1, epoch, "n", seq, low, "00", t0, body))
    return Record(seq, BatchKey(*NAME, epoch, "n", seq), t0, payload)


def write(book: SqliteAccountBook, records: list[Record], before: int, cursor: int) -> None:
    daybook = Daybook(book.lane, DAYS)
    for one in records:
        daybook.take(one)
    book.commit(before, cursor, daybook.changes())


@pytest.fixture
def book(tmp_path: Path) -> Iterator[SqliteAccountBook]:
    made = SqliteAccountBook(tmp_path / "account.sqlite")
    made.follow("log", 0, (), T0)
    yield made
    made.close()


def total(book: SqliteAccountBook, wanted: Wanted = Wanted()) -> dict[str, int]:
    return {str(name): count for name, count in totals(book.accounts(wanted, DAYS)).items()}


def test_a_commit_that_fails_leaves_nothing(book: SqliteAccountBook, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_point: str) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(account_book, "hazard", full)
        with pytest.raises(StorageFailed):
            write(book, [record(1)], 0, 1)
    assert total(book)["expected"] == 0
    write(book, [record(1)], 0, 1)
    write(book, [record(1), record(2)], 0, 1)  # the same stretch again: as after a commit whose end was not seen
    assert (total(book)["received"], total(book)["received_readings"]) == (1, 2)


def test_after_a_restore_the_hole_is_shown_and_what_comes_again_counts_once(tmp_path: Path) -> None:
    path = tmp_path / "account.sqlite"
    book = SqliteAccountBook(path)
    book.follow("log", 0, (), T0)
    write(book, [record(seq) for seq in range(1, 11)], 0, 10)
    saved = tmp_path / "backup.sqlite"
    with sqlite3.connect(saved) as copy, sqlite3.connect(path) as source:
        source.backup(copy)
    copy.close()
    source.close()
    write(book, [record(seq) for seq in range(11, 21)], 10, 20)  # receipted: the gateway lets them go
    book.close()
    restored = SqliteAccountBook(saved)
    state = LaneState(*NAME, EPOCHS[0], "n", upto=10, received=10, heard_ms=T0)
    assert restored.follow("restored log", 10, [state], T0) == 0
    again = [record(seq) for seq in range(1, 11)] + [record(seq, low=18) for seq in (18, 19, 20, 21)]
    write(restored, again, 0, 14)
    (day,) = restored.accounts(Wanted(), DAYS)
    assert (day.expected, day.received, day.lost, day.missing) == (21, 14, 7, 0)
    assert day.why == {"not-here": 7}
    assert [(hole.first, hole.last, hole.why) for hole in day.absent] == [(11, 17, "not-here")]
    restored.close()


def test_an_account_made_beside_an_older_log_begins_with_it(tmp_path: Path) -> None:
    book = SqliteAccountBook(tmp_path / "account.sqlite")
    state = accounting.first_contact(*NAME, EPOCHS[0], "n", 500, T0)
    state, _ = accounting.account(replace(state, duplicate=7), 502, 500, T0)
    assert book.follow("log", 900, [state], T0) == 900
    assert book.seen() == {GatewayId(*NAME): 7}
    assert total(book)["lost"] == 0
    write(book, [record(500, 500)], 900, 901)
    assert (total(book)["received"], total(book)["missing"]) == (1, 1)
    book.close()


def test_sites_gateways_and_days_are_chosen(book: SqliteAccountBook) -> None:
    day_ms = account_book.DAY_MS
    write(book, [record(seq, t0=T0 + seq * day_ms) for seq in (1, 2, 3)], 0, 3)
    days = [one.day for one in book.accounts(Wanted(), DAYS)]
    assert len(days) == 3
    assert [one.day for one in book.accounts(Wanted(first=days[1]), DAYS)] == days[1:]
    assert [one.day for one in book.accounts(Wanted(last=days[1]), DAYS)] == days[:2]
    assert [one.day for one in book.accounts(Wanted("site-1", "gw-1", days[0], days[0]), DAYS)] == days[:1]
    assert book.accounts(Wanted("site-2"), DAYS) == book.accounts(Wanted("site-1", "gw-2"), DAYS) == []


def test_what_is_old_goes_and_what_was_lost_in_a_lane_that_goes_stays_counted(
    book: SqliteAccountBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(book, [record(1), *(record(5, 5, T0 + n, epoch=f"{n}-00000000000000aa") for n in range(2, 6))], 0, 5)
    before = total(book)
    assert before["lost"] == 16
    monkeypatch.setattr(account_book, "LANES_KEPT", 2)
    book.prune(T0, DAYS)
    assert total(book) == before
    assert book.lane(LANE) is None
    book.prune(T0 + (account_book.DAYS_KEPT + 2) * account_book.DAY_MS, DAYS)
    assert book.accounts(Wanted(), DAYS) == []


def test_a_lane_heard_while_our_clock_was_years_behind_keeps_its_holes(book: SqliteAccountBook) -> None:
    write(book, [replace(one, received_ms=T0 - 20 * 365 * account_book.DAY_MS) for one in (record(1), record(5, 5, T0))], 0, 2)
    before = [hole for day in book.accounts(Wanted(), DAYS) for hole in day.absent]
    book.prune(T0, DAYS)
    assert [hole for day in book.accounts(Wanted(), DAYS) for hole in day.absent] == before != []


def test_more_holes_than_are_kept_stay_in_the_counts(book: SqliteAccountBook) -> None:
    records = [record(seq, low=seq) for seq in range(2, 4 * MAX_HOLES, 2)]
    write(book, records, 0, 1)
    found = book.lane(LANE)
    assert found is not None
    assert len(found.holes) <= MAX_HOLES
    assert total(book)["expected"] == found.top == 2 * len(records)
    assert total(book)["lost"] == len(records)


def test_figures_that_no_database_can_hold_break_nothing(book: SqliteAccountBook) -> None:
    most = encoding.MAX_SEQUENCE
    lies = tuple(m.Gap(f"{n}-00000000000000cc", "n", 1, most, 10**12, "age") for n in range(2000, 4100))
    write(book, [record(1, gaps=lies[:1050]), record(2, gaps=lies[1050:])], 0, 2)
    book.prune(T0 + account_book.DAY_MS, DAYS)
    assert total(book)["lost"] > most


def test_a_damaged_account_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "account.sqlite"
    path.write_bytes(b"no database at all" * 500)
    with pytest.raises(ProblemError, match="ACC402"):
        SqliteAccountBook.reading(path)
    book = SqliteAccountBook(path)
    assert book.follow("log", 3, (), T0) == 3
    book.close()
    assert "set aside" in caplog.text
    assert path.with_name("account.sqlite.damaged").exists()


def test_a_newer_account_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "account.sqlite"
    SqliteAccountBook(path).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    for opened in (SqliteAccountBook, SqliteAccountBook.reading):
        with pytest.raises(ProblemError, match="ACC401"):
            opened(path)
