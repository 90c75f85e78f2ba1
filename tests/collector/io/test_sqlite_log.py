"""The log on SQLite passes the suite, is whole after a crash at its commit, and never serves a damaged record."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collector.io.sqlite_log import SqliteLog
from collector.seams import Log, StorageFailed
from edge_agent.common import hazard
from edge_agent.common.problem import ProblemError
from tests.suites.log import LANE, LogSuite
from tests.support.line import birth, data, record


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


def test_a_record_under_another_key_is_damaged_too(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.db")
    log.append([record(0, data(seq, [1.0]), seq) for seq in (1, 2)], [], [])
    log._writer.execute("UPDATE record SET seq = 7 WHERE offset = 1")
    assert [r.key.seq for r in log.read(0, 9)] == [2]
    log.close()


def test_trimming_keeps_one_copy_of_each_birth(tmp_path: Path) -> None:
    """Each start of an agent sends its birth again under a new epoch."""
    log = SqliteLog(tmp_path / "log.db")
    for start in range(1, 5):
        epoch = f"{start}-0123456789abcdef"
        log.append(
            [record(0, birth(epoch=epoch)[0], 1, "u", "birth", epoch), record(0, data(1, [1.0], epoch=epoch), 1, epoch=epoch)],
            [],
            [],
        )
    other = birth(hold_ms=5, epoch="9-0123456789abcdef")[0]
    log.append([record(0, other, 1, "u", "birth", "9-0123456789abcdef")], [], [])
    assert log.trim(9) == 4 + 3
    assert [r.key.epoch[0] for r in log.births()] == ["4", "9"]
    assert log.offset_before(0) == 10, "births are no data that could be aged out"
    log.close()


def test_a_folder_that_cannot_be_made_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ProblemError) as problem:
        SqliteLog(tmp_path / "file" / "log.db")
    assert problem.value.problems[0].code == "LOG402"


_WRITER = """
import sys
from pathlib import Path
from collector.io.sqlite_log import SqliteLog
from tests.support.line import birth, data, record
log = SqliteLog(Path(sys.argv[1]))
for seq in range(1, 100_000):
    log.append([record(0, data(seq, [1.0]), seq)], [], [])
    print(seq, flush=True)
"""


def test_what_was_told_to_be_durable_survives_kill_9(tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path / "log.db")], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    told = [int(writer.stdout.readline()) for _ in range(50)][-1]
    writer.send_signal(signal.SIGKILL)
    told = max([told, *(int(line) for line in writer.stdout.read().split("\n")[:-1])])
    writer.stdout.close()
    writer.wait(10)
    log = SqliteLog(tmp_path / "log.db")
    assert [r.key.seq for r in log.read(0, 1_000_000)][:told] == list(range(1, told + 1))
    log.close()
