"""Pure. What the log holds: sequenced messages, the accounting of lanes, and quarantined messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from edge_agent.contract.message import Lane, Sequenced


class BatchKey(NamedTuple):
    """The identity of a sequenced message: what makes delivery exactly once in effect."""

    site: str
    gateway: str
    epoch: str
    lane: Lane
    seq: int


@dataclass(frozen=True, slots=True)
class Record:
    """One sequenced message as it came. offset: position in the log, counts from 1, given by the log."""

    offset: int
    key: BatchKey
    received_ms: int
    """Collector's clock, ms UTC."""
    payload: bytes
    """Exactly the MQTT payload; of a batch whose content could not be read, its head with an event that says so."""
    kind: Literal["data", "birth"] = "data"
    head: Sequenced | None = field(default=None, compare=False, repr=False)
    """The payload as the intake decoded it, for as long as it is in memory; no log keeps it."""


@dataclass(frozen=True, slots=True)
class LaneState:
    """What is durable of one (gateway, epoch, lane), with its counts. Sequences 1..upto and the ranges above it."""

    site: str
    gateway: str
    epoch: str
    lane: Lane
    upto: int = 0
    ranges: tuple[tuple[int, int], ...] = ()
    """At most 32 closed ranges above upto, in order, apart from each other."""
    low: int = 1
    """Highest `low` the agent has told: sequences below it that are missing will never come."""
    received: int = 0
    duplicate: int = 0
    lost: int = 0
    """Sequences below low that never came."""
    heard_ms: int = 0


@dataclass(frozen=True, slots=True)
class Poison:
    """A message that is no message: kept for inspection with its reason, never stops the line."""

    topic: str
    payload: bytes
    """Cut to 64 KiB."""
    reason: str
    detail: str
    received_ms: int
    id: int = field(default=0, compare=False)
    """Given by the log, counts up; by it a person names the message."""


@dataclass(frozen=True, slots=True)
class Refusals:
    """What the intake has refused since the start, quarantined or not."""

    counts: Mapping[str, int] = field(default_factory=dict)
    """By reason; the reasons are those of `encoding.Malformed`, `topic`, `retained` and `sender`."""
    topic: str = ""
    """Of the last one: cut to 100 printable characters."""
    reason: str = ""
    """Of the last one."""
