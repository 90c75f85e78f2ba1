"""Pure. Planted bugs: each must be caught by the simulator within some seeds, or the simulator proves nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from collector.intake import machine as intake
from edge_agent.delivery import courier as courier_module
from edge_agent.delivery import machine as ev
from edge_agent.delivery.batching import OpenBatch
from edge_agent.delivery.courier import Courier
from edge_agent.delivery.outbox import Held
from edge_agent.model.points import Delivery
from tests.sim.agent import SimAgent
from tests.sim.collector import SimCollector
from tests.sim.run import Run


class ReceiptBeforeCommit(SimCollector):
    """The receipt goes out while the commit is still under way."""

    def append(self, append: intake.Append) -> None:
        self.disk.commit(append, lambda is_durable: None)
        self._tell(intake.Committed(append.token))


class ResendsUnderNewSequence(Courier):
    """What is sent again gets a new sequence."""

    def _publish(self, held: Held) -> None:
        if held.key in self.holding.window.flying:
            key = self.holding._next_key(held.key.lane)
            twin = replace(held.stored(), key=ev.Key(self.holding.epoch, *key[1:]))
            self._sent_seq[key.lane] = key.seq
            self._actions.append(ev.Publish(twin.key, courier_module.payload(twin, 1)))
        super()._publish(held)


class ForgetsBeforeReceipt(Courier):
    """Sent is taken for delivered."""

    def _publish(self, held: Held) -> None:
        super()._publish(held)
        if held.kind == "data":
            self.holding.confirm(held)


class BelievesFailedWrite(Courier):
    """A failed fsync counts as durable."""

    def _write_failed(self, event: ev.WriteFailed) -> None:
        self._written(ev.Written(event.token))


class TellsLowTooHigh(Courier):
    """`low` says that nothing older is held."""

    def _publish(self, held: Held) -> None:
        super()._publish(held)
        sent = self._actions.pop()
        assert isinstance(sent, ev.Publish)
        self._actions.append(replace(sent, payload=courier_module.payload(held.stored(), held.key.seq)))


class StampsNotDurable(Courier):
    """What is on disk without a stamp is sent before its anchor is durable, and the anchor is never written."""

    def _clock(self, event: ev.ClockSet) -> None:
        super()._clock(event)
        self.holding.durability.anchors.clear()
        self.holding.free_stamps(None)


class WritesNormalLaneOnly(Courier):
    """Urgent batches never reach the disk."""

    def _write_due(self) -> None:
        super()._write_due()
        if self._actions and isinstance(write := self._actions[-1], ev.Write):
            self._actions[-1] = replace(write, add=[stored for stored in write.add if stored.key.lane == "n"])


class DropsInSilence(Courier):
    """What the bounds drop is told to nobody."""

    def __init__(self, settings: Delivery) -> None:
        super().__init__(replace(settings, max_bytes=20_000))
        self.holding._urgent = OpenBatch("u", 1 << 40, 1 << 40)  # nobody ever closes it


class SameEpochAgain(SimAgent):
    """A start uses the epoch of the last one."""

    def start(self) -> None:
        self.file.new_epoch = lambda random_hex: "1-0123456789abcdef"  # type: ignore[method-assign]
        super().start()


MUTANTS: dict[str, Callable[[int], Run]] = {
    "receipt before commit": lambda seed: Run(seed, new_collector=ReceiptBeforeCommit),
    "resend under a new sequence": lambda seed: Run(seed, ResendsUnderNewSequence),
    "forget before receipt": lambda seed: Run(seed, ForgetsBeforeReceipt),
    "a failed write believed": lambda seed: Run(seed, BelievesFailedWrite),
    "low too high": lambda seed: Run(seed, TellsLowTooHigh),
    "stamps not durable": lambda seed: Run(seed, StampsNotDurable),
    "urgent lane not written": lambda seed: Run(seed, WritesNormalLaneOnly),
    "drops in silence": lambda seed: Run(seed, DropsInSilence),
    "an epoch used twice": lambda seed: Run(seed, new_agent=SameEpochAgain),
}
