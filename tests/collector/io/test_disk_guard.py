"""Below three percent nothing is received; below ten a person is told."""

from __future__ import annotations

from pathlib import Path

from collector.io.disk_guard import DiskGuard, free_share


class FixedClock:
    def __init__(self) -> None:
        self.now_ms = 0

    def monotonic_ms(self) -> int:
        return self.now_ms

    def utc_ms(self) -> int:
        return self.now_ms


def test_levels() -> None:
    clock, share = FixedClock(), [0.5]
    guard = DiskGuard(Path("/"), clock, lambda _: share[0])
    assert guard.problem() is None
    for now, value, low, code in ((2000, 0.09, False, "COL408"), (4000, 0.029, True, "COL407"), (6000, 0.2, False, None)):
        clock.now_ms, share[0] = now, value
        problem = guard.problem()
        assert guard.is_low() == low
        assert (problem.code if problem else None) == code


def test_the_file_system_is_not_asked_more_often_than_every_two_seconds(tmp_path: Path) -> None:
    clock, asked = FixedClock(), []

    def measure(folder: Path) -> float:
        asked.append(folder)
        return free_share(folder)

    guard = DiskGuard(tmp_path, clock, measure)
    for now in (0, 500, 1999, 2000):
        clock.now_ms = now
        guard.is_low()
    assert len(asked) == 2
