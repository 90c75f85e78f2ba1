"""Pure. Every planted bug by name, with how it is built in and the seeds in which the simulator must notice it.

The table in docs/reliability.md is held to this list by a test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from collector.intake.core import Intake
from edge_agent.delivery.courier import Courier
from edge_agent.delivery.holding import Holding, Memory
from edge_agent.delivery.outbox import LaneHeld
from tests.sim import mutants_agent as agent
from tests.sim import mutants_collector as county
from tests.sim.consumers import Consumers
from tests.sim.gateway import TIGHT_BYTES
from tests.sim.oracles import Oracles
from tests.sim.plan import ENGINE_EVERY, plan
from tests.sim.scenario import Parts


@dataclass(frozen=True, slots=True)
class Planted:
    """One bug."""

    place: str
    what: str
    parts: Parts
    seeds: Sequence[int]
    """It is noticed within these."""


FIRST = 100
SEEDS = range(FIRST, FIRST + 12)
"""Within these most bugs are noticed; others need a small outbox, bad days, or the warning engine."""
TIGHT = [seed for seed in range(FIRST, FIRST + 300) if plan(seed).settings.max_bytes < TIGHT_BYTES][:12]
BAD_DAYS = [seed for seed in range(FIRST, FIRST + 300) if plan(seed).bad_days][:12]
SEEDS_OF: dict[str, Sequence[int]] = {
    "FailedWriteBelieved": BAD_DAYS,
    "WriteBelievedWhenAsked": BAD_DAYS,
    "BirthNotWritten": BAD_DAYS,
    "NewLogIgnored": BAD_DAYS,
    "DamageForgotten": BAD_DAYS,
    "TellerForgotten": BAD_DAYS,
    "DropUntold": TIGHT,
    "NewestDropped": TIGHT,
    "StatePassesChanges": range(FIRST, FIRST + 100, ENGINE_EVERY),
}
QUICK = (
    "ForgottenWhenSent",
    "LowAheadOfHeld",
    "NewSequenceOnResend",
    "EpochIgnored",
    "NewStampOnResend",
    "ReceiptBeforeCommit",
    "FailedCommitBelieved",
    "LogWithoutKeys",
    "AccountBeforeRecords",
    "CursorOfStoreAhead",
    "JudgeSkipsFailed",
    "WriterSkipsRefused",
)
"""Those that `make check` plants; `make long` plants all."""


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
        if "durability" in planted:
            holding.durability = planted["durability"](settings, holding.outbox)
        if "receipts" in planted:
            self._receipts = planted["receipts"]()
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
        ("outbox", a.BirthNotWritten, _inside(durability=a.BirthNotWritten)),
        ("outbox", a.EarlierRunForgotten, _courier(a.EarlierRunForgotten)),
        ("outbox", a.DropUntold, _inside(holding=a.DropUntold)),
        ("outbox", a.NewestDropped, _inside(holding=a.NewestDropped)),
        ("outbox", a.DamageForgotten, _inside(holding=a.DamageForgotten)),
        ("outbox", a.TellerForgotten, _inside(holding=a.TellerForgotten)),
        ("outbox", a.LowAheadOfHeld, _courier(a.LowAheadOfHeld)),
        ("outbox", a.LaneLowJumps, _inside(lane=a.LaneLowJumps)),
        ("window", a.NewSequenceOnResend, _courier(a.NewSequenceOnResend)),
        ("window", a.NeverAgain, _inside(window=a.NeverAgain)),
        ("window", a.LostAtReconnect, _inside(window=a.LostAtReconnect)),
        ("receipts", a.ForgedReceiptBelieved, _inside(receipts=a.ForgedReceiptBelieved)),
        ("receipts", a.NewLogIgnored, _inside(receipts=a.NewLogIgnored)),
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
        ("cursors", c.StatePassesChanges, Parts(ledger=c.StatePassesChanges)),
        ("cursors", c.ChangesBeforeState, Parts(ledger=c.ChangesBeforeState)),
        ("consumers", c.LastValueOfBatch, Parts(store=c.LastValueOfBatch)),
        ("consumers", c.WriterSkipsRefused, Parts(consumers=Consumers(writer=c.WriterSkipsRefused))),
        ("consumers", c.JudgeStartsAnew, Parts(consumers=Consumers(judge=c.JudgeStartsAnew))),
        ("consumers", c.JudgeSkipsFailed, Parts(consumers=Consumers(judge=c.JudgeSkipsFailed))),
    ]
    return {
        kind.__name__: Planted(place, (kind.__doc__ or "").split("\n")[0], parts, SEEDS_OF.get(kind.__name__, SEEDS))
        for place, kind, parts in rows
    }


PLANTED = _all()
"""By name."""


def rows() -> list[str]:
    """The table for docs/reliability.md."""
    return [
        "| place | planted bug | name |",
        "|---|---|---|",
        *(f"| {p.place} | {p.what} | `{name}` |" for name, p in PLANTED.items()),
    ]
