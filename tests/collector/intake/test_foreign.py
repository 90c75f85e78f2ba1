"""Topics that are not the sender's: each is counted, one of a sender and hour kept; what a body can tell of its sender."""

from __future__ import annotations

import msgspec
import pytest

from collector.intake.core import Intake
from collector.intake.foreign import KEPT_EVERY_MS, MAX_SENDERS
from collector.intake.machine import Append, CommitFailed, Committed, Foreign, Start, Tick
from collector.intake.records import Poison
from edge_agent.contract import message as m
from tests.support.intake import T0


class Kept:
    """An intake whose commits are done at once."""

    def __init__(self) -> None:
        self.intake = Intake()
        self.intake.step(T0, Start("log"))

    def hear(self, at_ms: int, sender: str, count: int = 1) -> list[Poison]:
        """What goes to the quarantine."""
        found = []
        for action in self.intake.step(at_ms, Foreign(sender, "root/s/g/data", b"{}", 2, count)):
            if isinstance(action, Append):
                found += action.poison
                self.intake.step(at_ms, Committed(action.token))
        return found


def test_one_of_a_sender_and_hour_is_kept_and_all_are_counted() -> None:
    kept = Kept()
    (first,) = kept.hear(T0, "gw-1")
    assert (first.topic, first.payload, first.reason) == ("root/s/g/data", b"{}", "sender")
    assert "user gw-1 may not publish here" in first.detail
    assert kept.hear(T0 + KEPT_EVERY_MS - 1, "gw-1", 900) == []
    assert len(kept.hear(T0 + KEPT_EVERY_MS - 1, "gw-2")) == 1
    assert len(kept.hear(T0 + KEPT_EVERY_MS, "gw-1", 50)) == 1
    assert dict(kept.intake.refusals().counts) == {"sender": 952}
    assert kept.intake.pulses() == [], "it makes no gateway"


def test_a_clock_set_back_silences_nobody() -> None:
    kept = Kept()
    kept.hear(T0, "gw-1")
    assert len(kept.hear(T0 - 86_400_000, "gw-1")) == 1


def test_a_commit_that_failed_loses_none_of_it() -> None:
    intake = Intake()
    intake.step(T0, Start("log"))
    (append, *_) = intake.step(T0, Foreign("gw-1", "root/s/g/data", b"{}", 2, 1))
    assert isinstance(append, Append)
    intake.step(T0, CommitFailed(append.token, "full"))
    again = [action for action in intake.step(T0 + 5000, Tick()) if isinstance(action, Append)]
    assert [one.reason for one in again[0].poison] == ["sender"]


def test_many_senders_are_bounded() -> None:
    kept = Kept()
    for n in range(MAX_SENDERS + 1):
        assert len(kept.hear(T0 + n, f"gw-{n}")) == 1
    assert kept.hear(T0 + 5000, "gw-1") == [], "lately heard is known"
    assert len(kept.hear(T0 + 5000, "gw-0")) == 1, "the oldest made room"


@pytest.mark.parametrize("kind", [m.Data, m.Birth, m.Status, m.TimeAsk, m.Reply, m.BirthBody])
def test_no_message_of_a_gateway_names_its_site_or_gateway(kind: type[msgspec.Struct]) -> None:
    """So behind a foreign broker the topic alone says whose it is, and the broker's access list must hold (docs/account.md).

    Should a field come to name the gateway, the intake must compare it with the topic, and this test be replaced by that one.
    """
    names = {field.name for field in msgspec.structs.fields(kind)}
    assert names & {"site", "gateway", "g", "branch", "sender", "user"} == set()
