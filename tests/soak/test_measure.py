"""The soak's own judgement: what grows is told, what only breathes is not."""

from __future__ import annotations

import math

from tests.soak.measure import MIB, Sample, judge


def samples(growth_mib_per_hour: float, *, leak: bool = False) -> list[Sample]:
    return [
        Sample(
            10.0 * n, int(MIB * (50 + growth_mib_per_hour * n / 360 + math.sin(n / 7) * 0.4)), 20 + (n // 100 if leak else n % 3), 8
        )
        for n in range(360)
    ]


def test_a_process_that_breathes_is_sound() -> None:
    assert judge("agent", samples(0.3)).complaints(1.0) == []


def test_growth_and_leaks_are_told() -> None:
    (told,) = judge("agent", samples(1.49)).complaints(1.0)
    assert "memory grows by 1.4" in told
    (told,) = judge("agent", samples(0.0, leak=True)).complaints(1.0)
    assert told == "agent: descriptors grew from 21 to 23"
