"""How far a run has its receipts is noted, seldom; the births of later runs tell it."""

from __future__ import annotations

from edge_agent.contract.message import Birth, Past
from edge_agent.delivery import machine as ev
from edge_agent.delivery.durability import RUN_NOTED_MS
from edge_agent.model.points import Delivery
from tests.support.courier_line import UTC_MS, CourierLine, epoch, messages

WINDOW_MS = 10_000


def delivered(line: CourierLine, batches: int, pause_ms: int, counter: int = 1) -> None:
    """So many batches come about and have their receipt."""
    line.receipt("u", 1, counter=counter)
    for seq in range(1, batches + 1):
        line.read(1.0)
        line.tick(pause_ms)
        line.receipt("n", seq, counter=counter)


def past_of(line: CourierLine) -> list[Past]:
    """What the birth of the present run says."""
    births = [birth for birth in messages(line.take_sent()) if isinstance(birth, Birth)]
    return max(births, key=lambda birth: birth.e).past


def test_a_run_that_was_ended_is_told_of_exactly() -> None:
    line = CourierLine(Delivery(batch_ms=1000, window_ms=WINDOW_MS)).start()
    assert past_of(line) == []
    delivered(line, 30, 5000)
    line.tell(ev.Stop())
    later = CourierLine(disk=line).start(2)
    assert past_of(later) == [Past(epoch(1), 30, 1, UTC_MS + line.now_ms)]
    last = CourierLine(disk=later).start(3)
    assert [run.e for run in past_of(last)] == [epoch(1)], "a run without any receipt has nothing to tell"


def test_of_a_run_that_was_cut_off_at_least_half_is_known_at_few_writes() -> None:
    for batches in (40, 400, 4000):
        line = CourierLine(Delivery(batch_ms=1000, window_ms=WINDOW_MS)).start()
        delivered(line, batches, 5000)
        (run,) = CourierLine(disk=line).start(2).runs.values()
        lately = RUN_NOTED_MS // 5000 + 2
        assert batches >= run.normal >= min(batches // 2 - 2, batches - lately)
        assert run.normal >= 1
        assert len(line.writes) <= 7, [write.run for write in line.writes]


def test_a_receipt_beyond_what_was_sent_is_not_noted() -> None:
    line = CourierLine(Delivery(batch_ms=1000, window_ms=WINDOW_MS)).start()
    delivered(line, 3, 5000)
    line.receipt("n", 10**6)
    line.receipt("n", 10**6, counter=9)
    line.tell(ev.Stop())
    assert {name: run.normal for name, run in line.runs.items()} == {epoch(1): 3}


def test_a_birth_of_an_earlier_run_tells_nothing_of_its_own_or_later_ones() -> None:
    line = CourierLine(Delivery(batch_ms=1000, window_ms=WINDOW_MS)).start(connect=False)
    line.read(1.0)
    line.tick(WINDOW_MS)
    line.runs[epoch(1)] = ev.Run(epoch(1), 5, 1, 0)
    later = CourierLine(disk=line).start(2)
    told = {birth.e: birth.past for birth in messages(later.take_sent()) if isinstance(birth, Birth)}
    assert told == {epoch(1): [], epoch(2): [Past(epoch(1), 5, 1)]}


def test_a_note_that_could_not_be_written_is_written_later() -> None:
    line = CourierLine(Delivery(batch_ms=1000, window_ms=WINDOW_MS)).start()
    line.is_disk_good = False
    delivered(line, 5, 5000)
    assert line.runs == {}
    line.is_disk_good = True
    line.tick(2 * RUN_NOTED_MS)
    assert line.runs[epoch(1)].normal == 5
