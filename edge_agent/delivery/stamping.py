"""Pure. Stamps: from monotonic time of a boot to UTC, given once and never changed (DESIGN.md section 5, Time).

Within a lane stamps never go back: after a backward step of the clock each batch begins at the earliest 1 ms behind the last one,
and eats the pause between batches until the true time is reached again; until then its bound says how far it may be off.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from edge_agent.contract.message import Lane
from edge_agent.delivery.machine import ClockSet

EARLIEST_MS = 1_767_225_600_000
"""2026-01-01: no reading of this software is older."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """UTC of a batch's base time."""

    t0: int
    source: str
    bound_ms: int


@dataclass(slots=True)
class Stamper:
    """Knows the clock of this boot. boot: its id."""

    boot: str
    clock: ClockSet | None = None
    floor_ms: dict[Lane, int] = field(default_factory=dict)
    """Last stamped instant of each lane."""

    def set_clock(self, clock: ClockSet) -> None:
        """From now on this is the time."""
        self.clock = clock

    def utc_ms(self, mono_ms: int) -> int | None:
        """UTC at a monotonic time of this boot; None while the clock is not known."""
        return None if self.clock is None else self.clock.utc_ms + mono_ms - self.clock.mono_ms

    def stamp(
        self, lane: Lane, boot: str, mono_ms: int, span_ms: int, boot_span_ms: int = 0, not_before_ms: int = EARLIEST_MS
    ) -> Stamp | None:
        """The stamp of a batch taken at mono_ms of `boot` and lasting span_ms; None while no source is there.

        A batch of an earlier boot is placed so that the boot's last unstamped reading (boot_span_ms behind mono_ms) lies just
        before this boot; the bound reaches back to not_before_ms, the last stamp known from before.
        """
        if self.clock is None:
            return None
        if boot == self.boot:
            true_ms = self.clock.utc_ms + mono_ms - self.clock.mono_ms
            source, bound_ms = self.clock.source, self.clock.bound_ms
        else:
            began_ms = self.clock.utc_ms - self.clock.mono_ms
            true_ms = max(began_ms - boot_span_ms, not_before_ms)
            source, bound_ms = "none", max(began_ms - not_before_ms, 0)
        t0 = max(true_ms, self.floor_ms.get(lane, 0) + 1) if boot == self.boot else true_ms
        if boot == self.boot:
            self.floor_ms[lane] = t0 + span_ms
        return Stamp(t0, source, bound_ms + t0 - true_ms)
