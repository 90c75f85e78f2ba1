"""The courier's promises one by one: nothing lost or doubled, one stamp for ever, kept until receipted, sent again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from edge_agent.contract.encoding import decode_body, decode_sequenced, encode_body, qualities, times_ms
from edge_agent.contract.message import (
    VERSION,
    BirthBody,
    Block,
    Body,
    Column,
    Data,
    Lane,
    LaneReceipt,
    Receipt,
    Series,
)
from edge_agent.contract.quality import Quality
from edge_agent.delivery import machine as ev
from edge_agent.delivery.courier import Courier
from edge_agent.model.points import Delivery
from edge_agent.model.reading import Reading

EPOCH, EARLIER = "2-00000000000000bb", "1-00000000000000aa"
BIRTH = BirthBody("test", [Series(0, "meter", "flow"), Series(1, "pump", "trip", lane="u")])
UTC = 1_790_000_000_000
SETTINGS = Delivery(batch_ms=1000, batch_readings=4, window_ms=5000, resend_ms=2000, in_flight=8)


class Desk:
    """A courier with its actions kept. Times are monotonic ms; UTC is `UTC` plus monotonic time."""

    def __init__(self, stored: Sequence[ev.Stored] = (), utc_known: bool = True) -> None:
        self.courier = Courier(SETTINGS)
        self.done: list[ev.Action] = []
        self.at(0, ev.Start(EPOCH, "boot-2", BIRTH, stored))
        if utc_known:
            self.at(0, ev.ClockSet(0, UTC, "ntp", 5))
        self.at(0, ev.Connected())

    def at(self, now_ms: int, event: ev.Event) -> list[Any]:
        actions = self.courier.step(now_ms, event)
        self.done += actions
        return actions

    def take(self, now_ms: int, *values: float, series: int = 0) -> list[Any]:
        return self.at(now_ms, ev.Taken([Reading(series, now_ms + i, value) for i, value in enumerate(values)]))

    def receipt(self, now_ms: int, lane: Lane, upto: int, *ranges: tuple[int, int], epoch: str = EPOCH) -> None:
        claim = LaneReceipt(epoch, lane, upto, list(ranges))
        self.at(now_ms, ev.ReceiptCame(Receipt(VERSION, "log-1", [claim])))

    def sent(self, actions: Sequence[ev.Action] | None = None) -> list[Data]:
        """Data messages that went out, in order."""
        published = [a for a in (self.done if actions is None else actions) if isinstance(a, ev.Publish)]
        return [head for a in published if isinstance(head := decode_sequenced(a.payload), Data)]

    def values(self) -> list[object]:
        """Every value that went out, repeats of a message left out."""
        of_key = {(head.l, head.s): head for head in self.sent()}
        return [value for head in of_key.values() for block in head.d.blocks for column in block.c for value in column.v]

    def write(self) -> ev.Write:
        """The newest write asked for."""
        return [action for action in self.done if isinstance(action, ev.Write)][-1]


def earlier(seq: int, t0: int | None) -> ev.Stored:
    body = encode_body(Body([Block([0], [Column(0, [float(seq)])])]))
    source = "" if t0 is None else "ntp"
    return ev.Stored(ev.Key(EARLIER, "n", seq), "data", "00" * 8, body, 1, "boot-1", 77_000, t0, source, 5)


def test_every_reading_is_in_one_batch_and_in_no_other() -> None:
    desk = Desk()
    desk.take(100, 1.0, 2.0, 3.0)
    desk.take(200, 4.0, 5.0, 6.0)
    desk.at(1300, ev.Tick())
    desk.take(1400, 7.0)
    desk.at(2500, ev.Tick())
    assert desk.values() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]


def test_each_reading_keeps_its_instant_and_its_quality() -> None:
    desk = Desk()
    taken = [(100, Quality.GOOD), (150, Quality.UNCERTAIN_RANGE), (151, Quality.UNCERTAIN_RANGE), (900, Quality.BAD_COMM)]
    desk.at(900, ev.Taken([Reading(0, taken_ms, None if quality.is_bad else 1.5, quality) for taken_ms, quality in taken]))
    desk.at(2000, ev.Tick())
    (head,) = desk.sent()
    (block,) = head.d.blocks
    assert [t - UTC for t in times_ms(head.t0, block)] == [t for t, _ in taken]
    assert list(qualities(block.c[0])) == [int(quality) for _, quality in taken]


def test_urgent_readings_travel_in_a_lane_of_their_own() -> None:
    desk = Desk()
    desk.take(100, 1.0)
    desk.take(100, 2.0, series=1)
    assert [head.l for head in desk.sent(desk.at(400, ev.Tick()))] == ["u"]


@pytest.mark.parametrize("step_ms", [-3_600_000, 45_000])
def test_a_stamp_stays_whatever_the_clock_learns(step_ms: int) -> None:
    desk = Desk()
    desk.take(100, 1.0)
    desk.at(1200, ev.Tick())
    desk.at(1300, ev.ClockSet(1300, UTC + 1300 + step_ms, "ntp", 5))
    desk.at(1400, ev.Disconnected())
    desk.at(1500, ev.Connected())
    desk.at(9000, ev.Tick())
    assert len(desk.sent()) >= 3
    assert {head.t0 for head in desk.sent()} == {UTC + 100}


def test_a_stamp_on_disk_stays_over_a_restart() -> None:
    desk = Desk([earlier(1, UTC - 5_000_000)])
    assert [(head.e, head.t0) for head in desk.sent()] == [(EARLIER, UTC - 5_000_000)]


def test_nothing_is_sent_before_it_has_a_stamp() -> None:
    desk = Desk(utc_known=False)
    desk.take(100, 1.0)
    desk.at(1200, ev.Tick())
    assert desk.sent() == []
    desk.at(1300, ev.ClockSet(1300, UTC + 1300, "ntp", 5))
    assert [head.t0 for head in desk.sent()] == [UTC + 100]


def test_a_receipt_releases_what_it_covers_and_nothing_more() -> None:
    desk = Desk()
    for n in range(6):
        desk.take(100 + 10 * n, *[float(4 * n + i) for i in range(4)])
    assert [head.s for head in desk.sent()] == [1, 2, 3, 4, 5, 6]
    desk.receipt(500, "n", 2, (4, 4))
    assert sorted(head.s for head in desk.sent(desk.at(20_000, ev.Tick()))) == [3, 5, 6]


def test_sending_is_no_receipt() -> None:
    desk = Desk()
    desk.take(100, 1.0)
    desk.at(1200, ev.Tick())
    assert desk.courier.figures(1300).depth == 2, "the birth and the batch"
    assert [head.s for head in desk.sent(desk.at(3300, ev.Tick()))] == [1], "again after resend_ms"
    desk.receipt(3400, "n", 1)
    desk.receipt(3400, "u", 1)
    assert desk.courier.figures(3500).depth == 0
    assert desk.sent(desk.at(60_000, ev.Tick())) == []


def test_after_a_reconnect_what_was_under_way_is_sent_again_at_once() -> None:
    desk = Desk()
    desk.take(100, 1.0)
    desk.at(1200, ev.Tick())
    desk.at(1300, ev.Disconnected())
    assert [head.s for head in desk.sent(desk.at(1400, ev.Connected()))] == [1]


def test_a_failed_write_is_not_believed() -> None:
    desk = Desk()
    desk.take(100, 1.0)
    desk.at(6000, ev.Tick())
    first = desk.write()
    keys = {stored.key for stored in first.add}
    assert ev.Key(EPOCH, "n", 1) in keys
    desk.at(6100, ev.WriteFailed(first.token, "no space"))
    assert desk.courier.figures(6100).on_disk == 0
    desk.at(12_000, ev.Tick())
    again = desk.write()
    assert again.token != first.token
    assert keys <= {stored.key for stored in again.add}
    desk.at(12_100, ev.Written(again.token))
    assert desk.courier.figures(12_100).on_disk >= len(keys)


def test_the_file_forgets_only_what_has_its_receipt() -> None:
    desk = Desk()
    desk.take(100, 1.0, 2.0, 3.0, 4.0)
    desk.take(200, 5.0, 6.0, 7.0, 8.0)
    desk.at(6000, ev.Tick())
    desk.at(6100, ev.Written(desk.write().token))
    desk.receipt(6200, "n", 1)
    desk.at(6300, ev.Stop())
    forgotten = [key for action in desk.done if isinstance(action, ev.Write) for key in action.forget]
    assert forgotten == [ev.Key(EPOCH, "n", 1)]


def test_what_is_written_reads_back_as_it_was_taken() -> None:
    desk = Desk()
    desk.take(100, 1.0, 2.0)
    desk.at(6000, ev.Tick())
    (stored,) = [stored for stored in desk.write().add if stored.kind == "data"]
    assert (stored.t0, stored.readings) == (UTC + 100, 2)
    assert [column.v for column in decode_body(stored.body).blocks[0].c] == [[1.0, 2.0]]
