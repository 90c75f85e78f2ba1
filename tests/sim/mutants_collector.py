"""Pure. Bugs planted in the collector: receipts, accounting, log, cursors, consumers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from collector.following import Following
from collector.intake import core as intake
from collector.intake.records import LaneState, Poison, Record
from collector.rules.changes import Change
from collector.seams import StorageFailed, StoreBatch
from edge_agent.common.hazard import hazard
from tests.sim.consumers import SimJudge, Writer
from tests.sim.logs import SimLedger, SimLog, SimStore


class ReceiptBeforeCommit(intake.Intake):
    """Believes an append durable as soon as it is asked for."""

    def step(self, now_ms: int, event: intake.Event) -> list[intake.Action]:
        actions = super().step(now_ms, event)
        early: list[intake.Action] = []
        for action in actions:
            if isinstance(action, intake.Append):
                early += super().step(now_ms, intake.Committed(action.token))
        return [*actions, *early]


class FailedCommitBelieved(intake.Intake):
    """Takes a failed commit for a good one."""

    def step(self, now_ms: int, event: intake.Event) -> list[intake.Action]:
        if isinstance(event, intake.CommitFailed):
            event = intake.Committed(event.token)
        return super().step(now_ms, event)


class GatheredSurvivesFailure(intake.Intake):
    """A failed commit forgets its own records, not the accounts that rested on them."""

    def _lost(self, now_ms: int, event: intake.CommitFailed) -> None:
        failed, gathered = self._commit, self._next
        super()._lost(now_ms, event)
        if failed is not None:
            self._next = replace(gathered, states=failed.states | gathered.states)


class FirstContactCoversAll(intake.Intake):
    """The first sequence of a new lane that comes is taken for its lowest one."""

    def _sequenced(self, now_ms: int, event: intake.Arrived, name: object) -> list[intake.Action]:
        head = intake.encoding.decode_sequenced(event.payload)
        gateway = self._gateway(name)  # type: ignore[arg-type]
        key = (name, head.e, head.l)
        if self._account(gateway, key) is None:  # type: ignore[arg-type]
            state = intake.accounting.first_contact(gateway.name.site, gateway.name.gateway, head.e, head.l, head.s, now_ms)
            self._next.states[key] = state  # type: ignore[index]
        return super()._sequenced(now_ms, event, name)  # type: ignore[arg-type]


class RangesBridged(intake.Intake):
    """The account joins ranges over a hole of one."""

    def _durable(self, token: int) -> None:
        if self._commit is not None:
            self._commit.states = {key: _bridged(state) for key, state in self._commit.states.items()}
        super()._durable(token)


def _bridged(state: LaneState) -> LaneState:
    if state.ranges and state.ranges[0][0] == state.upto + 2:
        return replace(state, upto=state.ranges[0][1], ranges=state.ranges[1:])
    return state


class LogWithoutKeys(SimLog):
    """Takes a batch twice, and loses the accounting of lanes at a restart."""

    def add(self, record: Record) -> None:
        key = record.key
        while key in self.records:
            key = key._replace(epoch=key.epoch + "'")
        super().add(replace(record, key=key))

    def append(self, records: Sequence[Record], lanes: Sequence[LaneState], poison: Sequence[Poison]) -> int:
        last = super().append(records, lanes, poison)
        self._states.clear()
        return last


class AccountBeforeRecords(SimLog):
    """Two commits where one is needed: first the accounting, then the records."""

    def append(self, records: Sequence[Record], lanes: Sequence[LaneState], poison: Sequence[Poison]) -> int:
        hazard("log.commit.before")
        self._take([], lanes)
        return super().append(records, lanes, poison)


class TrimmedTooEarly(SimLog):
    """Forgets by age alone, whoever has not read it yet."""

    def trim(self, below: int) -> int:
        return super().trim(self.offset_before(self._at[self._last].received_ms - 60_000) if self._last in self._at else below)


class CursorOfStoreAhead(SimStore):
    """The cursor is durable before what it speaks of."""

    def write(self, batches: Sequence[StoreBatch], cursor: int) -> None:
        self._cursor = cursor
        super().write(batches, cursor)


class LastValueOfBatch(SimStore):
    """Keeps one value of a column where readings come in bulk."""

    def apply(self, batches: Sequence[StoreBatch], cursor: int) -> None:
        cut = [replace(b, columns=[replace(c, times=c.times[-1:], values=c.values[-1:]) for c in b.columns]) for b in batches]
        super().apply(cut, cursor)


class StatePassesChanges(SimLedger):
    """Two commits where one is needed: first cursor and state, then the warnings."""

    def commit(self, cursor: int, state: bytes, changes: Sequence[Change], now_ms: int) -> None:
        self.apply(cursor, state, [])
        super().commit(cursor, state, changes, now_ms)


class ChangesBeforeState(SimLedger):
    """Two commits where one is needed: first the warnings, then cursor and state."""

    def commit(self, cursor: int, state: bytes, changes: Sequence[Change], now_ms: int) -> None:
        self.apply(self._cursor, self._state, changes)
        super().commit(cursor, state, [], now_ms)


class WriterSkipsRefused(Writer):
    """What a store did not take is passed over."""

    def _until_done(self, attempt: Callable[[], None]) -> bool:
        try:
            attempt()
        except StorageFailed:
            return False
        return True


class WriterCursorIsPosition(Writer):
    """The cursor passes what still waits for its birth."""

    def _begin(self) -> Following:
        return _Passing(self._understand, self._store.cursor())


class _Passing(Following):
    @property
    def safe(self) -> int:
        return self.position


class JudgeForgetsHeld(SimJudge):
    """What waits for its birth is not taken up again after a restart."""

    def _begin(self) -> Following:
        self._held = ()
        return super()._begin()


class JudgeStartsAnew(SimJudge):
    """Judges with a new engine behind the saved cursor."""

    def _begin(self) -> Following:
        following = super()._begin()
        self._rules = self._new(b"")
        return following

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self._new = arguments[2]  # type: ignore[assignment]


class JudgeSkipsFailed(SimJudge):
    """A commit that failed is not made again."""

    def _until_done(self, attempt: Callable[[], None]) -> bool:
        try:
            attempt()
        except StorageFailed:
            return False
        return True
