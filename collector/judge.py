"""Does I/O: the consumer that judges warnings: steps the engine through the log, and with every second of the collector's time.

The engine's state, the cursor and the changes are committed together: no warning is made twice or lost, whatever happens between.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from collector.consumer import GIVE_UP_MS, Appended, Consumer
from collector.domain.interpreted import Interpreted
from collector.domain.pulse import GatewayPulse
from collector.following import Following, Understand
from collector.rules.changes import Change
from collector.seams import Log
from edge_agent.common.clock import Clock

RECORDS = 500
"""Records of one turn: one commit."""
PULSE_MS = 1000
SAVE_MS = 10_000
"""How often the state is saved when nothing changes."""


class Rules(Protocol):
    """`collector.rules.engine.Engine`."""

    def step(self, now_ms: int, event: Interpreted | Sequence[GatewayPulse]) -> list[Change]:
        """Judges."""
        ...

    def dump(self) -> bytes:
        """The whole state."""
        ...


class Ledger(Protocol):
    """Where the judge saves: cursor, state and changes in one transaction."""

    def cursor(self) -> int:
        """The offset of the last commit."""
        ...

    def rule_state(self) -> bytes:
        """The state of the last commit; empty at first."""
        ...

    def commit(self, cursor: int, state: bytes, changes: Sequence[Change], now_ms: int) -> None:
        """Makes all of it durable. Raises StorageFailed."""
        ...


class JudgeState(msgspec.Struct, frozen=True, array_like=True):
    """What the judge saves: the engine's state, and the offsets that wait for a birth. The engine sees each record once."""

    version: int
    engine: bytes
    held: tuple[int, ...]


def load_state(saved: bytes) -> JudgeState:
    """The state of the last commit, or an empty one. Raises ValueError for one of a newer version."""
    if not saved:
        return JudgeState(1, b"", ())
    try:
        state = msgspec.msgpack.decode(saved, type=JudgeState)
    except msgspec.MsgspecError as error:
        raise ValueError(f"not a state of the warning engine: {error}") from error
    if state.version != 1:
        raise ValueError(f"the rule state is of version {state.version}, this program knows 1")
    return state


class Judge(Consumer):
    """The warning engine on its own cursor. on_changes: called after a commit that changed warnings."""

    def __init__(
        self,
        log: Log,
        ledger: Ledger,
        new_rules: Callable[[bytes], Rules],
        understand: Understand,
        pulses: Callable[[], Sequence[GatewayPulse]],
        appended: Appended,
        clock: Clock,
        beat: Callable[[str], None],
        on_changes: Callable[[], None],
    ) -> None:
        super().__init__("warning engine", log, appended, clock, beat)
        self._ledger = ledger
        self._understand = understand
        self._pulses = pulses
        self._on_changes = on_changes
        saved = load_state(ledger.rule_state())
        self._held = saved.held
        self._rules = new_rules(saved.engine)
        self._pulsed_ms = 0
        self._saved_ms = 0

    def _begin(self) -> Following:
        following = Following(self._understand, self._ledger.cursor())
        held = [record for offset in self._held for record in self._log.read(offset - 1, 1) if record.offset == offset]
        ready = following.hold(held)
        if ready:
            self._commit(following, self._judge(ready))
        return following

    def _turn(self, following: Following) -> float:
        records = self._log.read(following.position, RECORDS)
        if records:
            self._commit(following, self._judge(following.feed(records)))
            return 0.0
        now_ms = self._clock.monotonic_ms()
        due_ms = self._pulsed_ms + PULSE_MS - now_ms
        if due_ms > 0:
            return due_ms / 1000
        self._pulsed_ms = now_ms
        let_go = following.give_up(self._clock.utc_ms() - GIVE_UP_MS)
        changes = self._rules.step(self._clock.utc_ms(), self._pulses())
        if changes or let_go or now_ms - self._saved_ms > SAVE_MS:
            self._commit(following, changes)
        return PULSE_MS / 1000

    def _judge(self, ready: Sequence[Interpreted]) -> list[Change]:
        now_ms = self._clock.utc_ms()
        return [change for one in ready for change in self._rules.step(now_ms, one)]

    def _commit(self, following: Following, changes: Sequence[Change]) -> None:
        state = msgspec.msgpack.encode(JudgeState(1, self._rules.dump(), following.held))
        done = self._until_done(lambda: self._ledger.commit(following.position, state, changes, self._clock.utc_ms()))
        self._saved_ms = self._clock.monotonic_ms()
        if done and changes:
            self._on_changes()
