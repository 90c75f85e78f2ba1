"""Pure. Which faults a seed has, and how strong: each seed switches some of them off, so that rare mixtures come up."""

from __future__ import annotations

import random
from dataclasses import dataclass

from edge_agent.model.points import Delivery


@dataclass(frozen=True, slots=True)
class Plan:
    """The faults of one run. Rates are per simulated hour and node; chances are per message or per durable step."""

    gateways: int
    faults_ms: int
    settings: Delivery
    reading_every_ms: int
    event_chance: float
    unsafe_bytes: int
    cached_bytes: int
    delay_ms: tuple[int, int]
    reorder: float
    double: float
    late_double: float
    link_drops: float
    half_open: float
    broker_deaths: float
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
    rebirths: float


def plan(seed: int) -> Plan:
    """The plan of a seed."""
    chance = random.Random(seed * 7919 + 1)

    def some(*values: float, off: float = 0.4) -> float:
        return 0.0 if chance.random() < off else chance.choice(values)

    is_tight = chance.random() < 0.1
    settings = Delivery(
        batch_ms=chance.choice((2000, 5000, 30_000)),
        batch_readings=chance.choice((3, 20, 1000)),
        window_ms=chance.choice((2000, 10_000, 10_000)),
        in_flight=chance.choice((1, 4, 32)),
        resend_ms=chance.choice((2000, 10_000)),
        max_bytes=20_000 if is_tight else 256 << 20,
        receipt_hold_ms=chance.choice((0, 1000, 5000)),
        newest_first=chance.random() < 0.25,
    )
    every_ms = chance.choice((5000, 20_000, 60_000, 60_000))
    slow_disk = chance.random() < 0.2
    return Plan(
        gateways=chance.choice((1, 1, 1, 2, 3)),
        faults_ms=1_800_000 if every_ms < 60_000 else 5_400_000,
        settings=settings,
        reading_every_ms=every_ms,
        event_chance=chance.choice((0.0, 0.05, 0.3)),
        unsafe_bytes=chance.choice((16 << 20, 16 << 20, 6000)),
        cached_bytes=chance.choice((2 << 20, 0)),
        delay_ms=chance.choice(((1, 5), (20, 300), (200, 4000))),
        reorder=some(0.1, 0.5, off=0.6),
        double=some(0.02, 0.2),
        late_double=some(0.02, 0.1, off=0.5),
        link_drops=some(3, 12),
        half_open=some(1, 4),
        broker_deaths=some(0.5, 4),
        stale_retained=chance.choice((0.0, 0.3, 1.0)),
        agent_crashes=some(1, 6),
        power_cuts=some(0.5, 4),
        clean_restarts=some(0.5, 2),
        collector_crashes=some(1, 8),
        restores=some(0.3, 1.5, off=0.6),
        log_failures=some(0.05, 0.4, off=0.6),
        log_ms=(500, 8000) if chance.random() < 0.15 else (2, 60),
        disk_ms=(200, 3000) if slow_disk else (1, 40),
        disk_outages=some(0.5, 2, off=0.5),
        aimed=some(0.01, 0.1, off=0.5),
        late_clock=some(0.3, 0.9, off=0.5),
        never_clock=some(0.1, 0.4, off=0.6),
        clock_steps=some(1, 4),
        rebirths=some(0.5, 3),
    )
