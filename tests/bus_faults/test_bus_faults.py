"""Exchanges under faults in simulated time: never a wrong value. A few thousand here; a million in `make long`."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from edge_agent.model.points import Framing
from tests.bus_faults.faults import NETWORK, SERIAL, STREAM
from tests.bus_faults.run import FRAMINGS, Account, Episode, run

MILLION_SEED = 2026


def total(accounts: Mapping[Framing, Account]) -> Account:
    account = Account()
    for each in accounts.values():
        account.add(each)
    return account


def test_some_thousand_exchanges_under_faults_give_no_wrong_value() -> None:
    account = total(run(4000, seed=1))
    assert account.wrong == []
    assert account.faulty >= 4000
    assert set(account.planted) == {*SERIAL, *NETWORK, *STREAM}, "every fault was met"
    assert account.verdicts["right"] > 3000, "a line that says nothing is never wrong"
    assert account.verdicts["unseen damage"] < 20


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_line_without_faults_gives_every_value(framing: Framing) -> None:
    """Of all episodes, those of which no device shares its address; on a TCP connection the gateway may still end it."""
    clean = [episode for number in range(12) if not (episode := Episode(framing, number)).has_twins and not episode.faults.closes]
    assert len(clean) >= 4
    for episode in clean:
        episode.faults.rate = 0.0
        account = episode.run(100)
        assert account.verdicts["right"] == account.reads == 100


def test_a_seed_repeats_its_run() -> None:
    assert Episode("rtu", 5).run(100) == Episode("rtu", 5).run(100)


@pytest.mark.long
def test_a_million_exchanges_under_faults_give_no_wrong_value() -> None:
    account = total(run(1_000_000, MILLION_SEED))
    assert account.wrong == []
    assert account.faulty >= 1_000_000
