"""The judge killed at any place: what it judges again from its last commit is what it judged, and how often it commits."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from collector.config.rules_file import load_rules
from collector.consumer import Appended
from collector.domain.interpreted import Interpreted
from collector.domain.pulse import GatewayPulse
from collector.intake.records import BatchKey, Record
from collector.judge import RECORDS, SAVE_MS, Judge
from collector.rules.changes import Change, Raised
from collector.rules.engine import Engine
from collector.rules.rule import Rule
from tests.support.fakes import FakeLog
from tests.support.warnings import PLAIN_RULE, T0, Feed, county, rules_of, series

END_S = 240


@pytest.fixture
def rules(tmp_path: Path) -> tuple[Rule, ...]:
    return (*rules_of(tmp_path, PLAIN_RULE).values(), load_rules()["device-silent"])


class PlayedClock:
    """Both clocks, moved by the test."""

    def __init__(self) -> None:
        self.now_ms = T0

    def monotonic_ms(self) -> int:
        return self.now_ms

    def utc_ms(self) -> int:
        return self.now_ms


class Operations:
    """`judge.Ledger`: keeps what was committed, and refuses a warning that is told twice."""

    def __init__(self) -> None:
        self.told: dict[str, int | None] = {}
        self.commits = 0
        self._cursor, self._state = 0, b""

    def cursor(self) -> int:
        return self._cursor

    def rule_state(self) -> bytes:
        return self._state

    def commit(self, cursor: int, state: bytes, changes: Sequence[Change], now_ms: int) -> None:
        assert cursor >= self._cursor
        for change in changes:
            if isinstance(change, Raised):
                assert change.warning.id not in self.told
                self.told[change.warning.id] = change.warning.over_ms
            else:
                self.told[change.id] = change.over_ms
        self._cursor, self._state = cursor, state
        self.commits += 1


class Line:
    """A log that grows, and a judge behind it that may be killed."""

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self.clock, self.log, self.operations = PlayedClock(), FakeLog(), Operations()
        self._rules = rules
        self._known: dict[BatchKey, Interpreted] = {}
        self.start()

    def start(self) -> None:
        """Begins at the last commit."""
        began_ms = self.clock.now_ms
        self.judge = Judge(
            self.log, self.operations, lambda state: Engine(self._rules, county(), state, began_ms),
            lambda record: self._known[record.key], self._pulses, Appended(0), self.clock, lambda _: None, lambda: None,
        )  # fmt: skip
        self.following = self.judge._begin()

    def hear(self, message: Interpreted) -> None:
        """A message becomes durable in the log."""
        key = BatchKey("dawan", message.gateway.gateway, message.epoch, message.lane, message.seq)
        self._known[key] = message
        self.log.append([Record(0, key, message.received_ms, b"", "data")], [], [])

    def turn(self) -> None:
        """To the log's end, and a pulse if it is due."""
        while not self.judge._turn(self.following):
            pass

    def _pulses(self) -> list[GatewayPulse]:
        gateways = {message.gateway for message in self._known.values()}
        return [GatewayPulse(gateway, self.clock.now_ms, online=True) for gateway in sorted(gateways)]


def messages() -> list[Interpreted]:
    """Two gateways, one of them slow; holes that are filled in time; events, the last with nothing but pulses behind it."""
    one, two = Feed("gw-1"), Feed("gw-2")
    found = []
    for t in range(0, END_S, 5):
        low = 40 <= t < 100 or 150 <= t < 170
        readings = {float(s): 0.5 if low else 2.0 for s in range(t, t + 5)}
        found.append(one.data(series(), readings, t + 5 + (12 if t % 35 == 0 else 0)))
        found.append(two.data(series(gateway="gw-2"), readings, t + 11))
        if t % 60 == 0:
            found.append(one.event("device.silent", t % 120 == 0, t + 1, t + 2))
    found.append(one.event("device.silent", True, END_S, END_S + 1, subject="valve"))
    return sorted(found, key=lambda message: message.received_ms)


def play(rules: tuple[Rule, ...], kills: float, seed: int = 0) -> Operations:
    """Half a second after the other. kills: chance of a death in each, which takes what is not committed."""
    chance, line, coming = random.Random(seed), Line(rules), messages()
    for now_ms in range(T0, T0 + (END_S + 120) * 1000, 500):
        line.clock.now_ms = now_ms
        while coming and coming[0].received_ms <= now_ms:
            line.hear(coming.pop(0))
        line.turn()
        if chance.random() < kills:
            line.start()
    return line.operations


def test_killed_at_any_place_it_tells_the_same_warnings_each_once(rules: tuple[Rule, ...]) -> None:
    wanted = play(rules, 0).told
    assert len(wanted) == 7, "two gateways' level, twice; a device's silence, twice; another's at the end"
    assert [id.split("~")[3] for id, over_ms in wanted.items() if over_ms is None] == ["valve"]
    for seed in range(12):
        assert play(rules, (0.01, 0.1, 0.7)[seed % 3], seed).told == wanted, f"seed {seed}"


def test_it_commits_once_for_all_records_that_are_there_and_once_in_ten_seconds_beside(rules: tuple[Rule, ...]) -> None:
    line, feed = Line(rules), Feed()
    for t in range(RECORDS + 50):
        line.hear(feed.data(series(), {float(t): 2.0}, t))
    line.clock.now_ms = T0 + (RECORDS + 50) * 1000
    line.turn()
    assert line.operations.commits == 2
    assert line.operations.cursor() == RECORDS + 50
    for _ in range(10 * SAVE_MS // 1000):
        line.clock.now_ms += 1000
        line.turn()
    assert line.operations.commits <= 12
