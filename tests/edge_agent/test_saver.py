"""Saver: the budget's pace reaches delivery and dead-bands, survives a restart, and a shortage is an event."""

from __future__ import annotations

from pathlib import Path

from edge_agent.delivery.budget import Month
from edge_agent.delivery.machine import Event, Repaced
from edge_agent.io.budget_file import BudgetFile
from edge_agent.model.points import Budget, Bus, Delivery, Device, Point, Tcp
from edge_agent.model.reading import Reading
from edge_agent.saver import BEAT_MS, EVENT, SAVE_MS, Saver
from tests.support.web_fakes import StandingClock

POINT = Point(0, "d", "p", "holding", 0, "u16", dead_band=1.0, heartbeat_ms=3_600_000)
BUS = Bus("b", Tcp("h"), "tcp", (Device("d", 1, (POINT,)),))
NOW_MS = 1_795_000_000_000
TIGHT = Delivery(budget=Budget(1_000_000, batch_most_ms=20_000, dead_band_most=2.0))


def beats(saver: Saver, clock: StandingClock, count: int, bytes_each: int) -> tuple[list[Event], list[str]]:
    told: list[Event] = []
    events: list[str] = []
    for n in range(1, count + 1):
        clock.now_ms += 60_000
        events += [e.kind for e in saver.beat(NOW_MS + clock.now_ms, n * bytes_each, told.append) if e.on]
    return told, events


def test_a_tight_budget_slows_batches_then_widens_dead_bands_then_says_so_once(tmp_path: Path) -> None:
    clock = StandingClock(0)
    saver = Saver([BUS], TIGHT, tmp_path, clock)
    saver.start()
    told, events = beats(saver, clock, 120, 100_000)
    assert told[-1] == Repaced(20_000)
    assert events == [EVENT]
    assert saver.filter([Reading(0, 0, 1.0)])
    assert not saver.filter([Reading(0, 1, 2.9)]), "the band is twice as wide"
    figures = saver.figures()
    assert (figures.batch_ms, figures.dead_band_factor, figures.is_short, figures.held_back) == (20_000, 2.0, True, 1)


def test_the_count_is_kept_each_hour_and_at_the_end(tmp_path: Path) -> None:
    clock = StandingClock(0)
    saver = Saver([BUS], TIGHT, tmp_path, clock)
    saver.start()
    beats(saver, clock, SAVE_MS // 60_000 + 1, 100)
    assert BudgetFile(tmp_path / "budget.json").read().used_bytes >= 6000
    saver.save()
    again = Saver([BUS], TIGHT, tmp_path, clock)
    again.start()
    assert again.figures().used_bytes == saver.figures().used_bytes > 0


def test_another_site_file_takes_over_budget_and_bands(tmp_path: Path) -> None:
    clock = StandingClock(0)
    saver = Saver([BUS], TIGHT, tmp_path, clock)
    saver.start()
    beats(saver, clock, 120, 100_000)
    used = saver.figures().used_bytes
    saver.take_over([BUS], Delivery(budget=Budget(10_000_000_000, batch_most_ms=5000)))
    told: list[Event] = []
    clock.now_ms += BEAT_MS
    saver.beat(NOW_MS + clock.now_ms, 120 * 100_000, told.append)
    assert saver.figures().used_bytes == used
    assert saver.figures().batch_ms == 5000
    saver.take_over([BUS], Delivery())
    assert saver.figures().budget_bytes is None


def test_a_damaged_count_begins_anew(tmp_path: Path) -> None:
    for text in ("", "{", '{"begin_ms": -1, "used_bytes": 3}', '{"begin_ms": 1e999, "used_bytes": 3}', "[]", '{"begin_ms": "x"}'):
        (tmp_path / "budget.json").write_text(text)
        assert BudgetFile(tmp_path / "budget.json").read() == Month()
    BudgetFile(tmp_path / "no-folder" / "budget.json").write(Month(1, 2))
