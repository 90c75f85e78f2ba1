"""Benchmarks are found by name; one that misses its demand says so by its exit code."""

from __future__ import annotations

import pytest

from benchmarks.__main__ import main, names
from benchmarks.table import Figure, show


def test_benchmarks_are_found_by_their_name() -> None:
    assert "flash" in names()
    assert not {"table", "station", "block_device"} & set(names())


def test_a_name_that_is_none_is_answered_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flush"]) == 2
    assert "flash" in capsys.readouterr().err


def test_a_missed_demand_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert show("t", [Figure("a", 1, "B", 2), Figure("b", 5, "B")]) == 0
    assert show("t", [Figure("a", 3, "B", 2)]) == 1
    assert "Missed: a" in capsys.readouterr().out
