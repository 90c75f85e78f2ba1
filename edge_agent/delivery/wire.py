"""Pure. A held message as it goes out: header around the body that was encoded when the batch closed."""

from __future__ import annotations

import msgspec

from edge_agent.contract.encoding import encode
from edge_agent.contract.message import VERSION, Birth, Clock, DataFrame, Past
from edge_agent.delivery.outbox import Held
from edge_agent.delivery.stamping import UNKNOWN

SURE_MS = 1000
"""A stamp that is right within this needs no words: header c is left out."""


def payload(held: Held, low: int, past: list[Past]) -> bytes:
    """The MQTT payload of a stamped message whose body is in memory. low: lowest sequence still held in its lane.

    past: of a birth, the runs before its own. Raises ValueError without a stamp.
    """
    if held.t0 is None:
        raise ValueError(f"{held.key} has no stamp")
    epoch, lane, seq = held.key
    is_unsure = held.clock_source == UNKNOWN or held.clock_bound_ms > SURE_MS
    clock = Clock(held.clock_source, held.clock_bound_ms) if is_unsure else None
    body = msgspec.Raw(held.body or b"")
    if held.kind == "birth":
        return encode(Birth(VERSION, epoch, lane, seq, low, held.birth, held.boot, held.t0, body, clock, past))
    return encode(DataFrame(VERSION, epoch, lane, seq, low, held.birth, held.t0, body, clock))
