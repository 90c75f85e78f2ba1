"""Pure. What must hold at each step and at rest; every breach raises `Broken`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from collector.intake.records import BatchKey
from edge_agent.contract import message as m
from edge_agent.contract.encoding import decode_body, decode_sequenced, times_ms
from edge_agent.delivery.batching import Closed
from edge_agent.delivery.courier import Courier
from edge_agent.delivery.machine import Key
from edge_agent.delivery.outbox import Held


class Broken(AssertionError):
    """A law of delivery does not hold."""


@dataclass(slots=True)
class Fact:
    """One reading as it truly was."""

    true_ms: int
    """True UTC when it was taken."""
    accepted_ms: int
    """World time when the courier had it."""
    must_arrive: bool = True
    """False: a crash came before its window was over."""


@dataclass(slots=True)
class Ledger:
    """Everything that was taken, sent and made durable. A reading's value is its name: no two are equal."""

    facts: dict[int, Fact] = field(default_factory=dict)
    sent: dict[Key, tuple[object, ...]] = field(default_factory=dict)
    contents: dict[Key, tuple[int, ...]] = field(default_factory=dict)
    """Readings of each batch ever closed."""
    low: dict[tuple[str, str], int] = field(default_factory=dict)
    checked: dict[tuple[str, str], int] = field(default_factory=dict)
    publishes: int = 0

    def watch(self, courier: Courier, log: Callable[[], set[tuple[str, str, int]]]) -> None:
        """Notes what each batch contains that the courier closes from now on, and whether what it lets go is in the log."""
        holding, hold, confirm = courier.holding, courier.holding.hold, courier.holding.confirm

        def noting(closed: Closed) -> None:
            hold(closed)
            key = Key(holding.epoch, closed.lane, holding.last_seq(closed.lane))
            self.contents[key] = values_of(decode_body(closed.body))

        def checking(held: Held) -> None:
            if tuple(held.key) not in log():
                raise Broken(f"{held.key} was let go before it was durable")
            confirm(held)

        holding.hold = noting  # type: ignore[method-assign]
        holding.confirm = checking  # type: ignore[method-assign]

    def published(self, payload: bytes) -> None:
        """A sequence stands for one content and one stamp, for ever."""
        self.publishes += 1
        message = decode_sequenced(payload)
        body = bytes(message.body) if isinstance(message, m.Birth) else message.d
        content = (message.t0, message.c, repr(body))
        key = Key(message.e, message.l, message.s)
        if self.sent.setdefault(key, content) != content:
            raise Broken(f"{key} was sent with another content or stamp before")
        lane = (message.e, message.l)
        self.low[lane] = max(self.low.get(lane, 1), message.low)

    def receipted(self, receipt: m.Receipt, log: set[tuple[str, str, int]]) -> None:
        """A receipt speaks only of what is durable, or of what the agent said it does not hold."""
        for lane in receipt.lanes:
            at = (lane.e, lane.l)
            first = max(self.checked.get(at, 1), self.low.get(at, 1))
            for a, z in ((first, lane.upto), *lane.ranges):
                for seq in range(a, z + 1):
                    if (lane.e, lane.l, seq) not in log and seq >= self.low.get(at, 1):
                        raise Broken(f"receipt for {lane.e} {lane.l} {seq}, which is not durable")
            self.checked[at] = max(self.checked.get(at, 1), lane.upto + 1)

    def at_rest(self, log: dict[BatchKey, bytes], held: int) -> None:
        """Every reading past its window is in the log exactly once with the right stamp, or a gap record speaks of it."""
        if held:
            raise Broken(f"{held} messages were never delivered")
        seen: dict[int, Key] = {}
        reported: set[int] = set()
        births, named = set(), set()
        for key, payload in log.items():
            message = decode_sequenced(payload)
            if isinstance(message, m.Birth):
                births.add(message.h)
                continue
            named.add(message.b)
            self._stamps(message, Key(key.epoch, key.lane, key.seq), seen)
            for gap in message.d.gaps:
                for seq in range(gap.a, gap.z + 1):
                    reported.update(self.contents.get(Key(gap.e, gap.l, seq), ()))
        if named - births:
            raise Broken(f"no birth for {named - births}")
        missing = [name for name, fact in self.facts.items() if fact.must_arrive and name not in seen and name not in reported]
        if missing:
            raise Broken(f"{len(missing)} readings lost, the first one {missing[0]}: {self.facts[missing[0]]}")

    def _stamps(self, message: m.Data, key: Key, seen: dict[int, Key]) -> None:
        bound_ms = message.c.bound_ms if message.c else 1000
        for block in message.d.blocks:
            for column in block.c:
                for value, time_ms in zip(column.v, times_ms(message.t0, block), strict=True):
                    if not isinstance(value, int) or value not in self.facts:
                        raise Broken(f"{key} holds {value!r}, which nobody measured")
                    if value in seen:
                        raise Broken(f"reading {value} is in {seen[value]} and in {key}")
                    seen[value] = key
                    wrong_ms = abs(time_ms - self.facts[value].true_ms)
                    if wrong_ms > bound_ms:
                        raise Broken(f"{key}: reading {value} is stamped {wrong_ms} ms off, told {bound_ms}")


def values_of(body: m.Body) -> tuple[int, ...]:
    """The names of the readings in a body."""
    return tuple(value for block in body.blocks for column in block.c for value in column.v if isinstance(value, int))
