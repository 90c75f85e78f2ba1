"""What a bus really does: gaps and lateness of a window, and what does not count."""

from __future__ import annotations

import pytest

from edge_agent.model.pace import WINDOW_MS, Answers, Pace, PaceFigures


def name() -> str:
    return "d.p"


def test_gaps_are_those_of_the_fastest_points() -> None:
    pace = Pace(0)
    pace.begin(1000)
    assert pace.figures() == PaceFigures(None, 0, "")
    for at_ms in (0, 1100, 2100, 3300):
        pace.came(1, 1000, at_ms, name)
    for at_ms in (0, 5000, 10_000):
        pace.came(2, 5000, at_ms, lambda: "d.slow")
    assert pace.figures() == PaceFigures(1100.0, 200, "d.p")


def test_what_was_late_long_ago_is_forgotten() -> None:
    pace = Pace(0)
    pace.begin(1000)
    pace.came(1, 1000, 0, name)
    pace.came(1, 1000, 4000, name)
    assert pace.figures().late_ms == 3000
    for at_ms in range(5000, 2 * WINDOW_MS, 1000):
        assert pace.figures().late_ms == 3000
        pace.came(1, 1000, at_ms, name)
    pace.came(1, 1000, 2 * WINDOW_MS, name)
    assert pace.figures() == PaceFigures(1000.0, 0, "")


def test_a_gap_over_a_silence_is_not_the_buss_doing() -> None:
    pace = Pace(0)
    pace.begin(1000)
    pace.came(1, 1000, 0, name)
    pace.forget(1)
    pace.forget(2)
    pace.came(1, 1000, 60_000, name)
    assert pace.figures() == PaceFigures(None, 0, "")


def test_a_turnaround_is_the_median_of_enough_answers() -> None:
    answers = Answers(0)
    for _ in range(29):
        answers.came(12.0)
    assert answers.measured_ms is None
    answers.came(900.0)
    assert answers.measured_ms == 12.0
    for _ in range(100):
        answers.came(-1.0)
    assert answers.measured_ms == pytest.approx(0.0)
    answers.forget()
    assert answers.measured_ms is None
