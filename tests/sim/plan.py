"""Pure. Which faults a seed has, and how strong: each seed switches some of them off, so that rare mixtures come up.

Three paces. standard: a batch a minute for eight hours, faults as a bad site has them, with outages of hours. storm: a batch a
minute for an hour and a half, five times as many faults. dense: a batch every few seconds for half an hour, as many faults.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any, Literal

from edge_agent.model.points import Delivery

FILES_EVERY = 100
ENGINE_EVERY = 5
STEADY: dict[str, Any] = dict.fromkeys(
    (
        "agent_crashes",
        "power_cuts",
        "clean_restarts",
        "never_clock",
        "late_clock",
        "clock_steps",
        "reorder",
        "restores",
        "rot",
        "event_chance",
    ),
    0,
)
"""Off in every other seed with the warning engine: what an old epoch brings late is counted, not judged, and cannot be compared."""
BAD_EVERY, BAD = 16, 4
"""Seeds that leave this rest have bad days (bad_day.py), every other one of them with a small outbox."""
SMALL_BYTES = 20_000
"""Of an outbox that overflows."""
CALMER = 0.2
"""Rates of the standard pace against those of the others."""


PAIRS = 3
"""Of so many seeds with the warning engine one has two gateways at its site, the second with long batches."""
SLOW, LONG_BATCH_MS = "gw-1", 240_000


@dataclass(frozen=True, slots=True)
class Plan:
    """The faults of one run. Rates are per simulated hour and node; chances are per message or per durable step."""

    pace: Literal["standard", "storm", "dense"]
    gateways: int
    faults_ms: int
    settings: Delivery
    reading_every_ms: int
    event_chance: float
    unsafe_bytes: int
    cached_bytes: int
    has_engine: bool
    has_files: bool
    delay_ms: tuple[int, int]
    reorder: float
    double: float
    late_double: float
    loss: float
    """Chance that the broker lets a message fall."""
    link_drops: float
    half_open: float
    broker_deaths: float
    broker_away_ms: int
    stale_retained: float
    agent_crashes: float
    power_cuts: float
    clean_restarts: float
    collector_crashes: float
    restores: float
    log_failures: float
    """Chance that a commit of the log fails."""
    log_ms: tuple[int, int]
    disk_ms: tuple[int, int]
    disk_outages: float
    aimed: float
    """Chance that a program dies at a hazard point it passes."""
    late_clock: float
    """Chance that a boot learns the time late."""
    never_clock: float
    """Chance that a boot never learns the time."""
    clock_steps: float
    drift_ppm: int
    county_steps: float
    """Steps of the collector's clock."""
    rebirths: float
    rot: float
    """Bits that flip on the card and in the log."""
    lies: float
    """Forged receipts, impossible sequences, bytes that are no message."""
    store_outages: float
    store_failures: float
    """Chance that a write of the store or of the operations database fails."""
    bad_days: float = 0.0
    waiting_deaths: float = 0.0
    """Chance that the collector dies after a turn that leaves something waiting for its birth."""
    has_slow: bool = False
    """The second gateway lets its readings wait for LONG_BATCH_MS."""

    def settings_of(self, gateway: str) -> Delivery:
        """How a gateway delivers."""
        is_slow = self.has_slow and gateway == SLOW
        return replace(self.settings, batch_ms=LONG_BATCH_MS, batch_readings=1000) if is_slow else self.settings

    @property
    def longest_batch_ms(self) -> int:
        """Within this every reading is sent."""
        return LONG_BATCH_MS if self.has_slow else 30_000


CLASSES: dict[str, tuple[str, ...]] = {
    "network": ("reorder", "double", "late_double", "loss"),
    "link": ("link_drops", "half_open"),
    "broker": ("broker_deaths", "stale_retained"),
    "agent": ("agent_crashes", "power_cuts", "clean_restarts"),
    "collector": ("collector_crashes",),
    "restore": ("restores",),
    "disk": ("disk_outages", "log_failures"),
    "aimed": ("aimed",),
    "clock": ("late_clock", "never_clock", "clock_steps", "drift_ppm", "county_steps"),
    "rebirth": ("rebirths",),
    "rot": ("rot",),
    "lies": ("lies",),
    "store": ("store_outages", "store_failures"),
    "days": ("bad_days", "waiting_deaths"),
}
"""Classes of faults that a shrinking run switches off."""


def without(changed: Plan, classes: tuple[str, ...] | list[str]) -> Plan:
    """The plan without these classes of faults."""
    off: dict[str, Any] = {name: 0 for one in classes for name in CLASSES[one]}
    return replace(changed, **off)


def plan(seed: int) -> Plan:
    """The plan of a seed."""
    chance = random.Random(seed * 7919 + 1)
    has_files = seed % FILES_EVERY == FILES_EVERY - 1
    has_engine = seed % ENGINE_EVERY == 0
    paces: tuple[Literal["standard", "storm", "dense"], ...] = ("standard", "storm", "dense")
    pace = "dense" if has_files else chance.choices(paces, (50, 35, 15))[0]
    scale = CALMER if pace == "standard" else 1.0

    def some(*values: float, off: float = 0.4) -> float:
        return 0.0 if chance.random() < off else chance.choice(values)

    def often(*values: float, off: float = 0.4) -> float:
        return some(*values, off=off) * scale

    settings = Delivery(
        batch_ms=chance.choice((2000, 5000, 30_000)),
        batch_readings=chance.choice((3, 20, 1000)),
        window_ms=chance.choice((2000, 10_000, 10_000)),
        in_flight=chance.choice((1, 4, 32)),
        resend_ms=chance.choice((2000, 10_000)),
        max_bytes=SMALL_BYTES if chance.random() < 0.1 else 256 << 20,
        receipt_hold_ms=chance.choice((0, 1000, 5000)),
        newest_first=chance.random() < 0.25 and not has_engine,
    )
    made = Plan(
        pace=pace,
        gateways=1 if has_engine else chance.choice((1, 1, 1, 2, 3)),
        faults_ms={"standard": 28_800_000, "storm": 5_400_000, "dense": 600_000 if has_files else 1_800_000}[pace],
        settings=settings,
        reading_every_ms=chance.choice((5000, 20_000)) if pace == "dense" else 60_000,
        event_chance=chance.choice((0.0, 0.05, 0.3)),
        unsafe_bytes=chance.choice((16 << 20, 16 << 20, 6000)),
        cached_bytes=chance.choice((2 << 20, 0)),
        has_engine=has_engine,
        has_files=has_files,
        delay_ms=chance.choice(((1, 5), (20, 300), (200, 4000))),
        reorder=some(0.1, 0.5, off=0.6),
        double=some(0.02, 0.2),
        late_double=some(0.02, 0.1, off=0.5),
        link_drops=often(3, 12),
        half_open=often(1, 4),
        broker_deaths=often(0.5, 4),
        broker_away_ms=chance.choice((60_000, 10_800_000)) if pace == "standard" else 60_000,
        stale_retained=chance.choice((0.0, 0.3, 1.0)),
        agent_crashes=often(1, 6),
        power_cuts=often(0.5, 4),
        clean_restarts=often(0.5, 2),
        collector_crashes=often(1, 8),
        restores=0.0 if has_files else often(0.3, 1.5, off=0.6),
        log_failures=some(0.05, 0.4, off=0.6),
        log_ms=(500, 8000) if chance.random() < 0.15 else (2, 60),
        disk_ms=(200, 3000) if chance.random() < 0.2 else (1, 40),
        disk_outages=often(0.5, 2, off=0.5),
        aimed=some(0.01, 0.1, off=0.5) * (0.5 if pace == "standard" else 1),
        late_clock=some(0.3, 0.9, off=0.5),
        never_clock=some(0.1, 0.4, off=0.6),
        clock_steps=often(1, 4),
        drift_ppm=chance.choice((0, -100, 20, 100)),
        county_steps=0.0 if has_engine else often(0.5, 2, off=0.5),
        rebirths=often(0.5, 3),
        rot=often(0.5, 3, off=0.6),
        lies=often(2, 8, off=0.5),
        store_outages=often(0.5, 3, off=0.5),
        store_failures=some(0.02, 0.2, off=0.5),
        loss=some(0.01, 0.1, off=0.5),
    )
    if seed % BAD_EVERY == BAD:
        made = _bad(made, is_small=bool(seed // BAD_EVERY % 2))
    if has_engine and seed // ENGINE_EVERY // 2 % PAIRS == 0:
        made = replace(made, gateways=2, has_slow=True)
    if has_engine and seed % (2 * ENGINE_EVERY) == 0:
        return replace(made, settings=replace(made.settings, in_flight=1), **STEADY)
    return made


def _bad(made: Plan, is_small: bool) -> Plan:
    """With bad days; where the warning engine runs, with deaths of the collector alone, so that its warnings can be compared."""
    if made.has_engine:
        return replace(made, waiting_deaths=0.5)
    settings = replace(made.settings, max_bytes=SMALL_BYTES if is_small else made.settings.max_bytes)
    return replace(made, settings=settings, bad_days=1.0 if made.pace == "standard" else 4.0, waiting_deaths=0.5)
