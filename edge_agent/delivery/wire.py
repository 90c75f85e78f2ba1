"""Pure. A held message as it goes out: header around the body that was encoded when the batch closed."""

from __future__ import annotations

import msgspec

from edge_agent.contract.encoding import encode
from edge_agent.contract.message import VERSION, Birth, Clock, DataFrame
from edge_agent.delivery.machine import Stored
from edge_agent.delivery.stamping import UNKNOWN

SURE_MS = 1000
"""A stamp that is right within this needs no words: header c is left out."""


def payload(stored: Stored, low: int) -> bytes:
    """The MQTT payload of a stamped message. low: lowest sequence still held in its lane. Raises ValueError without a stamp."""
    if stored.t0 is None:
        raise ValueError(f"{stored.key} has no stamp")
    epoch, lane, seq = stored.key
    is_unsure = stored.clock_source == UNKNOWN or stored.clock_bound_ms > SURE_MS
    clock = Clock(stored.clock_source, stored.clock_bound_ms) if is_unsure else None
    body = msgspec.Raw(stored.body)
    if stored.kind == "birth":
        return encode(Birth(VERSION, epoch, lane, seq, low, stored.birth, stored.boot, stored.t0, body, clock))
    return encode(DataFrame(VERSION, epoch, lane, seq, low, stored.birth, stored.t0, body, clock))
