"""Pure. Planted bugs: each is one that a reasonable person could write, and each must be caught within a few seeds."""

from __future__ import annotations

import msgspec

from collector.intake import core as intake
from collector.intake.records import Record
from edge_agent.contract import encoding
from edge_agent.contract import message as m
from edge_agent.delivery import machine as ev
from edge_agent.delivery.courier import Courier
from tests.sim.county import SimLog
from tests.sim.oracles import Oracles
from tests.sim.scenario import Parts


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


class _Resealed(Courier):
    """Changes what goes out."""

    def step(self, now_ms: int, event: ev.Event) -> list[ev.Action]:
        return [self._changed(a) if isinstance(a, ev.Publish) else a for a in super().step(now_ms, event)]

    def _changed(self, publish: ev.Publish) -> ev.Publish:
        head = encoding.decode_sequenced(publish.payload)
        return ev.Publish(publish.key, encoding.encode(self._other(head)), publish.retained_birth)

    def _other(self, head: m.Data | m.Birth) -> m.Data | m.Birth:
        raise NotImplementedError


class LowAheadOfHeld(_Resealed):
    """Says that nothing below the message itself is held."""

    def _other(self, head: m.Data | m.Birth) -> m.Data | m.Birth:
        return msgspec.structs.replace(head, low=head.s)


class NewStampOnResend(_Resealed):
    """Stamps at the time of sending."""

    sends = 0

    def _other(self, head: m.Data | m.Birth) -> m.Data | m.Birth:
        self.sends += 1
        return msgspec.structs.replace(head, t0=head.t0 + self.sends)


class NewSequenceOnResend(Courier):
    """A message that is sent again gets another sequence, far above those in use."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self._sent: dict[ev.Key, int] = {}

    def step(self, now_ms: int, event: ev.Event) -> list[ev.Action]:
        return [self._again(a) if isinstance(a, ev.Publish) else a for a in super().step(now_ms, event)]

    def _again(self, publish: ev.Publish) -> ev.Publish:
        times = self._sent[publish.key] = self._sent.get(publish.key, 0) + 1
        if times == 1 or publish.retained_birth:
            return publish
        head = encoding.decode_sequenced(publish.payload)
        key = publish.key._replace(seq=head.s + 1_000_000 * times)
        sent = msgspec.structs.replace(head, s=key.seq)
        return ev.Publish(key, encoding.encode(sent))


class ForgottenWhenSent(Courier):
    """Takes "sent" for "received"."""

    def step(self, now_ms: int, event: ev.Event) -> list[ev.Action]:
        actions = super().step(now_ms, event)
        for action in actions:
            if isinstance(action, ev.Publish):
                held = self.holding.outbox.get(action.key)
                if held is not None and held.kind == "data":
                    self.holding.confirm(held)
        return actions


class FailedWriteBelieved(Courier):
    """Takes a failed write for a good one."""

    def step(self, now_ms: int, event: ev.Event) -> list[ev.Action]:
        if isinstance(event, ev.WriteFailed):
            event = ev.Written(event.token)
        return super().step(now_ms, event)


class EarlierRunForgotten(Courier):
    """Forgets at the start what an earlier run left."""

    def step(self, now_ms: int, event: ev.Event) -> list[ev.Action]:
        if isinstance(event, ev.Start):
            event = ev.Start(event.epoch, event.boot, event.birth, [s for s in event.stored if s.kind == "birth"])
        return super().step(now_ms, event)


class LogWithoutKeys(SimLog):
    """Takes a batch twice, and loses the accounting of lanes at a restart."""

    def add(self, record: Record) -> None:
        key = record.key
        while key in self.records:
            key = key._replace(epoch=key.epoch + "'")
        self.records[key] = record

    def append(self, append: intake.Append) -> None:
        super().append(append)
        self.lanes.clear()


def _courier(planted: type[Courier]) -> Parts:
    return Parts(type("Planted", (Oracles,), {"courier_class": planted}))


def _intake(planted: type[intake.Intake]) -> Parts:
    return Parts(type("Planted", (Oracles,), {"intake_class": planted}))


PLANTED: dict[str, Parts] = {
    "receipt before commit": _intake(ReceiptBeforeCommit),
    "failed commit believed": _intake(FailedCommitBelieved),
    "low ahead of held": _courier(LowAheadOfHeld),
    "new stamp on resend": _courier(NewStampOnResend),
    "new sequence on resend": _courier(NewSequenceOnResend),
    "forgotten when sent": _courier(ForgottenWhenSent),
    "failed write believed": _courier(FailedWriteBelieved),
    "earlier run forgotten": _courier(EarlierRunForgotten),
    "log without keys": Parts(log=LogWithoutKeys),
}
"""By name."""
