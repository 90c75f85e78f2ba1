"""Pure. The account of one lane: which sequences are here, which came twice, which will never come."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from collector.intake.records import LaneState
from edge_agent.contract.message import LaneReceipt

MAX_RANGES = 32
"""Ranges above `upto` that a lane may have: more would make a receipt, and the work on it, unbounded."""

Verdict = Literal["new", "duplicate", "refused"]
"""refused: it would make one range too many; it is neither logged nor receipted, the agent sends it again."""

Ranges = tuple[tuple[int, int], ...]


def first_contact(site: str, gateway: str, epoch: str, lane: Literal["n", "u"], low: int, now_ms: int) -> LaneState:
    """A lane heard for the first time: what lies below the lowest held sequence was settled with another log, or never existed."""
    return LaneState(site, gateway, epoch, lane, upto=low - 1, low=low, heard_ms=now_ms)


def account(state: LaneState, seq: int, low: int, now_ms: int) -> tuple[LaneState, Verdict]:
    """The account after a message with this sequence whose sender holds nothing below `low`."""
    state = raised(state, low)
    heard_ms = max(now_ms, state.heard_ms)
    if has(state, seq):
        return replace(state, duplicate=state.duplicate + 1, heard_ms=heard_ms), "duplicate"
    upto, ranges = with_sequence(state.upto, state.ranges, seq)
    if len(ranges) > MAX_RANGES:
        return replace(state, heard_ms=heard_ms), "refused"
    return replace(state, upto=upto, ranges=ranges, received=state.received + 1, heard_ms=heard_ms), "new"


def has(state: LaneState, seq: int) -> bool:
    """True if the sequence is in the log already, or counted as lost."""
    return seq <= state.upto or any(first <= seq <= last for first, last in state.ranges)


def raised(state: LaneState, low: int) -> LaneState:
    """The account when the sender holds nothing below `low` any more: what is missing there is lost. low never falls."""
    if low <= state.low:
        return state
    if low - 1 <= state.upto:
        return replace(state, low=low)
    missing = low - 1 - state.upto - sum(max(0, min(last, low - 1) - first + 1) for first, last in state.ranges)
    upto, ranges = low - 1, state.ranges
    while ranges and ranges[0][0] <= upto + 1:
        upto, ranges = max(upto, ranges[0][1]), ranges[1:]
    return replace(state, low=low, upto=upto, ranges=ranges, lost=state.lost + missing)


def with_sequence(upto: int, ranges: Ranges, seq: int) -> tuple[int, Ranges]:
    """upto and ranges with one more sequence, which must not be in them."""
    if seq == upto + 1:
        if ranges and ranges[0][0] == seq + 1:
            return ranges[0][1], ranges[1:]
        return seq, ranges
    made: list[tuple[int, int]] = []
    first = last = seq
    for begin, end in ranges:
        if end == first - 1:
            first = begin
        elif begin == last + 1:
            last = end
        else:
            made.append((begin, end))
    return upto, tuple(sorted([*made, (first, last)]))


def receipt_of(state: LaneState) -> LaneReceipt:
    """The lane's line in a receipt."""
    return LaneReceipt(state.epoch, state.lane, state.upto, list(state.ranges))


def behind(state: LaneState) -> int:
    """Sequences below the highest received one that have not come yet."""
    return 0 if not state.ranges else state.ranges[-1][1] - state.upto - sum(last - first + 1 for first, last in state.ranges)
