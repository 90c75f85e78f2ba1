"""Pure. Receipts: what they release, and which of their claims cannot be true.

An entry for an epoch of which nothing is held is ignored. One beyond what was ever sent is refused as a whole and reported. How
far an earlier run of the agent sent is not recorded, so for its epochs only a jump beyond AHEAD is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from edge_agent.contract.message import Lane, LaneReceipt, Receipt
from edge_agent.delivery.machine import Key
from edge_agent.delivery.outbox import Held, LaneHeld, Outbox

AHEAD = 10_000_000
"""Sequences an earlier run may have used beyond the highest one held: one each 200 ms for 23 days."""


@dataclass(slots=True)
class Applied:
    """What one receipt says."""

    released: list[Held] = field(default_factory=list)
    refused: list[LaneReceipt] = field(default_factory=list)
    is_new_log: bool = False
    """The log id is another one than before."""


class Receipts:
    """Reads receipts against what is held and what was sent."""

    def __init__(self) -> None:
        self.log = ""
        self._claims: dict[tuple[str, Lane], LaneReceipt] = {}
        """What the present log said of lanes of which anything is held: messages that come back from a shelf are judged by it."""

    def read(self, receipt: Receipt, outbox: Outbox, epoch: str, sent: Mapping[Lane, int]) -> Applied:
        """What `receipt` releases; nothing is removed here. epoch: this run's; sent: its highest sequence sent in each lane."""
        applied = Applied(is_new_log=bool(self.log) and receipt.log != self.log)
        released: dict[int, Held] = {}  # a receipt may name a lane twice; each message goes once
        self.log = receipt.log
        said = {} if applied.is_new_log else self._claims
        self._claims = {where: claim for where, claim in said.items() if where in outbox.lanes}
        for claim in receipt.lanes:
            lane = outbox.lanes.get((claim.e, claim.l))
            top = sent.get(claim.l, 0) if claim.e == epoch else (lane.top + AHEAD if lane else None)
            claimed = claim.ranges[-1][1] if claim.ranges else claim.upto
            if top is not None and claimed > top:
                applied.refused.append(claim)
            elif lane is not None:
                self._claims[claim.e, claim.l] = claim
                released.update((id(held), held) for held in _covered(claim, lane))
        applied.released.extend(released.values())
        return applied

    def covers(self, key: Key) -> bool:
        """True if the present log has this message, by what it said last."""
        claim = self._claims.get((key.epoch, key.lane))
        return claim is not None and (key.seq <= claim.upto or any(first <= key.seq <= last for first, last in claim.ranges))


def _covered(claim: LaneReceipt, lane: LaneHeld) -> Iterator[Held]:
    low = lane.low()
    for first, last in ((low, claim.upto), *claim.ranges):
        yield from lane.between(max(first, low), min(last, lane.top))
