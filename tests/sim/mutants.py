"""Pure. Every planted bug by name, with how it is built in and the seeds in which the simulator must notice it.

The table in docs/reliability.md is held to this list by a test. A seed may name a run with other switches than its plan's, as the
corpus does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from collector.intake.core import Intake
from edge_agent.delivery.courier import Courier
from edge_agent.delivery.holding import Holding, Memory
from edge_agent.delivery.outbox import LaneHeld
from tests.sim import mutants_agent as agent
from tests.sim import mutants_collector as county
from tests.sim.consumers import Consumers
from tests.sim.oracles import Oracles
from tests.sim.scenario import Parts


@dataclass(frozen=True, slots=True)
class Planted:
    """One bug. seeds: how many, from FIRST on, may pass before it is noticed."""

    place: str
    what: str
    parts: Parts


FIRST = 100
SEEDS = 60
"""Within so many seeds each bug is noticed."""


def _courier(planted: type[Courier]) -> Parts:
    return Parts(type("Planted", (Oracles,), {"courier_class": planted}))


def _inside(**planted: type) -> Parts:
    """A courier one of whose parts is replaced."""

    def begin(self: Any, settings: Any, memory: Memory = Memory()) -> None:
        Courier.__init__(self, settings, memory)
        if "holding" in planted:
            self.holding = planted["holding"](settings, memory, self._urgent)
        holding: Holding = self.holding
        if "window" in planted:
            holding.window = planted["window"](settings)
        if "receipts" in planted:
            self._receipts = planted["receipts"]()
        if "durability" in planted:
            holding.durability = planted["durability"](settings, holding.outbox)
        if "lane" in planted:
            holding.outbox.lanes = _Lanes(planted["lane"])

    return _courier(type("PlantedCourier", (Courier,), {"__init__": begin}))


class _Lanes(dict[Any, Any]):
    """Lanes of another kind."""

    def __init__(self, kind: type[LaneHeld]) -> None:
        super().__init__()
        self._kind = kind

    def setdefault(self, key: Any, default: Any = None) -> Any:
        return super().setdefault(key, self._kind())


def _intake(planted: type[Intake]) -> Parts:
    return Parts(type("Planted", (Oracles,), {"intake_class": planted}))


def _all() -> dict[str, Planted]:
    a, c = agent, county
    rows: list[tuple[str, type, Parts]] = [
        ("outbox", a.ForgottenWhenSent, _courier(a.ForgottenWhenSent)),
        ("outbox", a.FailedWriteBelieved, _courier(a.FailedWriteBelieved)),
        ("outbox", a.WriteBelievedWhenAsked, _courier(a.WriteBelievedWhenAsked)),
        ("outbox", a.EarlierRunForgotten, _courier(a.EarlierRunForgotten)),
        ("outbox", a.DamageForgotten, _courier(a.DamageForgotten)),
        ("outbox", a.DropUntold, _inside(holding=a.DropUntold)),
        ("outbox", a.NewestDropped, _inside(holding=a.NewestDropped)),
        ("outbox", a.BirthNotWritten, _inside(durability=a.BirthNotWritten)),
        ("outbox", a.LowAheadOfHeld, _courier(a.LowAheadOfHeld)),
        ("outbox", a.LaneLowJumps, _inside(lane=a.LaneLowJumps)),
        ("window", a.NewSequenceOnResend, _courier(a.NewSequenceOnResend)),
        ("window", a.NothingAhead, _inside(window=a.NothingAhead)),
        ("window", a.NeverAgain, _inside(window=a.NeverAgain)),
        ("window", a.LostAtReconnect, _inside(window=a.LostAtReconnect)),
        ("receipts", a.NewLogIgnored, _inside(receipts=a.NewLogIgnored)),
        ("receipts", a.ForgedReceiptBelieved, _inside(receipts=a.ForgedReceiptBelieved)),
        ("receipts", a.HolesReleased, _inside(receipts=a.HolesReleased)),
        ("receipts", a.EpochIgnored, _inside(receipts=a.EpochIgnored)),
        ("receipts", a.LanesConfused, _inside(receipts=a.LanesConfused)),
        ("stamping", a.NewStampOnResend, _courier(a.NewStampOnResend)),
        ("stamping", a.OldBatchesStampedAnew, _inside(holding=a.OldBatchesStampedAnew)),
        ("stamping", a.AnchorNotAwaited, _inside(holding=a.AnchorNotAwaited)),
        ("accounting", c.ReceiptBeforeCommit, _intake(c.ReceiptBeforeCommit)),
        ("accounting", c.FailedCommitBelieved, _intake(c.FailedCommitBelieved)),
        ("accounting", c.GatheredSurvivesFailure, _intake(c.GatheredSurvivesFailure)),
        ("accounting", c.FirstContactCoversAll, _intake(c.FirstContactCoversAll)),
        ("accounting", c.RangesBridged, _intake(c.RangesBridged)),
        ("log", c.LogWithoutKeys, Parts(log=c.LogWithoutKeys)),
        ("log", c.AccountBeforeRecords, Parts(log=c.AccountBeforeRecords)),
        ("log", c.TrimmedTooEarly, Parts(log=c.TrimmedTooEarly)),
        ("cursors", c.CursorOfStoreAhead, Parts(store=c.CursorOfStoreAhead)),
        ("cursors", c.WriterCursorIsPosition, Parts(consumers=Consumers(writer=c.WriterCursorIsPosition))),
        ("cursors", c.StatePassesChanges, Parts(ledger=c.StatePassesChanges)),
        ("cursors", c.ChangesBeforeState, Parts(ledger=c.ChangesBeforeState)),
        ("consumers", c.LastValueOfBatch, Parts(store=c.LastValueOfBatch)),
        ("consumers", c.WriterSkipsRefused, Parts(consumers=Consumers(writer=c.WriterSkipsRefused))),
        ("consumers", c.JudgeForgetsHeld, Parts(consumers=Consumers(judge=c.JudgeForgetsHeld))),
        ("consumers", c.JudgeStartsAnew, Parts(consumers=Consumers(judge=c.JudgeStartsAnew))),
        ("consumers", c.JudgeSkipsFailed, Parts(consumers=Consumers(judge=c.JudgeSkipsFailed))),
    ]
    return {kind.__name__: Planted(place, (kind.__doc__ or "").split("\n")[0], parts) for place, kind, parts in rows}


PLANTED = _all()
"""By name."""
