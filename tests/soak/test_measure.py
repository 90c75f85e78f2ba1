"""The soak's own judgement: what grows is told, what only breathes is not."""

from __future__ import annotations

import math

from tests.soak.measure import MIB, Sample, judge

STEADY = frozenset({(0, "pipe:[1]"), (1, "/log"), (2, "/log"), (3, "/state/outbox.db")})


def samples(growth_mib_per_hour: float, *, leak_every: int = 0, transient_every: int = 0, opened_at: int = 360) -> list[Sample]:
    """An hour. leak_every: looks per socket that is never closed; transient_every: looks that catch a file just written."""
    found = []
    for n in range(360):
        files = set(STEADY)
        files |= {(10 + each, f"socket:[{each}]") for each in range(n // leak_every if leak_every else 0)}
        files |= {(4, f"/state/status.json.{n}")} if transient_every and n % transient_every == 0 else set()
        files |= {(5, "/state/log.sqlite")} if n >= opened_at else set()
        memory = int(MIB * (50 + growth_mib_per_hour * n / 360 + math.sin(n / 7) * 0.4))
        found.append(Sample(10.0 * n, memory, frozenset(files), 8))
    return found


def test_a_process_that_breathes_is_sound() -> None:
    assert judge("agent", samples(0.3)).complaints(1.0) == []


def test_memory_that_grows_is_told() -> None:
    (told,) = judge("agent", samples(1.49)).complaints(1.0)
    assert "memory grows by 1.4" in told


def test_what_leaks_is_told_and_named() -> None:
    verdict = judge("agent", samples(0.0, leak_every=100))
    assert verdict.complaints(1.0) == ["agent: descriptors grew from 5 to 7; new: socket, socket"]


def test_one_descriptor_more_that_stays_open_is_told() -> None:
    (told,) = judge("agent", samples(0.0, opened_at=300)).complaints(1.0)
    assert told == "agent: descriptors grew from 4 to 5; new: /state/log.sqlite"


def test_a_look_that_catches_a_file_being_written_is_no_growth() -> None:
    """`status.json.new` in the agent, a temporary file of SQLite in the collector: one look in hundreds."""
    verdict = judge("agent", samples(0.0, transient_every=179))
    assert (verdict.descriptors, verdict.new, verdict.complaints(1.0)) == ((4, 4), (), [])
