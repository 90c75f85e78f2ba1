"""Pure. Episodes: one line, its instruments and its faults, under the real Master and Driver; and where each value was from."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from edge_agent.io.link import Driver, Watch
from edge_agent.model.points import Framing, Table
from edge_agent.protocols.modbus import Ask, Master, Span
from edge_agent.protocols.session import Failure, LinkDown
from tests.bus_faults import faults as f
from tests.bus_faults import reference
from tests.bus_faults.instrument import Instrument
from tests.bus_faults.line import MS_PER_CHARACTER, Connection, Line, NeverStop, SimulatedClock

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
Verdict = Literal["right", "unseen damage", "wrong"]


@dataclass
class Account:
    """What came of many reads."""

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
        self.has_twins = framing != "tcp" and chance.random() < TWINS_RATE
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
        """Reads, and judges each value."""
        for _ in range(reads):
            self._read()
        account = self.account
        account.questions, account.faulty, account.planted = self.line.questions, self.line.faulty, self.faults.planted
        return account

    def _read(self) -> None:
        chance, account = self.chance, self.account
        polled = chance.choice(self.polled)
        span = polled.spans[polled.at % len(polled.spans)]
        polled.at += 1
        self.clock.now += chance.choices((0.0, 200.0, 1000.0, 11_000.0, 40_000.0), (60, 15, 15, 3, 1))[0]
        rested_ms = 0 if polled.spoken_ms is None else int(self.clock.now - polled.spoken_ms)
        if polled.spoken_ms is None or rested_ms > _RESTED_MS:
            self.master.rested(polled.unit)
        others = tuple(other for other in polled.spans if other != span)
        ask = Ask(
            polled.unit, span, self.timeout_ms, chance.choice((0, 0, 0, 5)), chance.choice((0, 1, 1)), others, False, rested_ms
        )
        account.reads += 1
        try:
            words = self.driver.run(self.master.read(ask), Watch())
        except LinkDown:
            account.failures["link"] += 1
        except Failure as failure:
            account.failures[failure.word] += 1
        else:
            account.values += 1
            self._judge(span, words)
        polled.spoken_ms = self.clock.now

    def _judge(self, span: Span, words: tuple[int, ...]) -> None:
        question = self.line.last
        assert question is not None
        wanted = reference.Wanted(question.unit, reference.FUNCTION_OF[span.table], span.count)
        truths = [
            reference.says(wanted, instrument.answered[question.number])
            for instrument in self.line.instruments
            if instrument.unit == question.unit and question.number in instrument.answered
        ]
        if words in truths:
            self.account.verdicts["right"] += 1
            return
        verdict = self._origin(wanted, words)
        self.account.verdicts[verdict] += 1
        if verdict == "wrong":
            self.account.wrong.append(
                f"{self.name}, read {self.account.reads} (question {question.number}): "
                f"unit {question.unit} {span} gave {words[:8]}; "
                f"heard {bytes(self.line.heard).hex(' ')}"
            )

    def _origin(self, wanted: reference.Wanted, words: tuple[int, ...]) -> Verdict:
        """`unseen damage`: the bytes that came hold a frame with this content that fits in every field and was never sent so."""
        heard, question = bytes(self.line.heard), self.line.last
        assert question is not None
        if self.framing == "tcp":
            pdus = list(reference.tcp_pdus(heard, question.transaction, wanted.unit))
        elif self.framing == "ascii":
            pdus = list(reference.ascii_pdus(heard, wanted.unit))
        else:
            pdus = list(reference.rtu_pdus(heard, wanted.unit, reference.length_of(wanted)))
        fitting = [pdu for pdu in pdus if reference.says(wanted, pdu) == words]
        if not fitting:
            return "wrong"
        sent = {frame.made for frame in self.line.frames if frame.is_intact}
        return "wrong" if any(self.line.framed(question, pdu) in sent for pdu in fitting) else "unseen damage"


def run(faulty: int, seed: int, framings: tuple[Framing, ...] = FRAMINGS) -> dict[Framing, Account]:
    """Episodes until so many questions met a fault, shared evenly among the framings."""
    accounts: dict[Framing, Account] = {framing: Account() for framing in framings}
    for framing, account in accounts.items():
        number = 0
        while account.faulty < faulty / len(framings):
            account.add(Episode(framing, 1_000_000 * seed + number).run())
            number += 1
    return accounts
