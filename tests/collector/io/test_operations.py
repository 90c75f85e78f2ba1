"""The operations database, and the fake that stands for it elsewhere."""

from __future__ import annotations

import sqlite3
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.domain.county import County
from collector.io.operations import FIRST_RETRY_MS, GIVE_UP_MS, LEASE_MS, SqliteOperations
from collector.rules.changes import Over, Raised
from collector.seams import Outcome, StorageFailed
from edge_agent.common.problem import ProblemError
from edge_agent.common.row_checks import teach
from edge_agent.contract.message import Text
from tests.suites.operations import OperationsSuite
from tests.support.warnings import T0, MemoryOperations, county, raised

OK = Outcome(ok=True, retry=False, detail="200")
AGAIN = Outcome(ok=False, retry=True, detail="503 busy")
NEVER = Outcome(ok=False, retry=False, detail="404")


class TestMemory(OperationsSuite):
    @pytest.fixture
    def operations(self) -> MemoryOperations:
        return MemoryOperations(county())


class TestSqlite(OperationsSuite):
    @pytest.fixture
    def operations(self, tmp_path: Path) -> Iterator[SqliteOperations]:
        opened = SqliteOperations(tmp_path / "operations.db", county())
        yield opened
        opened.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "operations.db"


@pytest.fixture
def told(path: Path) -> Iterator[SqliteOperations]:
    opened = SqliteOperations(path, county(), channels=("duty",), page_url="http://page.example/")
    yield opened
    opened.close()


def test_state_cursor_and_changes_are_one(told: SqliteOperations, path: Path) -> None:
    assert (told.cursor(), told.rule_state()) == (0, b"")
    told.commit(7, b"state", [Raised(raised())], T0)
    with pytest.raises(StorageFailed):
        told.commit(8, object(), [Raised(raised(began_s=9))], T0)  # type: ignore[arg-type]  # the database refuses it
    other = SqliteOperations(path, county())
    assert (other.cursor(), other.rule_state(), len(other.warnings())) == (7, b"state", 1)
    other.close()


def test_what_is_told_and_to_whom(told: SqliteOperations) -> None:
    past = raised(began_s=1, state="past", over_s=2)
    told.commit(1, b"", [Raised(raised()), Raised(past)], T0)
    (due,) = told.due(T0)
    assert (due.channel, due.attempt, due.notice.kind) == ("duty", 1, "raised")
    assert due.notice.link == f"http://page.example/warnings/{raised().id}"
    assert "李工" in due.notice.text.zh
    assert "Dawan" in due.notice.text.en
    assert "0.5 m" in due.notice.text.en
    told.sent(due.notice.id, OK, T0 + 50)
    found = told.warning(raised().id)
    assert found is not None
    assert found.sent_ms == T0 + 50
    told.commit(2, b"", [Over(raised().id, T0 + 60_000, T0 + 61_000)], T0 + 61_000)
    assert [d.notice.kind for d in told.due(T0 + 61_000)] == ["over"]
    assert told.deliveries(past.id) == [], "what was over before it was known rings nobody's telephone"


def test_tried_again_with_growing_pauses_until_given_up(told: SqliteOperations) -> None:
    told.commit(1, b"", [Raised(raised())], T0)
    now_ms, pauses = T0, []
    while due := told.due(now_ms):
        assert told.due(now_ms) == [], "lent out: nobody else gets it"
        told.sent(due[0].notice.id, AGAIN, now_ms)
        before = now_ms
        while now_ms - before < 1_000_000 and not _is_due(told, now_ms):
            now_ms += 1000
        pauses.append(now_ms - before)
        if now_ms - T0 > GIVE_UP_MS + 2_000_000:
            break
    assert pauses[:4] == [FIRST_RETRY_MS, 2 * FIRST_RETRY_MS, 4 * FIRST_RETRY_MS, 8 * FIRST_RETRY_MS]
    assert max(pauses[:-1]) == 900_000
    (delivery,) = told.deliveries(raised().id)
    assert (delivery.state, delivery.detail) == ("failed", "503 busy")


def _is_due(operations: SqliteOperations, now_ms: int) -> bool:
    return bool(operations._read("SELECT 1 FROM notices WHERE next_ms <= ?", (now_ms,)))


def test_a_plain_refusal_is_final(told: SqliteOperations) -> None:
    told.commit(1, b"", [Raised(raised())], T0)
    (due,) = told.due(T0)
    told.sent(due.notice.id, NEVER, T0)
    assert told.due(T0 + GIVE_UP_MS) == []
    assert told.deliveries(raised().id)[0].state == "failed"


def test_a_restart_neither_repeats_nor_loses_a_notice(told: SqliteOperations, path: Path) -> None:
    told.commit(1, b"", [Raised(raised()), Raised(raised(began_s=9))], T0)
    done, lost = told.due(T0)
    told.sent(done.notice.id, OK, T0)
    told.close()
    again = SqliteOperations(path, county(), channels=("duty",))
    again.commit(1, b"", [Raised(raised()), Raised(raised(began_s=9))], T0)
    assert again.due(T0 + LEASE_MS - 1) == []
    (due,) = again.due(T0 + LEASE_MS)
    assert (due.notice.id, due.attempt) == (lost.notice.id, 2), "the same id, so that the receiver can drop a repeat"
    again.close()


def test_the_audit_trail_shows_every_change(told: SqliteOperations, path: Path) -> None:
    told.commit(1, b"", [Raised(raised())], T0)
    told.act(raised().id, "acknowledge", "wang", "在路上", T0 + 1)
    assert told.verify_audit() is None
    number, head = told.audit_head()
    assert (number, len(head)) == (2, 64)
    with sqlite3.connect(path) as db:
        teach(db)  # by somebody who knows how rows are checked
        db.execute("UPDATE acts SET who = 'zhang' WHERE n = 2")
    problem = told.verify_audit()
    assert problem is not None
    assert (problem.code, "line 2" in problem.where) == ("OPS703", True)
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM acts WHERE n = 1")
    assert told.verify_audit() is not None


def test_a_newer_schema_and_damage_are_refused_in_words(path: Path, tmp_path: Path) -> None:
    SqliteOperations(path, county()).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(ProblemError, match="OPS701"):
        SqliteOperations(path, county())
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"no database at all" * 100)
    opened = SqliteOperations(broken, county())
    assert [problem.code for problem in opened.problems()] == ["OPS704"]
    assert (tmp_path / "broken.db.damaged-1").read_bytes().startswith(b"no database")
    opened.close()
    with pytest.raises(ProblemError, match="OPS702"):
        SqliteOperations(tmp_path, county())


def test_nobody_else_may_read_the_file(told: SqliteOperations, path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_readers_and_writers_at_once(told: SqliteOperations) -> None:
    failures: list[Exception] = []

    def read() -> None:
        try:
            for _ in range(50):
                told.warnings()
        except (StorageFailed, sqlite3.Error) as error:
            failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for n in range(30):
        told.commit(n, b"", [Raised(raised(began_s=n))], T0)
    for thread in threads:
        thread.join(10)
    assert failures == []
    assert len(told.warnings()) == 30


def test_a_summary_is_stored_and_told_once(told: SqliteOperations) -> None:
    assert told.store_summary("2026-11-23", Text("日报", "summary"), T0)
    assert not told.store_summary("2026-11-23", Text("日报", "summary"), T0)
    assert told.summary_days() == {"2026-11-23"}
    assert [s.text.en for s in told.summaries()] == ["summary"]
    assert [d.notice.kind for d in told.due(T0)] == ["summary"]


def test_a_site_that_is_not_listed_still_gets_its_warning(path: Path) -> None:
    opened = SqliteOperations(path, County(Text("", "")), channels=("duty",))
    opened.commit(1, b"", [Raised(raised())], T0)
    assert "dawan" in opened.due(T0)[0].notice.text.zh
    opened.close()
