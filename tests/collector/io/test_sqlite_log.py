"""The log on SQLite passes the suite, is whole after a crash at its commit, and never serves a damaged record."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collector.io.sqlite_log import SqliteLog
from collector.seams import Log, StorageFailed
from edge_agent.common import hazard
from edge_agent.common.problem import ProblemError
from tests.suites.log import LANE, LogSuite
from tests.support.line import data, record


class TestSqliteLog(LogSuite):
    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Iterator[Callable[[], Log]]:
        opened: list[SqliteLog] = []

        def open_again() -> Log:
            for log in opened:
                log.close()
            opened.append(SqliteLog(tmp_path / "state" / "log.db"))
            return opened[-1]

        yield open_again
        for log in opened:
            log.close()


class Killed(BaseException):
    """Stands for kill -9."""


@pytest.mark.parametrize(("where", "there"), [("log.commit.before", 0), ("log.commit.after", 1)])
def test_a_crash_at_the_commit_leaves_all_or_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, there: int
) -> None:
    log = SqliteLog(tmp_path / "log.db")

    def strike(name: str) -> None:
        if name == where:
            raise Killed

    monkeypatch.setattr(hazard, "strike", strike)
    with pytest.raises(Killed):
        log.append([record(0, data(1, [1.0]), 1)], [LANE], [])
    monkeypatch.undo()
    log.close()
    again = SqliteLog(tmp_path / "log.db")
    assert (len(again.read(0, 9)), len(again.lanes())) == (there, there)
    again.close()


def test_a_flipped_bit_is_found_and_the_rest_stays_readable(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.db")
    log.append([record(0, data(seq, [1.0]), seq) for seq in (1, 2, 3)], [], [])
    database = sqlite3.connect(tmp_path / "log.db")
    (payload,) = database.execute("SELECT payload FROM record WHERE offset = 2").fetchone()
    flipped = bytes([payload[0], payload[1] ^ 8, *payload[2:]])
    database.execute("UPDATE record SET payload = ? WHERE offset = 2", (flipped,))
    database.commit()
    database.close()
    assert [r.offset for r in log.read(0, 9)] == [1, 3]
    assert [r.offset for r in log.read(1, 1)] == [3]
    assert log.damaged() == 1
    log.close()


def test_a_medium_that_refuses_is_told(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.db")
    log._writer.execute("PRAGMA max_page_count = 12")
    with pytest.raises(StorageFailed):
        log.append([record(0, b"{" + b" " * 500_000, 1)], [LANE], [])
    assert (log.read(0, 9), log.lanes()) == ([], [])
    log.close()


def test_only_its_owner_may_read_it_and_a_newer_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    SqliteLog(path).close()
    assert path.stat().st_mode & 0o077 == 0
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(ProblemError) as problem:
        SqliteLog(path)
    assert problem.value.problems[0].code == "LOG401"
