"""What lends consumers the newest records gives the same as the log itself, and holds little."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector import recent_log
from collector.intake.records import Record
from collector.io.sqlite_log import SqliteLog
from collector.recent_log import RecentLog
from collector.seams import Log, StorageFailed
from edge_agent.contract import encoding
from tests.suites.log import LogSuite
from tests.support.fakes import FakeLog
from tests.support.line import data, record


class TestRecentLog(LogSuite):
    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Callable[[], Log]:
        return lambda: RecentLog(SqliteLog(tmp_path / "log.sqlite"))


def decoded(seq: int, values: int = 1) -> Record:
    """As the intake hands it on."""
    payload = data(seq, [float(n) for n in range(values)])
    made = record(0, payload, seq)
    return Record(0, made.key, made.received_ms, payload, "data", encoding.decode_sequenced(payload))


def test_the_newest_come_decoded_and_what_was_restarted_is_read_from_the_log() -> None:
    behind = FakeLog()
    log = RecentLog(behind)
    log.append([decoded(1), decoded(2)], [], [])
    assert [r.head is not None for r in log.read(0, 10)] == [True, True]
    assert [r.offset for r in log.read(1, 10)] == [2]
    assert [r.head for r in RecentLog(behind).read(0, 10)] == [None, None]


@settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.lists(st.integers(1, 30), min_size=1, max_size=5, unique=True)),
            st.tuples(st.just("read"), st.tuples(st.integers(0, 40), st.integers(1, 10))),
            st.tuples(st.just("trim"), st.integers(1, 30)),
        ),
        max_size=30,
    )
)
def test_reading_gives_what_the_log_gives(steps: list[tuple[str, object]]) -> None:
    behind = FakeLog()
    log = RecentLog(behind)
    for what, about in steps:
        if what == "append":
            log.append([decoded(seq) for seq in about], [], [])  # type: ignore[attr-defined]
        elif what == "trim":
            log.trim(about)  # type: ignore[arg-type]
        else:
            after, limit = about  # type: ignore[misc]
            assert list(log.read(after, limit)) == list(behind.read(after, limit))  # type: ignore[has-type]


def test_what_every_consumer_has_had_is_let_go_and_one_that_lags_holds_no_more_than_the_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recent_log, "MOST_READINGS", 20)
    behind = FakeLog()
    log = RecentLog(behind)
    log.append([decoded(seq, 3) for seq in range(1, 6)], [], [])
    log.read(5, 1)
    log.append([decoded(seq, 3) for seq in range(6, 11)], [], [])
    assert [r.head is None for r in log.read(5, 9)] == [False] * 5
    assert [r.head is None for r in log.read(4, 9)] == [True] * 6, "what all had is read from the log when it is asked again"
    log.append([decoded(seq, 3) for seq in range(11, 31)], [], [])
    assert [r.head is None for r in log.read(24, 9)] == [False] * 6, "six of three readings are within twenty"
    assert [r.head is None for r in log.read(23, 9)] == [True] * 7


def test_what_the_log_refused_is_never_lent() -> None:
    behind = FakeLog()
    log = RecentLog(behind)
    behind.failure = "full"
    with pytest.raises(StorageFailed):
        log.append([decoded(1)], [], [])
    behind.failure = ""
    assert list(log.read(0, 5)) == []
