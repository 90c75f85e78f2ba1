"""Nothing that the collector keeps in memory grows with time: hours of one gateway's bad days go through its real parts.

Every container that can be reached from them is counted, hour by hour. The bounds of what only a flood fills are made small here,
so that each is reached; a second test takes every bound away and must see each of them missing.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType

import msgspec
import pytest

from collector import accountant, following
from collector.accountant import Accountant
from collector.config.rules_file import load_rules
from collector.consumer import Appended
from collector.domain.county import County
from collector.domain.identity import GatewayId
from collector.intake import core, daybook, foreign, gateway, interpret
from collector.intake.core import Intake
from collector.intake.machine import Append, Arrived, Committed, Connected, Event, Foreign, Start, Tick
from collector.io import account_book
from collector.io.account_book import SqliteAccountBook
from collector.judge import Judge
from collector.pipeline import _understand
from collector.recent_log import RecentLog
from collector.rules import arrivals
from collector.rules.changes import Change
from collector.rules.engine import Engine
from collector.rules.window import Window
from edge_agent.contract import encoding
from edge_agent.contract import message as m
from edge_agent.contract.message import Text
from edge_agent.contract.topics import Kind
from tests.support.fakes import FakeLog

GATEWAY = GatewayId("site-1", "gw-1")
T0 = 1_790_000_000_000
STEP_MS = 60_000
HOUR = 60
"""Batches."""
WARM_HOURS, MEASURED_HOURS = 4, 4
"""The longest window of the shipped rules over these series is two hours."""
COUNTY = County(Text("县", "County"))
ROLES = (("tank", "level", "m", "tank.level"), ("pump", "flow", "m3/h", "pump.flow"), ("pump", "out", "MPa", "outlet.pressure"))
BOUNDS = {
    (core, "MAX_SPOILED"): "Intake._spoiled",
    (core, "MAX_ASKED"): "Intake._asked",
    (foreign, "MAX_SENDERS"): "ForeignSenders._kept_ms",
    (gateway, "MAX_LANES"): "Gateway.lanes",
    (interpret, "MAX_BIRTHS"): "Births._series",
    (following, "MAX_HELD"): "Following._held",
    (arrivals, "MAX_LANES"): "Flow.lanes",
    (daybook, "MAX_HOLES"): "account: holes",
    (account_book, "LANES_KEPT"): "account: lanes",
    (accountant, "MOST_REASONS"): "Accountant._given_up",
}
"""What is made small, and where it is seen when it is not kept."""
KEPT = {"Intake._births"}
"""Grows as the log does, which keeps every birth: one for each configuration that a gateway ever had."""
SMALL, HUGE, SLACK = 16, 1 << 40, 12


class PlayedClock:
    """Both clocks, moved by the test."""

    def __init__(self) -> None:
        self.now_ms = T0

    def monotonic_ms(self) -> int:
        return self.now_ms

    def utc_ms(self) -> int:
        return self.now_ms


class KeptInMemory:
    """`judge.Ledger`."""

    def __init__(self) -> None:
        self._cursor, self._state = 0, b""

    def cursor(self) -> int:
        return self._cursor

    def rule_state(self) -> bytes:
        return self._state

    def commit(self, cursor: int, state: bytes, changes: list[Change], now_ms: int) -> None:
        self._cursor, self._state = cursor, state


class Parts:
    """What stands between broker and databases, in one thread; the account's database is real."""

    def __init__(self, folder: Path) -> None:
        self.clock = clock = PlayedClock()
        self.fake_log = FakeLog()
        self.log = RecentLog(self.fake_log)
        self.intake = Intake()
        self.book = SqliteAccountBook(folder / "account.sqlite")
        appended, pulses = Appended(0), self.intake.pulses
        engine = Engine(list(load_rules().values()), COUNTY)
        judge = Judge(
            self.log, KeptInMemory(), lambda _: engine, _understand(()), pulses, appended, clock, lambda _: None, lambda: None
        )
        account = Accountant(self.log, self.book, lambda _: DAYS, pulses, appended, clock, lambda _: None)
        self._following = [(consumer, consumer._begin()) for consumer in (judge, account)]
        account._stopping = NoWait()
        self._epoch, self._seq, self._urgent, self._n, self._low = 0, 0, 0, 0, 1
        self._tell(Start("log"))
        self._tell(Connected())

    def hour(self) -> None:
        """A restart each quarter, else a batch a minute; each fifth minute something is wrong."""
        for minute in range(HOUR):
            if minute % 15 == 0:
                self._restart()
            self._seq += 1 + (minute % 5 == 0)  # one is missing, and never comes
            self._low = self._seq - 3
            self._hear(self._batch(self._seq))
            if minute % 5 == 0:
                self._mishap()
            for _ in range(2):  # a consumer lets time pass in a turn that finds nothing new
                for consumer, where in self._following:
                    consumer._turn(where)
                self.clock.now_ms += STEP_MS // 2
            self._tell(Tick())
        self.fake_log.trim(self.fake_log.last_offset() - 50)

    def sizes(self) -> Counter[str]:
        """Elements of all containers, by the attribute that holds them."""
        found = counted(self.intake, self.log, *(part for pair in self._following for part in pair))
        ids = self.book._rows("SELECT site, gateway, epoch, lane FROM lane")
        books = [book for one in ids if (book := self.book.lane(daybook.LaneId(*one))) is not None]
        return found + Counter({"account: lanes": len(books), "account: holes": max(len(book.holes) for book in books)})

    def _restart(self) -> None:
        self._epoch, self._seq, self._urgent, self._low = self._epoch + 1, 0, 0, 1
        series = [m.Series(i, device, f"{point}-{i}", unit, role, 5000) for i, (device, point, unit, role) in enumerate(ROLES)]
        body = m.BirthBody(f"test {self._epoch}", series, [m.Device("tank"), m.Device("pump")])
        raw, self._name = encoding.encode_birth_body(body)
        self._urgent += 1
        self._hear(
            encoding.encode(m.Birth(1, self._now(), m.URGENT, 1, 1, self._name, "boot", self.clock.now_ms, msgspec.Raw(raw)))
        )

    def _mishap(self) -> None:
        self._n += 1
        n, now = self._n, self.clock.now_ms
        self._hear(b"no message %d" % n)
        self._tell(Foreign(f"user-{n}", "root/s/h/data", b"{}", 2, 1))
        self._hear(self._batch(self._seq))  # again
        unknown = m.Data(1, "1-00000000000000ff", "n", n, n, f"{n:016x}", now, m.Body())  # nobody knows its birth
        self._hear(encoding.encode(unknown))
        self._urgent += 1
        gap = m.Gap(self._now(), "n", max(1, self._seq - 1), max(1, self._seq - 1), 3, f"why-{n}", now, now)
        self._hear(encoding.encode(m.Data(1, self._now(), "u", self._urgent, 1, self._name, now, m.Body([], [], [gap]))))
        far_ms = now - 7 * 3_600_000 * (n % 2)  # an old run comes with a hole before each batch
        self._hear(encoding.encode(m.Data(1, "1-00000000000000ee", "n", 2 * n, 2 * n, self._name, far_ms, m.Body())))

    def _batch(self, seq: int) -> bytes:
        chance = Random(seq)
        body = m.Body([m.Block([0, 30_000], [m.Column(i, [chance.random(), chance.random()]) for i in range(len(ROLES))])])
        return encoding.encode(m.Data(1, self._now(), "n", seq, max(1, self._low), self._name, self.clock.now_ms - 40_000, body))

    def _now(self) -> str:
        return f"{self._epoch + 1}-{self._epoch:016x}"

    def _hear(self, payload: bytes) -> None:
        self._tell(Arrived("root/site-1/gw-1/data", GATEWAY, Kind.DATA, payload))

    def _tell(self, event: Event) -> None:
        for action in self.intake.step(self.clock.now_ms, event):
            if isinstance(action, Append):
                self.log.append(action.records, action.lanes, action.poison)
                self._tell(Committed(action.token))


class NoWait(threading.Event):
    """A turn of the test waits for no company."""

    def wait(self, timeout: float | None = None) -> bool:
        return False


DAYS = daybook.calendars(lambda _: "UTC")("site-1")
OPAQUE = (str, bytes, int, float, type(None), type, ModuleType, BuiltinFunctionType, MethodType, FakeLog, KeptInMemory)


def counted(*roots: object) -> Counter[str]:
    """How many elements the containers below these hold, by class and attribute of the nearest object above."""
    found, seen = Counter[str](), set[int]()
    waiting: deque[tuple[str, object]] = deque(("", root) for root in roots)
    while waiting:
        where, one = waiting.pop()
        if isinstance(one, OPAQUE) or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, dict):
            found[where] += len(one)
            waiting += ((where, each) for pair in one.items() for each in pair)
        elif isinstance(one, list | tuple | set | frozenset | deque):
            found[where] += len(one)
            waiting += ((where, each) for each in one)
        elif isinstance(one, FunctionType):
            waiting += (("closure", cell.cell_contents) for cell in one.__closure__ or ())
        elif hasattr(one, "typecode"):
            found[where] += len(one)  # type: ignore[arg-type]  # an array
        else:
            waiting += ((f"{type(one).__name__}.{name}", value) for name, value in attributes(one))
    return found


def attributes(one: object) -> Iterator[tuple[str, object]]:
    """Of any kind of object that the collector has."""
    names = [*getattr(one, "__dict__", ()), *getattr(one, "__struct_fields__", ())]
    for base in type(one).__mro__:
        slots = base.__dict__.get("__slots__", ())
        names += [slots] if isinstance(slots, str) else slots
    yield from ((name, getattr(one, name)) for name in names if name not in {"__weakref__", "__dict__"} and hasattr(one, name))


def grown(folder: Path) -> dict[str, tuple[int, int]]:
    """What was larger in a measured hour than in any before, but for a few: the most before and since."""
    parts, hours = Parts(folder), list[Counter[str]]()
    with closing(parts.book):
        for _ in range(WARM_HOURS + MEASURED_HOURS):
            parts.hour()
            hours.append(parts.sizes())
    found = {}
    for name in {name for hour in hours for name in hour} - KEPT:
        before, since = (max(hour[name] for hour in some) for some in (hours[:WARM_HOURS], hours[WARM_HOURS:]))
        if since > before + SLACK:
            found[name] = (before, since)
    return found


def test_nothing_grows_with_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in BOUNDS:
        monkeypatch.setattr(module, name, SMALL)
    assert grown(tmp_path) == {}


def test_each_bound_that_is_not_kept_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in BOUNDS:
        monkeypatch.setattr(module, name, HUGE)
    monkeypatch.setattr(Window, "_drop_older", lambda _window, _at_ms: None)
    monkeypatch.setattr(RecentLog, "_forget_until", lambda _log, _offset: None)
    assert set(BOUNDS.values()) | {"Steps.total", "RecentLog._recent"} <= grown(tmp_path).keys()
