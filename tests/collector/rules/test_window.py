"""A window costs the same whether it is asked or not, and reads what earlier releases wrote."""

from __future__ import annotations

import pytest

from collector.rules.window import BUCKETS, Window


def test_a_window_that_nobody_asks_stays_bounded() -> None:
    window = Window(360_000)
    for second in range(5000):
        window.add(1000 * second, float(second))
    assert len(window.dump()) <= 64 * (BUCKETS + 1)


def test_it_comes_back_as_it_was() -> None:
    window, again = Window(60_000), Window(60_000)
    for second in range(60):
        window.add(1000 * second, second / 7)
    again.load(window.dump())
    assert again.dump() == window.dump()
    assert (again.at(59_000) is None) == (window.at(59_000) is None)


def test_steps_of_earlier_releases_are_read() -> None:
    window, old = Window(60_000), Window(60_000)
    window.add(1000, 2.5)
    window.add(2000, 3.5)
    old.load([[1000, 1000, 1, 2.5, 2.5, 2.5, 2.5, 2.5], [2000, 2000, 1, 3.5, 3.5, 3.5, 3.5, 3.5]])
    assert old.dump() == window.dump()


def test_a_window_that_is_cut_off_is_refused() -> None:
    with pytest.raises(ValueError, match="cut off"):
        Window(60_000).load(b"12345")
