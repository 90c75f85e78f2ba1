"""Pure. A held message as it goes out: header around the body that was encoded when the batch closed."""

from __future__ import annotations

import msgspec

from edge_agent.contract.encoding import encode
from edge_agent.contract.message import VERSION, Birth, Clock, DataFrame
from edge_agent.delivery.machine import Stored


def payload(stored: Stored, low: int) -> bytes:
    """The MQTT payload of a stamped message. low: lowest sequence still held in its lane. Raises ValueError without a stamp."""
    if stored.t0 is None:
        raise ValueError(f"{stored.key} has no stamp")
    epoch, lane, seq = stored.key
    clock = Clock(stored.clock_source, stored.clock_bound_ms) if stored.clock_source else None
    body = msgspec.Raw(stored.body)
    if stored.kind == "birth":
        return encode(Birth(VERSION, epoch, lane, seq, low, stored.birth, stored.boot, stored.t0, body, clock))
    return encode(DataFrame(VERSION, epoch, lane, seq, low, stored.birth, stored.t0, body, clock))
