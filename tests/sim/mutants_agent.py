"""Pure. Bugs planted in the agent: outbox, window, receipts, stamping. Each is one that a reasonable person could write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import msgspec

from edge_agent.contract import encoding
from edge_agent.contract import message as m
from edge_agent.delivery import machine as ev
from edge_agent.delivery.courier import Courier
from edge_agent.delivery.durability import Durability
from edge_agent.delivery.holding import Holding
from edge_agent.delivery.outbox import Held, LaneHeld, Outbox
from edge_agent.delivery.receipts import Applied, Receipts
from edge_agent.delivery.window import SendWindow


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
    """Takes a write that the medium refused for a good one."""

    def step(self, now_ms: int, event: ev.Event) -> list[ev.Action]:
        return super().step(now_ms, ev.Written(event.token) if isinstance(event, ev.WriteFailed) else event)


class WriteBelievedWhenAsked(Courier):
    """Believes a write durable as soon as it is asked for."""

    def step(self, now_ms: int, event: ev.Event) -> list[ev.Action]:
        actions = super().step(now_ms, event)
        for write in [action for action in actions if isinstance(action, ev.Write)]:
            actions = [*actions, *super().step(now_ms, ev.Written(write.token))]
        return actions


class EarlierRunForgotten(Courier):
    """Forgets at the start what an earlier run left."""

    def step(self, now_ms: int, event: ev.Event) -> list[ev.Action]:
        if isinstance(event, ev.Start):
            event = ev.Start(event.epoch, event.boot, event.birth, [s for s in event.stored if s.kind == "birth"])
        return super().step(now_ms, event)


class ForgedReceiptBelieved(Receipts):
    """Does not ask what was ever sent."""

    def read(self, receipt: m.Receipt, outbox: Outbox, epoch: str, sent: object) -> Applied:
        applied = super().read(receipt, outbox, epoch, {"n": 1 << 60, "u": 1 << 60})
        for claim in applied.refused:
            lane = outbox.lanes.get((claim.e, claim.l))
            applied.released += list(lane.of_seq.values()) if lane is not None else []
        return applied


class NewLogIgnored(Receipts):
    """Another log id is no news."""

    def read(self, receipt: m.Receipt, outbox: Outbox, epoch: str, sent: object) -> Applied:
        applied = super().read(receipt, outbox, epoch, sent)  # type: ignore[arg-type]
        return replace(applied, is_new_log=False)


class HolesReleased(Receipts):
    """Takes the end of the last range for the cumulative sequence."""

    def read(self, receipt: m.Receipt, outbox: Outbox, epoch: str, sent: object) -> Applied:
        lanes = [m.LaneReceipt(c.e, c.l, c.ranges[-1][1] if c.ranges else c.upto) for c in receipt.lanes]
        return super().read(m.Receipt(receipt.v, receipt.log, lanes), outbox, epoch, sent)  # type: ignore[arg-type]


class EpochIgnored(Receipts):
    """A receipt for an earlier run releases the same sequences of this one."""

    def read(self, receipt: m.Receipt, outbox: Outbox, epoch: str, sent: object) -> Applied:
        applied = super().read(receipt, outbox, epoch, sent)  # type: ignore[arg-type]
        for claim in receipt.lanes:
            lane = outbox.lanes.get((epoch, claim.l))
            if lane is not None and claim.e != epoch:
                applied.released += [h for h in lane.each() if h.key.seq <= claim.upto and h not in applied.released]
        return applied


class LanesConfused(Receipts):
    """A receipt for one lane releases the other one's messages too."""

    def read(self, receipt: m.Receipt, outbox: Outbox, epoch: str, sent: object) -> Applied:
        both = [*receipt.lanes, *(m.LaneReceipt(c.e, m.URGENT if c.l == m.NORMAL else m.NORMAL, c.upto) for c in receipt.lanes)]
        applied = super().read(m.Receipt(receipt.v, receipt.log, both), outbox, epoch, sent)  # type: ignore[arg-type]
        applied.released = list(dict.fromkeys(applied.released))
        return applied


class NeverAgain(SendWindow):
    """What has no receipt is not sent again while the link lasts."""

    def due(self, now_ms: int) -> list[ev.Key]:
        return []


class LostAtReconnect(SendWindow):
    """What was under way when the link broke is taken for delivered."""

    def restart(self) -> None:
        self.flying.clear()


class DropUntold(Holding):
    """What is given up is told by no gap record."""

    def drop(self, now_ms: int, held: Held, why: str) -> None:
        self.dropped += held.readings
        self._replace_by_gaps(now_ms, held, [])


class NewestDropped(Holding):
    """Counts a batch as dropped, tells of it, and forgets its neighbour."""

    def drop(self, now_ms: int, held: Held, why: str) -> None:
        lane = self.outbox.lanes[held.key.epoch, held.key.lane]
        other = lane.of_seq.get(held.key.seq + 1, held)
        if other.kind == "data" and not other.gaps and other is not held:
            self.confirm(other)
        super().drop(now_ms, held, why)


class DamageForgotten(Holding):
    """What cannot be read back is given up without a word."""

    def lose(self, now_ms: int, keys: Sequence[ev.Key], readings: int) -> list[m.Gap]:
        self._tell = lambda *_: None  # type: ignore[method-assign]
        try:
            return super().lose(now_ms, keys, readings)
        finally:
            del self._tell


class TellerForgotten(Holding):
    """What a damaged message had told of gaps is not told again."""

    def tell_lost(self, now_ms: int, lost: ev.Lost) -> None:
        self._tell(now_ms, [m.Gap(*lost.key, lost.key.seq, lost.readings, "damaged")])


class BirthNotWritten(Durability):
    """A birth that had its receipt does not go to disk with what refers to it."""

    def _births_of(self, add: list[Held], drafted: set[str]) -> list[Held]:
        return []


class NothingAhead(SendWindow):
    """Nothing goes ahead of the order of sending, however many holes a lane has."""

    def hasten(self, keys: Iterable[ev.Key]) -> None:
        pass


class AnchorNotAwaited(Holding):
    """Sends what was stored without a stamp before the stamp is durable."""

    def set_clock(self, clock: ev.ClockSet) -> None:
        super().set_clock(clock)
        self.durability.anchors.clear()
        self.free_stamps(None)


class OldBatchesStampedAnew(Holding):
    """A better time corrects the stamps of what is still held."""

    def set_clock(self, clock: ev.ClockSet) -> None:
        for held in self.outbox.in_memory():
            if held.boot == self._boot:
                held.t0 = None
        super().set_clock(clock)


class LaneLowJumps(LaneHeld):
    """Believes that what is held has no holes."""

    def low(self) -> int:
        return max(self.of_seq, default=self.top + 1)

    def each(self) -> Iterator[Held]:
        return iter([self.of_seq[seq] for seq in sorted(self.of_seq)])
