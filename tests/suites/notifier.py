"""What every notifier must do, against a fake of the other side that it gives. Subclass it and give the fixture `rig`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from collector.seams import Notice, Notifier
from edge_agent.contract.message import Text
from tests.support.warnings import raised

NOTICE = Notice("raised~w~duty", "raised", raised(), Text("水位低", "level low"), "http://page.example/warnings/w")
SUMMARY = Notice("summary~2026-11-24~duty", "summary", None, Text("日报", "summary"))


class OtherSide(Protocol):
    """A strict fake of the service behind the notifier."""

    def accept(self) -> None: ...

    def refuse_for_good(self) -> None: ...

    def refuse_for_now(self) -> None: ...

    def vanish(self) -> None: ...

    def received(self) -> list[tuple[str, str]]:
        """Id and Chinese text of every message that it took."""
        ...


@dataclass(frozen=True)
class Rig:
    """A notifier and the other side."""

    notifier: Notifier
    other: OtherSide


class NotifierSuite:
    """Tests against the fixture `rig`."""

    def test_told(self, rig: Rig) -> None:
        rig.other.accept()
        outcome = rig.notifier.send(NOTICE)
        assert (outcome.ok, outcome.retry) == (True, False)
        assert rig.notifier.send(SUMMARY).ok
        assert rig.other.received() == [(NOTICE.id, "水位低"), (SUMMARY.id, "日报")]

    def test_a_refusal_for_good_is_not_tried_again(self, rig: Rig) -> None:
        rig.other.refuse_for_good()
        outcome = rig.notifier.send(NOTICE)
        assert (outcome.ok, outcome.retry) == (False, False)
        assert outcome.detail

    def test_a_refusal_for_now_is_tried_again(self, rig: Rig) -> None:
        rig.other.refuse_for_now()
        outcome = rig.notifier.send(NOTICE)
        assert (outcome.ok, outcome.retry) == (False, True)
        rig.other.accept()
        assert rig.notifier.send(NOTICE).ok

    def test_nobody_there_is_tried_again(self, rig: Rig) -> None:
        rig.other.vanish()
        outcome = rig.notifier.send(NOTICE)
        assert (outcome.ok, outcome.retry) == (False, True)
        assert outcome.detail
