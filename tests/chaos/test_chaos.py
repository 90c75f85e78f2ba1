"""A minute of chaos with Mosquitto and, side by side, one with the embedded broker: nothing lost, doubled, or stamped wrong."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.chaos.__main__ import run
from tests.chaos.report import counts, text
from tests.chaos.run import Wish

SEED, SECONDS = "4", 60.0


@pytest.mark.programs
@pytest.mark.mosquitto
@pytest.mark.timeout(900)
def test_the_account_of_two_lines(tmp_path: Path) -> None:
    """Again, and longer: `make chaos SEED=4 KILLS=200`."""
    wishes = [Wish(broker, 0, SECONDS, SEED) for broker in ("mosquitto", "embedded")]
    outcomes, failures, longest_stall_ms = run(wishes, tmp_path, threading.Event())
    print(text(outcomes, longest_stall_ms))
    assert not failures, "\n".join(failures)
    assert len(outcomes) == 2
    for outcome in outcomes:
        assert counts(outcome).is_clean, text([outcome], longest_stall_ms)
        assert counts(outcome).is_enough, text([outcome], longest_stall_ms)
        assert outcome.kills.total() >= 8, text([outcome], longest_stall_ms)
