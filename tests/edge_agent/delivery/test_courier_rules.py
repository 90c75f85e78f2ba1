"""Rules of delivery one by one: when batches close and are written, what overflows, which receipts count, what a stop leaves."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import pytest

from edge_agent.contract import encoding
from edge_agent.contract import message as m
from edge_agent.delivery import machine as ev
from edge_agent.delivery.courier import Courier
from edge_agent.delivery.holding import Memory
from edge_agent.model.points import Delivery
from edge_agent.model.reading import Happening, Reading
from tests.support.courier_line import CourierLine, epoch, messages

EPOCH, EARLIER = "2-0123456789abcdef", "1-0123456789abcdef"
BIRTH = m.BirthBody("test 1", [m.Series(0, "meter", "flow"), m.Series(1, "pump", "trip", lane="u")])
UTC_MS = 1_790_000_000_000
A = TypeVar("A", bound=ev.Action)


class Bench:
    """A courier whose disk works at once, unless it is told to wait or to fail. Times are monotonic ms."""

    def __init__(self, settings: Delivery = Delivery(), memory: Memory = Memory(), stored: Sequence[ev.Stored] = ()) -> None:
        self.courier = Courier(settings, memory)
        self.file = {each.key: each for each in stored}
        self.failing = ""
        self.writes: list[ev.Write] = []
        self.sent: list[m.Data | m.Birth] = []
        self.reports: list[str] = []
        self.wake_ms = 0
        self.at(0, ev.Start(EPOCH, "boot-2", BIRTH, list(stored)))

    def at(self, now_ms: int, event: ev.Event) -> list[m.Data | m.Birth]:
        """One step and what follows from it at once; what was sent."""
        sent: list[m.Data | m.Birth] = []
        for action in self.courier.step(now_ms, event):
            match action:
                case ev.Publish():
                    sent.append(encoding.decode_sequenced(action.payload))
                case ev.Write():
                    self.writes.append(action)
                    sent += self.at(now_ms, self._write(action))
                case ev.Fetch():
                    sent += self.at(now_ms, ev.Fetched([self.file[key] for key in action.span.each()]))
                case ev.Report():
                    self.reports.append(action.id)
                case ev.WakeAt():
                    self.wake_ms = action.mono_ms
        self.sent += sent
        return sent

    def _write(self, write: ev.Write) -> ev.Event:
        if self.failing:
            return ev.WriteFailed(write.token, self.failing)
        for key in write.forget:
            self.file.pop(key, None)
        self.file |= {each.key: each for each in write.add}
        return ev.Written(write.token)

    def link(self, now_ms: int = 0, error_ms: int = 0) -> None:
        """The clock is known and the broker is there."""
        self.at(now_ms, ev.ClockSet(now_ms, UTC_MS + now_ms + error_ms, "ntp", 5))
        self.at(now_ms, ev.Connected())

    def take(self, now_ms: int, *values: float, series: int = 0) -> list[m.Data | m.Birth]:
        return self.at(now_ms, ev.Taken([Reading(series, now_ms, value) for value in values]))

    def receipt(self, now_ms: int, *claims: m.LaneReceipt, log: str = "log-1") -> list[m.Data | m.Birth]:
        return self.at(now_ms, ev.ReceiptCame(m.Receipt(1, log, list(claims))))

    def everything(self, now_ms: int) -> None:
        """A receipt for all that was sent under the present epoch."""
        for lane in m.LANES:
            top = max((head.s for head in self.sent if (head.e, head.l) == (EPOCH, lane)), default=0)
            self.receipt(now_ms, m.LaneReceipt(EPOCH, lane, top))

    def depth(self, now_ms: int) -> int:
        return self.courier.figures(now_ms).depth


def keys(sent: Sequence[m.Data | m.Birth]) -> list[tuple[str, int]]:
    return [(head.l, head.s) for head in sent]


def earlier(seq: int, lane: m.Lane = "n", t0: int | None = UTC_MS - 1000, birth: str = "00" * 8) -> ev.Stored:
    body = encoding.encode_body(m.Body([m.Block([0], [m.Column(0, [float(seq)])])]))
    source = "ntp" if t0 else ""
    return ev.Stored(ev.Key(EARLIER, lane, seq), "data", birth, body, 1, "boot-1", 1000 * seq, t0, source, 5)


# --- batches ---


def test_a_batch_closes_after_its_time() -> None:
    bench = Bench(Delivery(batch_ms=5000))
    bench.link()
    assert bench.take(1000, 1.0) == []
    assert bench.at(5999, ev.Tick()) == []
    assert keys(bench.at(6000, ev.Tick())) == [("n", 1)]


def test_a_batch_closes_when_it_is_full() -> None:
    bench = Bench(Delivery(batch_readings=2))
    bench.link()
    assert keys(bench.take(1000, 1.0, 2.0, 3.0, 4.0)) == [("n", 1), ("n", 2)]


def test_what_is_urgent_does_not_wait_for_the_normal_batch() -> None:
    bench = Bench(Delivery(batch_ms=5000))
    bench.link()
    bench.take(1000, 1.0)
    bench.take(1100, 7.0, series=1)
    assert keys(bench.at(1300, ev.Tick())) == [("u", 2)]


def test_what_is_urgent_overtakes_a_window_full_of_normal_batches() -> None:
    bench = Bench(Delivery(batch_readings=1, in_flight=2))
    bench.link()
    bench.take(1000, *range(10))
    assert [key for key in keys(bench.sent) if key[0] == "n"] == [("n", 1), ("n", 2)][: len(bench.sent) - 1]
    bench.at(1100, ev.Happened([Happening("device.silent", 1100, True, "pump")]))
    assert ("u", 2) in keys(bench.at(1400, ev.Tick()))


# --- stamps ---


def test_a_small_step_back_of_the_clock_never_turns_the_order_of_a_lane() -> None:
    bench = Bench(Delivery(batch_readings=1))
    bench.link()
    bench.take(1000, 1.0)
    bench.at(1500, ev.ClockSet(1500, UTC_MS + 500, "ntp", 5))
    bench.take(1600, 2.0)
    first, second = (head for head in bench.sent if head.l == "n")
    assert second.t0 > first.t0
    true_ms = UTC_MS + 600
    assert abs(second.t0 - true_ms) <= (second.c.bound_ms if second.c else 1000)


def test_without_a_clock_nothing_is_sent_and_nothing_is_lost() -> None:
    bench = Bench(Delivery(batch_readings=1))
    bench.at(0, ev.Connected())
    bench.take(1000, 1.0)
    assert bench.sent == []
    sent = bench.at(90_000, ev.ClockSet(90_000, UTC_MS + 90_000, "ntp", 5))
    assert {(head.l, head.s, head.t0) for head in sent} == {("u", 1, UTC_MS), ("n", 1, UTC_MS + 1000)}


def test_readings_of_an_earlier_boot_without_a_clock_are_bounded_and_say_so() -> None:
    bench = Bench(stored=[replace(earlier(1, t0=None)), earlier(2, t0=None)])
    bench.link()
    for head in bench.sent:
        if head.e == EARLIER:
            assert head.c is not None
            assert head.c.source == "none"
            assert head.t0 <= UTC_MS + 5  # what the clock itself may be off
            assert head.t0 + head.c.bound_ms >= UTC_MS - 1000


# --- the file ---


def test_on_a_good_link_nothing_is_written_but_how_far_the_run_has_its_receipts() -> None:
    bench = Bench(Delivery(batch_ms=1000, window_ms=10_000))
    bench.link()
    bench.everything(100)
    for now_ms in range(1000, 600_000, 1000):
        bench.take(now_ms, float(now_ms))
        bench.everything(now_ms + 500)
    assert [write.run is not None for write in bench.writes] == [True]


def test_without_a_receipt_there_is_one_write_a_window() -> None:
    bench = Bench(Delivery(batch_ms=1000, window_ms=10_000))
    for now_ms in range(0, 100_000, 500):
        bench.take(now_ms, float(now_ms))
        bench.at(now_ms + 250, ev.Tick())
    assert 8 <= len(bench.writes) <= 11
    assert len({each.key for write in bench.writes for each in write.add}) == sum(len(write.add) for write in bench.writes)


def test_every_reading_is_on_disk_a_window_after_it_came() -> None:
    bench = Bench(Delivery(batch_ms=60_000, window_ms=10_000))
    bench.take(1000, 42.0)
    bench.at(bench.wake_ms, ev.Tick())
    assert bench.wake_ms <= 60_000
    bench.at(11_000, ev.Tick())
    bodies = [encoding.decode_body(each.body) for each in bench.file.values() if each.kind == "data"]
    assert [column.v for body in bodies for block in body.blocks for column in block.c] == [[42.0]]


def test_a_write_that_failed_is_made_again_and_told_once() -> None:
    bench = Bench(Delivery(batch_readings=1, window_ms=1000))
    bench.failing = "No space left on device"
    bench.take(0, 1.0)
    for now_ms in range(500, 5000, 500):
        bench.at(now_ms, ev.Tick())
    assert len(bench.writes) > 1
    assert bench.file == {}
    assert bench.courier.figures(5000).disk == "No space left on device"
    assert bench.reports.count("outbox.disk") == 1
    bench.failing = ""
    bench.at(7000, ev.Tick())
    assert ev.Key(EPOCH, "n", 1) in bench.file
    assert bench.courier.figures(7000).disk == ""


def test_a_stop_leaves_everything_on_disk() -> None:
    bench = Bench()
    bench.take(1000, 1.0)
    bench.at(1000, ev.Happened([Happening("bus.down", 1000, True, "line-1")]))
    bench.at(1001, ev.Stop())
    assert {(key.lane, each.kind) for key, each in bench.file.items()} == {("u", "birth"), ("n", "data"), ("u", "data")}


# --- overflow ---


def test_what_overflows_is_the_oldest_and_a_gap_record_tells_of_it() -> None:
    bench = Bench(Delivery(batch_readings=1, max_bytes=4000, window_ms=1000))
    for now_ms in range(0, 40_000, 1000):
        bench.take(now_ms, float(now_ms))
    assert bench.courier.figures(40_000).dropped > 0
    bench.link(40_000)
    for now_ms in range(40_000, 140_000, 500):
        bench.at(now_ms, ev.Tick())
        bench.everything(now_ms)
    sent = {head.s for head in bench.sent if head.l == "n"}
    batches = [head.d for head in bench.sent if isinstance(head, m.Data)]
    told = {seq for body in batches for gap in body.gaps if gap.l == "n" for seq in range(gap.a, gap.z + 1)}
    assert sent | told == set(range(1, 41))
    assert max(told) < min(sent)
    assert {gap.why for body in batches for gap in body.gaps} == {"overflow"}
    assert any(event.kind == "outbox.dropped" for body in batches for event in body.events)


def told_gaps(bench: Bench) -> set[tuple[str, str, int, int, str]]:
    """Every gap record that was sent, split by sequence: epoch, lane, sequence, readings of the record, why."""
    bodies = [head.d for head in bench.sent if isinstance(head, m.Data)]
    return {(gap.e, gap.l, seq, gap.readings, gap.why) for body in bodies for gap in body.gaps for seq in range(gap.a, gap.z + 1)}


def test_what_a_damaged_message_told_is_told_again_and_forgotten_in_the_same_write() -> None:
    """Seed 940352: a message that told of what had overflowed was damaged on the card, and nobody heard of either."""
    bench = Bench(Delivery(batch_readings=1))
    key = ev.Key(EARLIER, "u", 7)
    lost = ev.Lost(key, 2, [m.Gap(EARLIER, "n", 1, 1, 3, "overflow")])
    bench.at(0, ev.Start(EPOCH, "boot-2", BIRTH, lost=[lost]))
    assert (bench.reports, bench.courier.figures(0).dropped) == (["outbox.damaged"], 2)
    bench.link(1000)
    for now_ms in range(1000, 80_000, 1000):
        bench.at(now_ms, ev.Tick())
    assert told_gaps(bench) == {(EARLIER, "u", 7, 2, "damaged"), (EARLIER, "n", 1, 3, "overflow")}
    (write,) = [write for write in bench.writes if key in write.forget]
    assert any(stored.gaps == 2 for stored in write.add)


def test_what_tells_of_gaps_and_grows_too_old_is_told_again() -> None:
    bench = Bench(Delivery(batch_readings=1, max_bytes=4000, max_age_ms=300_000, window_ms=1000))
    for now_ms in range(0, 40_000, 1000):
        bench.take(now_ms, float(now_ms))
    for now_ms in range(40_000, 900_000, 1000):
        bench.at(now_ms, ev.Tick())
    bench.link(900_000)
    for now_ms in range(900_000, 1_000_000, 500):
        bench.at(now_ms, ev.Tick())
        bench.everything(now_ms)
    assert {seq for _, lane, seq, _, _ in told_gaps(bench) if lane == "n"} == set(range(1, 41))


# --- receipts ---


def test_a_receipt_beyond_what_was_sent_is_refused_and_reported() -> None:
    bench = Bench(Delivery(batch_readings=1))
    bench.link()
    bench.take(1000, 1.0)
    bench.receipt(2000, m.LaneReceipt(EPOCH, "n", 5), m.LaneReceipt(EPOCH, "u", 1, [(3, 1 << 40)]))
    assert bench.depth(2000) == 2
    assert bench.reports == ["receipt.refused"] * 2


def test_a_receipt_for_an_epoch_of_which_nothing_is_held_is_ignored() -> None:
    bench = Bench(Delivery(batch_readings=1))
    bench.link()
    bench.take(1000, 1.0)
    bench.receipt(2000, m.LaneReceipt("9-ffffffffffffffff", "n", 1 << 50))
    assert bench.depth(2000) == 2
    assert bench.reports == []


def test_ranges_release_what_they_name_and_low_stays_at_the_hole() -> None:
    bench = Bench(Delivery(batch_readings=1))
    bench.link()
    bench.take(1000, 1.0, 2.0, 3.0, 4.0)
    bench.receipt(2000, m.LaneReceipt(EPOCH, "u", 1), m.LaneReceipt(EPOCH, "n", 1, [(3, 4)]))
    assert bench.depth(2000) == 1
    again = [head for head in bench.at(60_000, ev.Tick()) if head.l == "n"]
    assert [(head.s, head.low) for head in again] == [(2, 2)]


def test_another_log_gets_everything_that_is_still_held_and_the_birth() -> None:
    bench = Bench(Delivery(batch_readings=1))
    bench.link()
    bench.take(1000, 1.0, 2.0)
    bench.receipt(2000, m.LaneReceipt(EPOCH, "u", 1), m.LaneReceipt(EPOCH, "n", 1))
    sent = bench.receipt(3000, m.LaneReceipt(EPOCH, "n", 0), log="log-2")
    assert sorted(keys(sent)) == [("n", 2), ("u", 2)]


def test_a_birth_stays_in_the_file_while_a_batch_there_refers_to_it() -> None:
    bench = Bench(Delivery(batch_readings=1, window_ms=1000))
    bench.link()
    bench.receipt(100, m.LaneReceipt(EPOCH, "u", 1))
    bench.at(200, ev.Disconnected())
    bench.take(300, 1.0)
    bench.at(400, ev.NewBirth(replace_software("test 2")))
    bench.at(2000, ev.Tick())
    births = {each.birth for each in bench.file.values() if each.kind == "birth"}
    assert {each.birth for each in bench.file.values() if each.kind == "data"} <= births


def replace_software(software: str) -> m.BirthBody:
    return m.BirthBody(software, BIRTH.series)


# --- a long backlog ---


def calls_of_a_step(backlog: int) -> int:
    """Python calls of taking, sending and confirming one batch while `backlog` others wait."""
    bench = Bench(Delivery(batch_readings=1, in_flight=4), stored=[earlier(seq) for seq in range(1, backlog + 1)])
    bench.link()
    bench.receipt(10, m.LaneReceipt(EPOCH, "u", 1))
    count = 0

    def profile(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        bench.take(1000, 1.0)
        bench.receipt(1010, m.LaneReceipt(EARLIER, "n", 4))
        bench.at(1500, ev.Tick())
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("backlog", [20_000])
def test_a_step_costs_what_it_touches_not_what_waits(backlog: int) -> None:
    assert calls_of_a_step(backlog) < 2 * calls_of_a_step(backlog // 100)


def test_a_backlog_comes_out_whole_and_in_order() -> None:
    bench = Bench(Delivery(in_flight=32), stored=[earlier(seq) for seq in range(1, 2001)])
    bench.link()
    for now_ms in range(10, 20_000, 10):
        top = max((head.s for head in bench.sent if head.e == EARLIER), default=0)
        if top == 2000:
            break
        bench.receipt(now_ms, m.LaneReceipt(EARLIER, "n", top))
    assert [head.s for head in bench.sent if head.e == EARLIER] == list(range(1, 2001))


# --- a window of their own for urgent readings ---


def test_with_no_window_each_urgent_reading_is_on_disk_in_the_step_that_takes_it() -> None:
    bench = Bench(Delivery(urgent_window_ms=0))
    bench.take(1000, 7.0, series=0)
    bench.take(2000, 1.0, series=1)
    bodies = [encoding.decode_body(each.body) for each in bench.file.values() if each.kind == "data"]
    assert [(column.i, column.v) for body in bodies for block in body.blocks for column in block.c] == [(1, [1.0])]
    bench.take(2001, 2.0, series=1)
    assert len(bench.writes) == 2
    bench.at(11_000, ev.Tick())
    assert sum(each.readings for each in bench.file.values()) == 3, "the others keep their window"


def test_events_keep_the_common_window() -> None:
    bench = Bench(Delivery(urgent_window_ms=0))
    bench.at(1000, ev.Happened([Happening("bus.down", 1000, True, "line-1")]))
    bench.at(9000, ev.Tick())
    assert bench.writes == []
    bench.at(11_200, ev.Tick())
    assert {each.kind for each in bench.file.values()} == {"birth", "data"}


def test_a_receipt_that_names_a_lane_twice_releases_each_message_once() -> None:
    """Found by the fuzzer: the second entry released what was gone, and the agent died of it."""
    line = CourierLine(Delivery(batch_ms=100)).start()
    line.read(1.0)
    line.tick(200)
    twice = m.LaneReceipt(epoch(1), "n", 1)
    line.tell(ev.ReceiptCame(m.Receipt(1, "log-1", [twice, twice])))
    assert line.courier.figures(line.now_ms).delivered == 1


def test_weeks_offline_leave_no_names_in_memory() -> None:
    bench = Bench(Delivery(batch_readings=1, window_ms=1000), Memory(cached_bytes=20_000))
    for now_ms in range(0, 3_000_000, 1000):
        bench.take(now_ms, float(now_ms))
    holding = bench.courier.holding
    assert bench.depth(3_000_000) == 3001
    assert sum(len(lane.of_seq) for lane in holding.outbox.lanes.values()) < 100
    assert len(list(holding.outbox.shelves())) <= 2
    assert sum(map(len, holding.window._ready.values())) < 300


def test_a_birth_that_is_sent_again_does_not_claim_that_what_follows_it_is_held() -> None:
    """After a restore the collector hears the birth anew and must learn that the messages behind it will not come."""
    line = CourierLine().start()
    for n in range(5):
        line.tell(ev.Happened([Happening("test", line.now_ms, about=(("n", n),))]))
        line.tick(1000)
    line.receipt("u", 4)
    line.take_sent()
    line.tell(ev.SendBirth())
    line.receipt("u", 0, log="log-2")
    sent = {message.s: message.low for message in messages(line.take_sent()) if message.l == "u"}
    assert sent == {1: 1, 5: 5, 6: 5, 7: 5}
    line.receipt("u", 7, log="log-2")
    line.tell(ev.Happened([Happening("test", line.now_ms)]))
    line.tick(1000)
    (last,) = messages(line.take_sent())
    assert (last.s, last.low) == (8, 8)
