"""Pure. What the delivery settings cost: bytes written to flash a day, and what a power cut can take. `edge-agent check` prints it.

The two constants are measured at a block device with values like those of the GECCO 2018 station; `python -m benchmarks flash`
compares this estimate with what it measures.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edge_agent.contract.message import URGENT, Lane
from edge_agent.model.points import Delivery

WRITE_BYTES = 7200
"""One write to flash, however small: pages of the write-ahead log, and its share of the checkpoint."""
READING_BYTES = 11
"""Beside that, each reading in it."""
ANSWER_MS = 2000
"""A good link's round trip, beside the time for which the collector may hold the receipt back."""
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Wear:
    """Of one gateway. loss: what a power cut can take at most, beside what has its receipt."""

    online_bytes_a_day: int
    offline_bytes_a_day: int
    loss_ms: int
    loss_readings: int
    urgent_loss_ms: int
    is_written_online: bool
    """True where batches wait longer than the window, so that it is written as without a link."""


def estimate(settings: Delivery, periods_ms: Iterable[tuple[Lane, int]]) -> Wear:
    """The wear of a gateway whose points have these lanes and periods (0: not periodic, not counted)."""
    points = [(lane, period) for lane, period in periods_ms if period > 0]
    urgent = [period for lane, period in points if lane == URGENT]
    normal = [period for lane, period in points if lane != URGENT]
    waits_ms = settings.batch_ms + settings.receipt_hold_ms + ANSWER_MS
    urgent_ms = settings.shortest_window_ms
    late = waits_ms > settings.window_ms
    urgent_late = urgent_ms < settings.receipt_hold_ms + ANSWER_MS
    apart = urgent_ms < settings.window_ms
    slow = _bytes_a_day(normal if apart else normal + urgent, settings.window_ms, _drafts(normal, settings))
    fast = _bytes_a_day(urgent, urgent_ms) if apart else 0
    taken = sum(settings.window_ms / period for period in normal) + sum(urgent_ms / period for period in urgent)
    return Wear(
        (slow if late else 0) + (fast if urgent_late else 0), slow + fast, settings.window_ms, round(taken),
        urgent_ms, late and bool(normal),
    )  # fmt: skip


def _bytes_a_day(periods_ms: list[int], window_ms: int, drafts: float = 1.0) -> int:
    """One write in each window in which anything is taken; each reading in it stands in so many drafts."""
    if not periods_ms:
        return 0
    writes = DAY_MS / max(window_ms, min(periods_ms))
    return round(writes * WRITE_BYTES + READING_BYTES * drafts * sum(DAY_MS / period for period in periods_ms))


def _drafts(periods_ms: list[int], settings: Delivery) -> float:
    """A batch that stays open longer than the window is written again as it grows."""
    taken = sum(settings.window_ms / period for period in periods_ms)
    windows = min(settings.batch_ms / max(settings.window_ms, 1), settings.batch_readings / max(taken, 1.0))
    return (max(1.0, windows) + 1) / 2
