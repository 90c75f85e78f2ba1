"""Pure. What follows the simulated log: the product's store writer and warning engine, turn by turn, and warnings without faults.

The classes are those of the product; only their threads are left out, and a try again follows at once.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from collector.config.rules_file import load_rule_files
from collector.consumer import Appended
from collector.domain.county import County
from collector.domain.interpreted import Interpreted
from collector.domain.pulse import GatewayPulse
from collector.following import Following, Understand
from collector.intake.interpret import Births, interpret
from collector.intake.records import Record
from collector.judge import Judge
from collector.rules.engine import Engine
from collector.rules.rule import Rule
from collector.seams import Log, StorageFailed
from collector.store_writer import StoreWriter
from edge_agent.contract import encoding
from edge_agent.contract.message import Text
from tests.sim.logs import SimLedger, SimLog, SimStore
from tests.sim.world import World

RULES = """
group: {zh: 试, en: test}
rules:
  - id: level-low
    level: yellow
    title: {zh: 低, en: low}
    meaning: {zh: 低, en: low}
    cause: {zh: 低, en: low}
    action: {zh: 看, en: look}
    needs: {L: {role: tank.level, unit: m}}
    params: {low: {value: 1, unit: m, source: "[H]"}}
    when: L < low
    for: 150s
    clear: L > low + 0.1
    clear_for: 90s
  - id: level-falls
    level: blue
    title: {zh: 降, en: falls}
    meaning: {zh: 降, en: falls}
    cause: {zh: 降, en: falls}
    action: {zh: 看, en: look}
    needs: {L: {role: tank.level, unit: m}}
    params: {step: {value: 2, unit: m, source: "[H]"}, span: {value: 5, unit: min, source: "[H]"}}
    when: max(L, span) - L > step
    for: 0s
    clear: max(L, span) - L < step
    clear_for: 0s
  - id: level-low-and-no-flow
    level: yellow
    title: {zh: 无水, en: no water}
    meaning: {zh: 无水, en: no water}
    cause: {zh: 无水, en: no water}
    action: {zh: 看, en: look}
    needs: {L: {role: tank.level, unit: m}, Q: {role: inlet.flow, unit: m3/h}}
    when: L < 1 and Q < 1
    for: 150s
    clear: L > 2 or Q > 2
    clear_for: 90s
  - id: flow-low
    level: blue
    title: {zh: 少, en: little}
    meaning: {zh: 少, en: little}
    cause: {zh: 少, en: little}
    action: {zh: 看, en: look}
    needs: {Q: {role: inlet.flow, unit: m3/h}}
    when: Q < 1
    for: 150s
    clear_for: 90s
  - id: sim-trouble
    kind: event
    event: sim.event
    level: blue
    title: {zh: 事, en: event}
    meaning: {zh: 事, en: event}
    cause: {zh: 事, en: event}
    action: {zh: 看, en: look}
    for: 60s
"""
LATE = 60_000


class SimClock:
    """The collector's clocks: true time and what it is off by."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.error_ms = 0

    def monotonic_ms(self) -> int:
        """Counts on."""
        return self._world.now_ms

    def utc_ms(self) -> int:
        """What the collector believes."""
        return self._world.now_ms + self.error_ms


class Writer(StoreWriter):
    """The product's, without a thread."""

    def begin(self) -> Following:
        """Where the last run stopped."""
        return self._begin()

    def turn(self, following: Following) -> float:
        """One turn."""
        return self._turn(following)

    def _until_done(self, attempt: Callable[[], None]) -> bool:
        return _again(attempt)


class SimJudge(Judge):
    """The product's, without a thread."""

    def begin(self) -> Following:
        """Where the last run stopped."""
        return self._begin()

    def turn(self, following: Following) -> float:
        """One turn."""
        return self._turn(following)

    @property
    def counts(self) -> dict[str, int]:
        """What was not judged."""
        rules = self._rules
        assert isinstance(rules, Engine)
        return rules.counts()

    def _until_done(self, attempt: Callable[[], None]) -> bool:
        return _again(attempt)


def _again(attempt: Callable[[], None]) -> bool:
    while True:
        try:
            attempt()
        except StorageFailed:
            continue
        return True


@dataclass(frozen=True, slots=True)
class Consumers:
    """The classes of a run; a planted bug replaces one."""

    writer: type[Writer] = Writer
    judge: type[SimJudge] = SimJudge


class Readers:
    """Both consumers of one collector program."""

    def __init__(
        self, classes: Consumers, log: SimLog, store: SimStore, ledger: SimLedger | None, clock: SimClock,
        pulses: Callable[[], Sequence[GatewayPulse]],
    ) -> None:  # fmt: skip
        appended = Appended(0)
        known: Log = log  # type: ignore[assignment]
        self.writer = classes.writer(known, store, understand(log), appended, clock, _beat)  # type: ignore[arg-type]
        self.written = self.writer.begin()
        self.judge: SimJudge | None = None
        self.judged: Following | None = None
        if ledger is not None:
            began_ms = clock.utc_ms()
            self.judge = classes.judge(
                known, ledger, lambda state: Engine(rules(), COUNTY, state or None, began_ms), understand(log), pulses,
                appended, clock, _beat, _nothing,
            )  # fmt: skip
            self.judged = self.judge.begin()

    def write(self) -> None:
        """The store writer reads to the log's end."""
        while not self.writer.turn(self.written):
            pass

    def judge_all(self) -> None:
        """The warning engine reads to the log's end, then looks at the gateways."""
        if self.judge is not None and self.judged is not None:
            while not self.judge.turn(self.judged):
                pass

    def waits(self) -> bool:
        """True if something waits for its birth."""
        return bool(self.written.held or (self.judged is not None and self.judged.held))

    def safe(self) -> int:
        """What the log must keep lies above this offset."""
        return min(self.written.safe, self.judged.safe if self.judged is not None else self.written.safe)

    def position(self) -> int:
        """Both have read up to here."""
        return min(self.written.position, self.judged.position if self.judged is not None else self.written.position)


COUNTY = County(Text("县", "county"), {}, {}, ())


@lru_cache(maxsize=1)
def rules() -> tuple[Rule, ...]:
    """Two process rules and an event rule."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rules.yaml")
        path.write_text(RULES, encoding="utf-8")
        return tuple(load_rule_files([path]).values())


def understand(log: SimLog) -> Understand:
    """Reads records with births of its own."""
    births = Births()
    births.load(log.births())

    def understood(record: Record) -> Interpreted | None:
        return interpret(record, births)

    return understood


def without_faults(log: SimLog, pulses: Sequence[GatewayPulse] = ()) -> dict[str, int | None] | None:
    """The warnings of a line that brought the same readings one by one as they were taken; None where even that has late ones.

    pulses: of the end. What was on stays on as long as its gateway is heard, also without a reading.
    """
    births = Births()
    births.load([record for record in log.records.values() if record.kind == "birth"])
    taken: list[tuple[int, Interpreted]] = []
    for record in log.records.values():
        known = interpret(record, births)
        if known is not None:
            stamps = [column.times[-1] for column in known.columns] + [event.time_ms for event in known.events]
            taken.append((max(stamps, default=encoding.decode_sequenced(record.payload).t0), known))
    ledger = SimLedger(World(0))
    engine = Engine(rules(), COUNTY)
    end_ms = 0
    for at_ms, known in sorted(taken, key=lambda pair: (pair[0], pair[1].epoch, pair[1].lane, pair[1].seq)):
        end_ms = max(end_ms, at_ms)
        ledger.apply(0, b"", engine.step(end_ms, replace(known, received_ms=end_ms)))
        ledger.apply(0, b"", engine.step(end_ms, []))
    for _ in range(30):
        end_ms += LATE
        ledger.apply(0, b"", engine.step(end_ms, pulses))
    counts = engine.counts()
    return None if counts["late"] or counts["ahead"] else ledger.warnings


def _beat(_: str) -> None:
    """Nobody watches."""


def _nothing() -> None:
    """Nobody waits."""
