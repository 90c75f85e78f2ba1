"""Pure. Episodes: one line, its instruments and its faults, under the real Master and Driver; and where each value was from."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

from edge_agent.io.link import Driver, Watch
from edge_agent.model.points import Framing, Table
from edge_agent.protocols.modbus import Ask, Master, Span, mask_request, write_request
from edge_agent.protocols.session import Failure, LinkDown, Session
from tests.bus_faults import faults as f
from tests.bus_faults import reference
from tests.bus_faults.instrument import Instrument
from tests.bus_faults.line import MS_PER_CHARACTER, Connection, Line, NeverStop, SimulatedClock
from tests.bus_faults.verdict import verdict_of

FRAMINGS: tuple[Framing, ...] = ("rtu", "ascii", "tcp", "rtu-over-tcp")
READS_OF_EPISODE = 400
FAULT_RATE = 0.45
TWINS_RATE = 0.05
_BAUDRATES = (1200, 9600, 19_200, 115_200)
_COUNTS: dict[Table, tuple[int, ...]] = {
    "holding": (1, 1, 2, 2, 2, 4, 10, 60), "input": (1, 2, 2, 4, 12), "coil": (16, 24, 24, 100), "discrete": (16, 24, 200),
}  # fmt: skip
_RESTED_MS = 30_000
"""As edge_agent/bus.py does."""
_WRITTEN_AT = (7, 8, 300)
_WRITTEN = (1, 2, 2, 9)
WRITES_RATE = 0.1


Asked = Session[Any]


@dataclass
class Account:
    """What came of many reads and writes."""

    reads: int = 0
    questions: int = 0
    faulty: int = 0
    values: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    planted: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Account) -> None:
        """Sums up."""
        for name in ("reads", "questions", "faulty", "values"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("verdicts", "failures", "planted"):
            getattr(self, name).update(getattr(other, name))
        self.wrong += other.wrong


@dataclass
class Polled:
    """A device as the asking side knows it."""

    unit: int
    spans: tuple[Span, ...]
    spoken_ms: float | None = None
    at: int = 0


class Episode:
    """One line for some hundred reads. The same seed gives the same."""

    def __init__(self, framing: Framing, seed: int) -> None:
        self.name = f"{framing} {seed}"
        self.chance = chance = Random(f"bus faults {framing} {seed}")
        self.framing = framing
        self.account = Account()
        is_network = framing in ("tcp", "rtu-over-tcp")
        self.timeout_ms = chance.choice((200, 500, 1000))
        self.polled = [self._polled(unit) for unit in chance.sample(range(1, 248 - 50), chance.randint(1, 4))]
        instruments = [self._instrument(polled, place=1) for polled in self.polled]
        self.has_twins = chance.random() < TWINS_RATE
        if self.has_twins:
            instruments.append(self._instrument(self.polled[0], place=2))
        kinds = f.NETWORK if framing == "tcp" else f.STREAM if is_network else f.SERIAL
        self.faults = f.Faults(chance, kinds, FAULT_RATE)
        self.faults.echoes = framing in ("rtu", "ascii") and chance.random() < 0.1
        self.faults.closes = is_network and chance.random() < 0.15
        self.faults.mixes = framing == "tcp" and chance.random() < 0.4
        byte_ms = 0.0 if is_network else MS_PER_CHARACTER / chance.choice(_BAUDRATES)
        self.clock = SimulatedClock()
        made = (self.clock, framing, chance, instruments, self.faults, byte_ms, self.timeout_ms)
        self.line = Connection(*made, quiet_ms=10.0 * (framing != "tcp")) if is_network else Line(*made)
        self.master = Master(framing)
        self.driver = Driver(self.line, self.clock, NeverStop(self.clock), self.master.connected)

    def _polled(self, unit: int) -> Polled:
        chance = self.chance
        spans, at = [], chance.randrange(1000)
        for _ in range(chance.choice((1, 2, 2, 3, 5))):
            table: Table = chance.choices(("holding", "input", "coil", "discrete"), (6, 3, 1, 1))[0]
            count = chance.choice(_COUNTS[table])
            spans.append(Span(table, at, count))
            at += count + chance.randrange(1, 50)
        return Polled(unit, tuple(spans))

    def _instrument(self, polled: Polled, place: int) -> Instrument:
        """An instrument that can be asked for one thing alone is feared for a shorter time (docs/reliability.md)."""
        chance = self.chance
        is_mute = chance.random() < 0.2
        is_lone = len({(span.table, count) for span in polled.spans for count in (1, span.count)}) < 2
        oldest_ms = (2 * self.timeout_ms if is_mute else 10_000) if is_lone else 25_000
        fast_ms = chance.uniform(1, 30)
        return Instrument(polled.unit, place, (fast_ms, fast_ms + chance.uniform(0, 60)), oldest_ms, is_mute)

    def run(self, reads: int = READS_OF_EPISODE) -> Account:
        """Reads and now and then writes, and judges each value and each confirmation."""
        for _ in range(reads):
            self._turn()
        account = self.account
        account.questions, account.faulty, account.planted = self.line.questions, self.line.faulty, self.faults.planted
        return account

    def _turn(self) -> None:
        chance = self.chance
        polled = chance.choice(self.polled)
        self.clock.now += chance.choices((0.0, 200.0, 1000.0, 11_000.0, 40_000.0), (60, 15, 15, 3, 1))[0]
        rested_ms = 0 if polled.spoken_ms is None else int(self.clock.now - polled.spoken_ms)
        if polled.spoken_ms is None or rested_ms > _RESTED_MS:
            self.master.rested(polled.unit)
        is_write = polled.spoken_ms is not None and chance.random() < WRITES_RATE
        wanted, session = self._write(polled) if is_write else self._read(polled, rested_ms)
        self.account.reads += 1
        try:
            words = self.driver.run(session, Watch())
        except LinkDown:
            self.account.failures["link"] += 1
        except Failure as failure:
            self.account.failures[failure.word] += 1
        else:
            self._judge(wanted, words or ())
        polled.spoken_ms = self.clock.now

    def _read(self, polled: Polled, rested_ms: int) -> tuple[reference.Wanted, Asked]:
        chance = self.chance
        span = polled.spans[polled.at % len(polled.spans)]
        polled.at += 1
        others = tuple(other for other in polled.spans if other != span)
        pause_ms, retries = chance.choice((0, 0, 0, 5)), chance.choice((0, 1, 1))
        ask = Ask(polled.unit, span, self.timeout_ms, pause_ms, retries, others, False, rested_ms)
        return reference.Wanted(polled.unit, reference.FUNCTION_OF[span.table], span.count), self.master.read(ask)

    def _write(self, polled: Polled) -> tuple[reference.Wanted, Asked]:
        """Behind a read, as everywhere: whether the adapter echoes is known by then."""
        chance, unit = self.chance, polled.unit
        function, address, count = chance.choice((5, 6, 15, 16, 22, 23, 23)), chance.choice(_WRITTEN_AT), chance.choice(_WRITTEN)
        words = [chance.randrange(65_536) for _ in range(count)]
        if function == 23:
            span = Span("holding", chance.choice(_WRITTEN_AT), chance.choice(_WRITTEN))
            session = self.master.read_write(unit, span, address, words, self.timeout_ms)
            return reference.Wanted(unit, 23, span.count), session
        if function == 22:
            request = mask_request(address, words[0], words[-1])
        else:
            values = [word & 1 for word in words] if function in (5, 15) else words
            request = write_request(function, address, values if function > 6 else values[:1])
        repeated = request[1:] if function == 22 else request[1:5]
        return reference.Wanted(unit, function, echo=repeated), self.master.write(unit, request, self.timeout_ms)

    def _judge(self, wanted: reference.Wanted, words: tuple[int, ...]) -> None:
        self.account.values += 1
        verdict = verdict_of(self.line, wanted, words)
        self.account.verdicts[verdict] += 1
        if verdict == "wrong":
            question = self.line.last
            assert question is not None
            self.account.wrong.append(
                f"{self.name}, turn {self.account.reads} (question {question.number}): "
                f"{wanted} gave {words[:8]}; heard {bytes(self.line.heard).hex(' ')}"
            )


def run(faulty: int, seed: int, framings: tuple[Framing, ...] = FRAMINGS) -> dict[Framing, Account]:
    """Episodes until so many questions met a fault, shared evenly among the framings."""
    accounts: dict[Framing, Account] = {framing: Account() for framing in framings}
    for framing, account in accounts.items():
        number = 0
        while account.faulty < faulty / len(framings):
            account.add(Episode(framing, 1_000_000 * seed + number).run())
            number += 1
    return accounts
