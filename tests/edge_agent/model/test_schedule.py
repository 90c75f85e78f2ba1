"""The poll schedule: no drift, budget of probes, growth and return."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.model.schedule import Due, Schedule, Wait, probe_interval_ms


def run(schedule: Schedule[str], until_ms: int, cost_ms: dict[str, int]) -> list[tuple[int, str, bool]]:
    """What was asked, and when, if each request takes its cost."""
    now_ms, asked = 0, []
    while now_ms < until_ms:
        due = schedule.next(now_ms)
        if isinstance(due, Wait):
            assert due.until_ms > now_ms
            now_ms = due.until_ms
            continue
        asked.append((now_ms, due.request, due.is_probe))
        now_ms += cost_ms[due.request]
        if due.is_probe:
            schedule.spent(due.request[0], cost_ms[due.request])
    return asked


@given(st.lists(st.integers(0, 90), min_size=20, max_size=20))
def test_a_period_never_drifts(costs_ms: list[int]) -> None:
    schedule: Schedule[str] = Schedule(0.02, 1, 0)
    schedule.add("a", "a", 100, 0)
    now_ms, times = 0, []
    for cost_ms in costs_ms:
        while isinstance(due := schedule.next(now_ms), Wait):
            now_ms = due.until_ms
        times.append(now_ms)
        now_ms += cost_ms
    assert times == [100 * i for i in range(20)]


def test_turns_missed_are_skipped_and_the_grid_is_kept() -> None:
    schedule: Schedule[str] = Schedule(0.02, 1, 0)
    schedule.add("a", "a", 100, 0)
    assert schedule.next(0) == Due("a")
    assert schedule.next(570) == Due("a")
    assert schedule.next(571) == Wait(600)
    assert schedule.missed == 4


def test_instants_of_a_grid_have_numbers_and_the_first_turn_comes_at_once() -> None:
    schedule: Schedule[str] = Schedule(0.02, 1, 0)
    schedule.add("a", "a", 100, 5, origin_ms=30)
    turns = []
    for now_ms in (5, 29, 30, 129, 130, 450, 529):
        due = schedule.next(now_ms)
        turns.append((due.turn, due.late_ms) if isinstance(due, Due) else due)
    assert turns == [(-1, 0), Wait(30), (0, 0), Wait(130), (1, 0), (4, 220), Wait(530)]
    assert schedule.missed == 2
    schedule.hurry("a", 529)
    assert schedule.next(529) == Due("a")
    assert schedule.next(529) == Wait(530)


def test_the_longest_overdue_goes_first_and_nobody_starves() -> None:
    schedule: Schedule[str] = Schedule(0.02, 1, 0)
    for name in "abc":
        schedule.add(name, name, 100, 0)
    asked = [name for _, name, _ in run(schedule, 6000, dict.fromkeys("abc", 60))]
    counts = [asked.count(name) for name in "abc"]
    assert max(counts) - min(counts) <= 1
    assert schedule.missed > 0


@pytest.mark.parametrize("dead", [1, 3])
def test_dead_devices_stay_within_the_budget_and_others_keep_their_period(dead: int) -> None:
    schedule: Schedule[str] = Schedule(0.02, 7, 0)
    names = "abcdefghij"
    for name in names:
        schedule.add(name, name, 1000, 0)
    for name in names[:dead]:
        schedule.suspend(name, 1000, 0)
    asked = run(schedule, 3_600_000, {name: 1000 if name in names[:dead] else 20 for name in names})
    probes = [at for at, _, is_probe in asked if is_probe]
    assert len(probes) * 1000 <= 0.02 * 3_600_000 + dead * 3 * 1000
    assert len(probes) >= 0.6 * 0.02 * 3_600_000 / 1000
    for name in names[dead:]:
        assert sum(1 for _, who, _ in asked if who == name) >= 0.98 * 3600


def test_intervals_grow_to_what_the_budget_allows() -> None:
    schedule: Schedule[str] = Schedule(0.02, 3, 0)
    schedule.add("a", "a", 1000, 0)
    schedule.suspend("a", 500, 0)
    assert schedule.probe_interval_ms("a") == probe_interval_ms(500, 1, 0.02) == 32_608, "25 s, 8 % of the budget kept back, jitter"
    times = [at for at, _, _ in run(schedule, 600_000, {"a": 500})]
    gaps = [b - a for a, b in pairwise(times)]
    assert times[0] <= 1200
    assert gaps[0] < gaps[1] < gaps[2]
    assert all(20_000 <= gap <= 32_608 for gap in gaps[6:])
    assert len(set(gaps[6:])) > 1


def test_a_device_that_answers_is_due_at_once_and_then_in_its_period() -> None:
    schedule: Schedule[str] = Schedule(0.02, 3, 0)
    schedule.add("a", "d", 1000, 0)
    schedule.add("b", "d", 1000, 0)
    schedule.suspend("d", 500, 0)
    assert isinstance(schedule.next(0), Wait)
    schedule.resume("d", 5000)
    assert [schedule.next(5000), schedule.next(5000), schedule.next(5000)] == [Due("a"), Due("b"), Wait(6000)]


def test_probes_take_turns_over_the_requests_of_a_device() -> None:
    schedule: Schedule[str] = Schedule(1.0, 3, 0)
    schedule.add("da", "d", 1000, 0)
    schedule.add("db", "d", 1000, 0)
    schedule.suspend("d", 10, 0)
    assert [name for _, name, _ in run(schedule, 20_000, {"da": 10, "db": 10})][:4] == ["da", "db", "da", "db"]


def test_skip_leaves_out_what_is_due_of_one_device() -> None:
    schedule: Schedule[str] = Schedule(0.02, 3, 0)
    for name in ("d1", "d2", "e1"):
        schedule.add(name, name[0], 1000, 0)
    assert schedule.next(0) == Due("d1")
    schedule.skip("d", 0)
    assert [schedule.next(0), schedule.next(0)] == [Due("e1"), Wait(1000)]
    schedule.remove("d1")
    assert [schedule.next(1000), schedule.next(1000), schedule.next(1000)] == [Due("d2"), Due("e1"), Wait(2000)]


def test_a_bus_that_is_too_slow_still_probes() -> None:
    schedule: Schedule[str] = Schedule(0.02, 3, 0)
    for name in "abc":
        schedule.add(name, name, 100, 0)
    schedule.suspend("c", 100, 0)
    asked = run(schedule, 600_000, dict.fromkeys("abc", 100))
    probes = sum(is_probe for _, _, is_probe in asked)
    assert 60 <= probes <= 0.02 * 600_000 / 100 + 3


def test_a_first_turn_that_waits_until_an_instant_of_its_grid_is_no_missed_one() -> None:
    schedule: Schedule[str] = Schedule(0.02, 1, 0)
    schedule.add("a", "d", 1000, 0, 400)
    assert schedule.next(600) == Due("a")
    assert schedule.missed == 0
    assert schedule.next(1400) == Due("a")
    assert schedule.missed == 0
    assert schedule.next(4500) == Due("a")
    assert schedule.missed == 2
