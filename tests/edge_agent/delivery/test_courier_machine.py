"""The Courier as a whole: what it sends, writes, forgets and believes."""

from __future__ import annotations

from edge_agent.contract.encoding import decode_birth_body
from edge_agent.contract.message import Birth, BirthBody, Data, Series
from edge_agent.delivery import machine as ev
from edge_agent.delivery.courier import STAMP_PATIENCE_MS
from edge_agent.delivery.holding import Memory
from edge_agent.model.points import Delivery
from edge_agent.model.reading import Happening
from tests.support.courier_line import BIRTH, UTC_MS, CourierLine, epoch, messages

SLOW = Delivery(window_ms=1_000_000)


def test_with_confirm_puback_the_brokers_word_counts_as_a_receipt() -> None:
    line = CourierLine(Delivery(confirm="puback", window_ms=10_000)).start()
    line.read(1.5, 2.5)
    line.tick(5000)
    assert line.take_keys() == ["u1", "n1"]
    for lane, seq in (("u", 1), ("n", 1), ("n", 7)):
        line.tell(ev.BrokerTook(ev.Key(epoch(1), lane, seq)))
    figures = line.courier.figures(line.now_ms)
    assert (figures.delivered, figures.depth) == (2, 0)
    line.tick(60_000)
    assert line.take_keys() == []
    assert not line.disk, "what the broker took is never written"


def test_with_confirm_puback_nothing_else_changes() -> None:
    line = CourierLine(Delivery(confirm="puback", window_ms=10_000)).start()
    line.read(1.5)
    line.tick(16_000)
    assert line.take_keys() == ["u1", "n1", "u1", "n1"], "sent again without an answer"
    assert {key.lane for key in line.disk} == {"n", "u"}, "written when the window is over"
    line.tell(ev.Disconnected())
    line.tell(ev.Connected())
    assert line.take_keys() == ["u1", "n1"]
    line.receipt("n", 1)
    assert line.courier.figures(line.now_ms).delivered == 1, "a collector's word counts all the same"


def test_with_receipts_the_brokers_word_counts_for_nothing() -> None:
    line = CourierLine().start()
    line.tell(ev.BrokerTook(ev.Key(epoch(1), "u", 1)))
    assert line.courier.figures(line.now_ms).depth == 1


def test_nothing_is_sent_again_before_its_receipt_can_be_there() -> None:
    hours = 2 * 3_600_000
    settings = Delivery(receipt_hold_ms=hours, resend_ms=10_000, window_ms=100_000_000, batch_ms=1000)
    line = CourierLine(settings).start()
    line.receipt("u", 1)
    line.read(1.0)
    line.tick(1000)
    assert line.take_keys() == ["u1", "n1"]
    line.tick(hours + 4000)
    assert line.take_keys() == []
    line.tick(2000)
    assert line.take_keys() == ["n1"]
    line.read(1.0, series=1)
    line.tick(300)
    assert line.take_keys() == ["u2"]
    line.tick(10_000)
    assert line.take_keys() == ["u2"], "the urgent lane does not wait for the normal one"


def test_a_receipt_that_misses_what_was_sent_long_before_makes_it_go_again() -> None:
    settings = Delivery(receipt_hold_ms=7_200_000, window_ms=100_000_000, batch_ms=1000)
    line = CourierLine(settings).start()
    line.receipt("u", 1)
    for _ in range(2):
        line.read(1.0)
        line.tick(5_500)
    assert line.take_keys() == ["u1", "n1", "n2"]
    line.receipt("n", 0, [(2, 2)])
    assert line.take_keys() == ["n1"], "sent 10 s ago"
    line.tick(5_000)
    line.receipt("n", 0, [(2, 2)])
    assert line.take_keys() == [], "n1 went again 5 s ago: this receipt may be older"


def test_the_birth_goes_first_and_readings_follow_when_their_batch_closes() -> None:
    line = CourierLine().start()
    assert line.take_keys() == ["u1"]
    line.read(1.5)
    line.tick(4999)
    assert line.take_keys() == []
    line.tick(1)
    (sent,) = line.take_sent()
    (data,) = messages([sent])
    assert isinstance(data, Data)
    assert (sent.key, data.t0, data.d.blocks[0].c[0].v) == (ev.Key(epoch(1), "n", 1), UTC_MS + 1000, [1.5])


def test_urgent_points_and_events_go_at_once_and_before_everything_else() -> None:
    line = CourierLine(SLOW).start(connect=False)
    line.read(1.0)
    line.tick(5000)
    line.read(1.0, series=1)
    line.tell(ev.Happened([Happening("device.silent", line.now_ms, True, "pump-1")]))
    line.tick(200)
    line.tell(ev.Connected())
    assert line.take_keys() == ["u1", "u2", "n1"]


def test_a_good_link_writes_nothing_but_how_far_the_run_has_its_receipts() -> None:
    line = CourierLine().start()
    line.receipt("u", 1)
    for seq in range(1, 100):
        line.read(1.0)
        line.tick(5000)
        line.receipt("n", seq)
    (write,) = line.writes
    assert write.run is not None
    assert (write.run.normal, write.run.urgent) == (1, 1)
    assert line.courier.figures(line.now_ms).delivered == 99


def test_what_has_no_receipt_is_on_disk_when_its_window_is_over() -> None:
    line = CourierLine(Delivery(batch_ms=60_000, window_ms=10_000)).start(connect=False)
    line.read(1.0)
    line.tick(9_999)
    assert line.writes == []
    line.read(2.0)
    line.tick(1)
    (write,) = line.writes
    assert [stored.key.lane + str(stored.key.seq) for stored in write.add] == ["n1", "u1"]
    assert sum(stored.readings for stored in write.add) == 2


def test_forgetting_waits_for_a_write_that_is_due_anyway() -> None:
    line = CourierLine().start()
    line.read(1.0)
    line.tick(11_000)
    assert set(line.disk) == {ev.Key(epoch(1), "n", 1), ev.Key(epoch(1), "u", 1)}
    line.receipt("n", 1)
    assert len(line.writes) == 1
    line.read(2.0)
    line.tick(11_000)
    assert ev.Key(epoch(1), "n", 1) not in line.disk
    assert ev.Key(epoch(1), "n", 2) in line.disk


def test_a_restart_sends_what_the_file_held_under_its_own_epoch_with_its_own_stamp() -> None:
    before = CourierLine().start(connect=False)
    before.read(1.0)
    before.tick(11_000)
    after = CourierLine(disk=before).start(2, "boot-2", clock=False)
    births_and_data = messages(after.take_sent())
    assert [(m.e, m.l, m.s) for m in births_and_data] == [(epoch(1), "u", 1), (epoch(1), "n", 1)]
    assert births_and_data[1].t0 == UTC_MS + 1000
    after.set_clock()
    assert [(m.e, m.s) for m in messages(after.take_sent())] == [(epoch(2), 1)]


def test_stop_writes_everything_without_receipt_and_forgets_the_rest() -> None:
    line = CourierLine().start()
    line.read(1.0)
    line.tell(ev.Stop())
    assert {key.lane for key in line.disk} == {"n", "u"}
    assert line.take_keys() == ["u1", "n1"], "sending goes on"
    line.receipt("n", 1)
    assert line.courier.figures(line.now_ms).depth == 1


def test_resends_double_and_any_word_of_the_collector_sets_them_back() -> None:
    line = CourierLine(Delivery(resend_ms=1000, receipt_hold_ms=0, window_ms=10_000_000)).start()
    line.take_sent()
    times = []
    for _ in range(80):
        line.tick(1000)
        times += [line.now_ms - 1000] * len(line.take_keys())
    assert times == [1000, 3000, 7000, 15_000, 31_000, 47_000, 63_000, 79_000]
    line.receipt("n", 0)
    line.tick(1000)
    assert line.take_keys() == ["u1"]


def test_after_a_reconnect_it_goes_on_from_the_oldest() -> None:
    line = CourierLine(Delivery(in_flight=3, window_ms=10_000_000, batch_ms=1000)).start(connect=False)
    for _ in range(5):
        line.read(1.0)
        line.tick(1000)
    line.tell(ev.Connected())
    assert line.take_keys() == ["u1", "n1", "n2"]
    line.receipt("n", 1)
    assert line.take_keys() == ["n3"]
    line.tell(ev.Disconnected())
    line.tell(ev.Connected())
    assert line.take_keys() == ["u1", "n2", "n3"]


def test_newest_first_is_a_setting() -> None:
    line = CourierLine(Delivery(in_flight=3, window_ms=10_000_000, batch_ms=1000, newest_first=True)).start(connect=False)
    for _ in range(5):
        line.read(1.0)
        line.tick(1000)
    line.tell(ev.Connected())
    assert line.take_keys() == ["u1", "n5", "n4"]
    line.receipt("n", 0, [(4, 5)])
    assert line.take_keys() == ["n3", "n2"]


def test_where_ranges_run_out_the_oldest_go_ahead() -> None:
    line = CourierLine(Delivery(in_flight=1, window_ms=10_000_000, batch_ms=1000, newest_first=True)).start(connect=False)
    for _ in range(60):
        line.read(1.0)
        line.tick(1000)
    line.tell(ev.Connected())
    line.take_sent()
    line.courier._sent_seq["n"] = 60
    line.receipt("n", 0, [(seq, seq) for seq in range(10, 58, 2)])
    assert {"n1", "n2", "n3"} <= set(line.take_keys())


def test_low_is_the_lowest_sequence_still_held() -> None:
    line = CourierLine(Delivery(window_ms=10_000_000, batch_ms=1000)).start()
    for _ in range(3):
        line.read(1.0)
        line.tick(1000)
    assert [m.low for m in messages(line.take_sent()) if m.l == "n"] == [1, 1, 1]
    line.receipt("n", 2)
    line.read(1.0)
    line.tick(1000)
    assert [(m.s, m.low) for m in messages(line.take_sent())] == [(4, 3)]


def test_a_receipt_beyond_what_was_sent_is_refused_reported_once_and_deletes_nothing() -> None:
    line = CourierLine().start()
    for _ in range(3):
        line.receipt("u", 2**53 - 1)
        line.receipt("u", 0, [(5, 9)])
    assert line.courier.figures(line.now_ms).depth == 1
    assert [report.id for report in line.reports] == ["receipt.refused"]
    line.receipt("u", 2**40, counter=77)
    assert len(line.reports) == 1, "nothing is held of that epoch"


def test_another_log_gets_everything_that_is_still_held_and_the_births() -> None:
    line = CourierLine(SLOW).start()
    line.receipt("u", 1)
    line.read(1.0)
    line.tick(5000)
    assert line.take_keys() == ["u1", "n1"]
    line.receipt("n", 0, log="log-2")
    assert line.take_keys() == ["u2", "n1"]


def test_another_log_that_never_had_a_birth_cannot_release_it_by_the_sequence_of_its_old_message() -> None:
    line = CourierLine().start()
    line.read(1.0)
    line.tick(11_000)
    line.receipt("u", 1)
    line.tell(ev.NewBirth(BirthBody("test 2", [Series(0, "pump-1", "current")])))
    line.receipt("u", 2)
    line.take_sent()
    line.receipt("u", 2, log="log-2")  # it heard of the lane when nothing of it was held any more
    first, newest = [each for each in messages(line.take_sent()) if isinstance(each, Birth)]
    assert [decode_birth_body(bytes(each.body)).software for each in (first, newest)] == ["test 1", "test 2"]
    assert (first.s, newest.s) == (3, 4)
    line.receipt("n", 1, log="log-2")
    line.receipt("u", 2, log="log-2")
    assert ev.Key(epoch(1), "u", 1) in line.courier.holding.outbox.kept_births
    line.receipt("u", 4, log="log-2")
    assert line.courier.holding.outbox.kept_births.keys() == {ev.Key(epoch(1), "u", 2)}


def test_births_of_an_earlier_run_go_out_as_new_messages_before_the_present_one() -> None:
    first = CourierLine().start(connect=False)
    first.read(1.0)
    first.tick(11_000)
    second = CourierLine(disk=first).start(2, birth=BirthBody("test 2", [Series(0, "pump-1", "current")]))
    sent = [each for each in messages(second.take_sent()) if isinstance(each, Birth)]
    assert [(each.e, each.s, decode_birth_body(bytes(each.body)).software) for each in sent] == [
        (epoch(1), 1, "test 1"), (epoch(2), 1, "test 1"), (epoch(2), 2, "test 2"),
    ]  # fmt: skip


def test_a_birth_is_held_while_a_batch_refers_to_it_and_sent_again_when_asked() -> None:
    line = CourierLine().start(connect=False)
    line.read(1.0)
    line.tick(11_000)
    line.tell(ev.Connected())
    line.receipt("u", 1)
    line.take_sent()
    line.tell(ev.NewBirth(BirthBody("test 2", [Series(0, "pump-1", "current")])))
    assert line.take_keys() == ["u2"]
    line.receipt("u", 2)
    line.tell(ev.SendBirth())
    (again,) = messages(line.take_sent())
    assert isinstance(again, Birth)
    assert (again.s, line.courier.holding.outbox.kept_births.keys()) == (2, {ev.Key(epoch(1), "u", 1)})
    line.receipt("n", 1)
    assert not line.courier.holding.outbox.kept_births


def test_an_equal_birth_changes_nothing() -> None:
    line = CourierLine().start()
    line.tell(ev.NewBirth(BirthBody("test 1", [Series(0, "pump-1", "current"), Series(1, "pump-1", "trip", lane="u")])))
    assert line.take_keys() == ["u1"]


def test_what_is_on_disk_without_a_stamp_waits_until_its_anchor_is_durable() -> None:
    line = CourierLine().start(clock=False)
    line.read(1.0)
    line.tick(11_000)
    line.is_disk_good = False
    line.set_clock()
    assert line.take_keys() == []
    line.is_disk_good = True
    line.tick(10_000)
    assert {"u1", "n1"} <= set(line.take_keys())
    again = CourierLine(disk=line).start(2, "boot-2", clock=False)
    assert [m.t0 for m in messages(again.take_sent()) if (m.l, m.s) in {("u", 1), ("n", 1)}] == [UTC_MS + 1000, UTC_MS + 1000]


def test_a_disk_that_stays_broken_does_not_hold_them_back_for_ever() -> None:
    line = CourierLine().start(clock=False)
    line.read(1.0)
    line.tick(11_000)
    line.is_disk_good = False
    line.set_clock()
    line.tick(STAMP_PATIENCE_MS - 1000)
    assert "n1" not in line.take_keys()
    line.tick(30_000)
    assert "n1" in line.take_keys()


def test_a_failed_write_is_reported_once_tried_each_window_and_told_when_over() -> None:
    line = CourierLine(Delivery(resend_ms=10_000_000)).start()
    line.is_disk_good = False
    line.tick(60_000)
    assert 4 <= len(line.writes) <= 7
    assert [report.id for report in line.reports] == ["outbox.disk"]
    assert line.courier.figures(line.now_ms).disk == "I/O error"
    line.is_disk_good = True
    line.tick(20_000)
    events = [event for m in messages(line.take_sent()) if isinstance(m, Data) for event in m.d.events]
    assert [(event.kind, event.on) for event in events] == [("outbox.disk", True), ("outbox.disk", False)]
    assert line.courier.figures(line.now_ms).disk == ""


def test_a_full_outbox_drops_the_oldest_and_says_so() -> None:
    line = CourierLine(Delivery(batch_ms=1000, max_bytes=8000, in_flight=100)).start(connect=False)
    for number in range(120):
        line.read(float(number))
        line.tick(1000)
    line.tick(70_000)
    line.tell(ev.Connected())
    data = [m for m in messages(line.take_sent()) if isinstance(m, Data)]
    kept = {m.s for m in data if m.l == "n"}
    gone = {seq for m in data for gap in m.d.gaps if gap.l == "n" for seq in range(gap.a, gap.z + 1)}
    figures = line.courier.figures(line.now_ms)
    assert (kept | gone, kept & gone) == (set(range(1, 121)), set())
    assert min(kept) > max(gone)
    assert figures.dropped == len(gone) == sum(e.about["readings"] for m in data for e in m.d.events if e.kind == "outbox.dropped")
    assert figures.depth_bytes <= 8000 + 1000
    assert [report.id for report in line.reports][:1] == ["outbox.dropped"]


def test_what_is_too_old_is_dropped_for_its_age() -> None:
    line = CourierLine(Delivery(max_age_ms=600_000)).start(connect=False)
    line.read(1.0)
    line.tick(800_000)
    line.tell(ev.Connected())
    gaps = [gap for m in messages(line.take_sent()) if isinstance(m, Data) for gap in m.d.gaps]
    assert [(gap.l, gap.a, gap.z, gap.readings, gap.why) for gap in gaps] == [("n", 1, 1, 1, "age")]


def test_bodies_leave_memory_when_it_is_tight_and_come_back_to_be_sent() -> None:
    line = CourierLine(Delivery(batch_ms=1000), Memory(cached_bytes=200)).start(connect=False)
    for number in range(60):
        line.read(float(number))
        line.tick(1000)
    assert line.courier.holding.outbox.cached_bytes < 1000
    line.tell(ev.Connected())
    for _ in range(9):
        have = {m.s for m in messages(line.sent) if m.l == "n"}
        line.receipt("n", next(seq for seq in range(62) if seq + 1 not in have))
    values = [m.d.blocks[0].c[0].v[0] for m in messages(line.sent) if isinstance(m, Data) and m.d.blocks]
    assert sorted(values) == [float(number) for number in range(60)]
    assert line.fetches


def test_a_body_that_cannot_be_read_back_is_told_as_a_gap() -> None:
    before = CourierLine().start(connect=False)
    before.read(1.0)
    before.tick(11_000)
    after = CourierLine(disk=before)
    key = ev.Key(epoch(1), "n", 1)
    lost = after.disk.pop(key)
    start = ev.Start(
        epoch(2),
        "boot-2",
        BirthBody("x", []),
        [ev.Stored(*[getattr(lost, f) for f in lost.__slots__[:3]], b"", 1, "boot-1", 1000, 5 + UTC_MS, "ntp", 5, 0, 40)],
    )
    after.tell(start)
    after.set_clock()
    after.tell(ev.Connected())
    after.tick(70_000)
    gaps = [gap for m in messages(after.take_sent()) if isinstance(m, Data) for gap in m.d.gaps]
    assert {(gap.e, gap.a, gap.readings, gap.why) for gap in gaps} == {(epoch(1), 1, 1, "damaged")}


def test_it_begins_from_memory_where_the_file_refuses_and_takes_it_up_later() -> None:
    before = CourierLine().start(connect=False)
    before.read(7.0)
    before.tick(11_000)
    line = CourierLine(Delivery(resend_ms=10_000_000))
    line.is_disk_good = False
    line.tell(ev.Start(epoch(2), "boot-2", BIRTH, disk="read-only file system"))
    line.set_clock()
    line.tell(ev.Connected())
    line.read(8.0)
    line.tick(30_000)
    assert [(r.id, r.warns) for r in line.reports] == [("outbox.disk", True)]
    assert line.courier.figures(line.now_ms).disk == "I/O error"
    assert "n1" in line.take_keys(), "readings go out all the same"
    line.is_disk_good = True
    line.tell(ev.TakenUp(list(before.disk.values())))
    line.tick(20_000)
    told = [m for m in messages(line.take_sent()) if isinstance(m, Data)]
    assert [(m.s, m.d.blocks[0].c[0].v) for m in told if m.e == epoch(1)] == [(1, [7.0])]
    assert [(e.kind, e.on) for m in told for e in m.d.events] == [("outbox.disk", False)]
    assert ev.Key(epoch(2), "n", 1) in line.disk
    assert line.courier.figures(line.now_ms).disk == ""


def test_rows_of_which_nobody_knows_what_they_held_are_told_by_an_event() -> None:
    line = CourierLine()
    line.tell(ev.Start(epoch(2), "boot-2", BIRTH, unknown=2))
    line.set_clock()
    line.tell(ev.Connected())
    line.tick(5_000)
    (event,) = [event for m in messages(line.take_sent()) if isinstance(m, Data) for event in m.d.events]
    assert (event.kind, event.about) == ("outbox.damaged", {"rows": 2})
    assert [(report.id, report.warns) for report in line.reports] == [("outbox.damaged", True)]


def test_when_the_file_was_renewed_what_is_in_memory_is_written_once_more_and_anchors_too() -> None:
    before = CourierLine(Delivery(batch_ms=1000)).start(clock=False, connect=False)
    before.read(1.0)
    before.tick(11_000)
    line = CourierLine(Delivery(batch_ms=1000), disk=before).start(2, "boot-2", connect=False)
    line.read(2.0)
    line.tick(11_000)
    held, anchors = set(line.disk), dict(line.anchors)
    assert {key.epoch for key in held} == {epoch(1), epoch(2)}
    assert anchors
    line.disk.clear()
    line.anchors.clear()
    line.tell(ev.Renewed("outbox.db.damaged-1"))
    line.tick(11_000)
    assert (held - set(line.disk), line.anchors) == (set(), anchors)
    assert [report.id for report in line.reports] == ["outbox.set-aside"]
    line.tell(ev.Connected())
    line.tick(5_000)
    sent = messages(line.take_sent())
    assert [event.reason for m in sent if isinstance(m, Data) for event in m.d.events] == ["outbox.db.damaged-1"]
    assert {m.e for m in sent} == {epoch(1), epoch(2)}, "nothing is given up, and the epoch is the same"


def test_it_is_never_woken_for_nothing() -> None:
    line = CourierLine().start()
    line.receipt("u", 1)
    line.tick(60_000)
    steps = 0
    real = line.courier.step

    def counting(now_ms: int, event: ev.Event) -> list[ev.Action]:
        nonlocal steps
        steps += 1
        return real(now_ms, event)

    line.courier.step = counting  # type: ignore[method-assign]
    line.tick(3_600_000)
    assert steps <= 61
