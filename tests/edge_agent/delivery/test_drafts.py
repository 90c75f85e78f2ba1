"""Batches that wait for company longer than the durability window: drafts on disk, one message on the air."""

from __future__ import annotations

from edge_agent.contract.encoding import times_ms
from edge_agent.contract.message import Data
from edge_agent.delivery import machine as ev
from edge_agent.model.points import Delivery
from tests.support.courier_line import UTC_MS, CourierLine, epoch, messages

LONG = Delivery(batch_ms=60_000, window_ms=10_000)
N1 = ev.Key(epoch(1), "n", 1)


def values(message: object) -> list[tuple[int, object]]:
    """Time and value of each reading."""
    assert isinstance(message, Data)
    return [
        (at, value)
        for block in message.d.blocks
        for column in block.c
        for at, value in zip(times_ms(message.t0, block), column.v, strict=True)
    ]


def settled(line: CourierLine) -> CourierLine:
    """The birth has its receipt, and nothing is on its way."""
    line.receipt("u", 1)
    line.take_sent()
    return line


def test_what_waits_is_on_disk_after_its_window_and_on_the_air_once() -> None:
    line = settled(CourierLine(LONG).start())
    for second in range(0, 55, 5):
        line.read(float(second))
        line.tick(5000)
        if second >= 10:
            assert line.disk[N1].readings >= (second - 10) // 5 + 1
    assert line.take_sent() == []
    line.tick(6000)
    (sent,) = line.take_sent()
    assert [value for _, value in values(messages([sent])[0])] == [float(second) for second in range(0, 55, 5)]
    line.receipt("n", 1)
    assert line.courier.figures(line.now_ms).depth == 0
    line.read(1.0)
    line.tick(70_000)
    assert N1 not in line.disk, "with a later write the drafts are forgotten"
    assert set(line.take_keys()) == {"n2"}


def test_nothing_new_no_write() -> None:
    line = settled(CourierLine(LONG).start())
    line.read(1.0)
    line.tick(11_000)
    writes = len(line.writes)
    line.tick(40_000)
    assert len(line.writes) == writes


def test_after_a_power_cut_the_draft_is_what_is_sent() -> None:
    line = settled(CourierLine(LONG).start())
    line.read(1.0)
    line.tick(5000)
    line.read(2.0)
    line.tick(10_000)
    line.read(3.0)
    line.tick(1000)
    after = CourierLine(LONG, disk=line).start(2, "boot-2", clock=False)
    (data,) = [m for m in messages(after.take_sent()) if isinstance(m, Data)]
    assert (data.e, data.s) == (epoch(1), 1)
    assert values(data) == [(UTC_MS + 1000, 1.0), (UTC_MS + 6000, 2.0)]


def test_without_a_receipt_the_whole_batch_replaces_its_drafts() -> None:
    line = settled(CourierLine(LONG).start())
    for n in range(12):
        line.read(float(n))
        line.tick(5500)
    line.tick(15_000)
    assert line.take_keys()[0] == "n1"
    assert line.disk[N1].readings == 11
    assert line.courier.figures(line.now_ms).on_disk == 1


def test_a_failed_draft_is_made_again() -> None:
    line = settled(CourierLine(LONG).start())
    line.is_disk_good = False
    line.read(1.0)
    line.tick(12_000)
    assert line.disk == {}
    line.is_disk_good = True
    line.tick(12_000)
    assert line.disk[N1].readings == 1
    line.tick(60_000)
    assert line.disk[N1].readings == 1


def test_the_clock_may_move_the_stamps_stay() -> None:
    line = settled(CourierLine(LONG).start())
    line.read(1.0)
    line.tick(12_000)
    line.set_clock(UTC_MS + 5000)
    line.read(2.0)
    line.tick(60_000)
    data = messages([sent for sent in line.take_sent() if sent.key == N1])[0]
    assert isinstance(data, Data)
    assert values(data) == [(UTC_MS + 1000, 1.0), (UTC_MS + 13_000, 2.0)]
    assert data.c is not None
    assert data.c.bound_ms >= 5000
    assert line.disk[N1].t0 == data.t0


def test_a_draft_without_a_stamp_waits_for_the_anchor() -> None:
    line = CourierLine(LONG).start(clock=False)
    line.read(1.0)
    line.tick(12_000)
    assert line.disk[N1].t0 is None
    line.set_clock()
    assert line.anchors[epoch(1)].offset_ms == UTC_MS
    assert [key for key in line.take_keys() if key.startswith("n")] == ["n1"], "closed, anchored, sent"
    after = CourierLine(LONG, disk=line).start(2, "boot-2", clock=False)
    (data,) = [m for m in messages(after.take_sent()) if isinstance(m, Data)]
    assert values(data) == [(UTC_MS + 1000, 1.0)]


def test_stop_closes_and_writes_it() -> None:
    line = settled(CourierLine(LONG).start())
    line.read(1.0)
    line.tick(12_000)
    line.read(2.0)
    line.tell(ev.Stop())
    assert line.disk[N1].readings == 2
    assert line.take_keys() == ["n1"]
