"""What every log must do. A test module inherits LogSuite and says how to open one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from collector.intake.records import LaneState, Poison
from collector.seams import Log
from tests.support.line import EPOCH, T0, birth, data, record

LANE = LaneState(
    "shiquan", "gw-1", EPOCH, "n", upto=2, ranges=((4, 6), (9, 9)), low=1, received=6, duplicate=1, lost=0, heard_ms=T0
)
POISON = Poison("x/y", b"\x00\xff", "topic", "no topic of the contract", T0)


class LogSuite:
    """`reopen()` gives the same log as after a restart."""

    @pytest.fixture
    def reopen(self) -> Callable[[], Log]:
        raise NotImplementedError

    def test_an_empty_log(self, reopen: Callable[[], Log]) -> None:
        log = reopen()
        assert (log.last_offset(), list(log.lanes()), list(log.read(0, 10)), list(log.poison(5))) == (0, [], [], [])
        assert log.log_id == reopen().log_id != ""

    def test_one_append_is_all_there_after_a_restart(self, reopen: Callable[[], Log]) -> None:
        last = reopen().append([record(0, data(1, [1.0]), 1), record(0, data(2, [2.0]), 2)], [LANE], [POISON])
        log = reopen()
        assert last == log.last_offset() == 2
        assert [(r.offset, r.key.seq, r.payload) for r in log.read(0, 10)] == [(1, 1, data(1, [1.0])), (2, 2, data(2, [2.0]))]
        assert (list(log.lanes()), list(log.poison(5))) == ([LANE], [POISON])

    def test_each_quarantined_message_has_an_id_of_its_own(self, reopen: Callable[[], Log]) -> None:
        log = reopen()
        log.append([], [], [POISON, POISON])
        log.append([], [], [POISON])
        newest, before, first = [one.id for one in reopen().poison(5)]
        assert newest > before > first > 0

    def test_a_key_that_is_there_is_skipped(self, reopen: Callable[[], Log]) -> None:
        log = reopen()
        log.append([record(0, data(1, [1.0]), 1)], [], [])
        log.append([record(0, data(1, [9.0]), 1), record(0, data(2, [2.0]), 2)], [], [])
        assert [r.payload for r in log.read(0, 10)] == [data(1, [1.0]), data(2, [2.0])]

    def test_lanes_are_replaced_as_wholes(self, reopen: Callable[[], Log]) -> None:
        log = reopen()
        log.append([], [LANE], [])
        log.append([], [replace(LANE, upto=6, ranges=((9, 9),)), replace(LANE, lane="u")], [])
        assert sorted((s.lane, s.upto, s.ranges) for s in reopen().lanes()) == [("n", 6, ((9, 9),)), ("u", 2, ((4, 6), (9, 9)))]

    def test_reading_goes_on_behind_an_offset_and_stops_at_the_limit(self, reopen: Callable[[], Log]) -> None:
        log = reopen()
        log.append([record(0, data(seq, [1.0]), seq) for seq in range(1, 8)], [], [])
        assert [r.key.seq for r in log.read(2, 3)] == [3, 4, 5]
        assert [r.key.seq for r in log.read(6, 3)] == [7]
        log.append([record(0, data(8, [1.0]), 8)], [], [])
        assert [r.key.seq for r in log.read(5, 9)] == [6, 7, 8]

    def test_trimming_keeps_births_accounting_and_offsets(self, reopen: Callable[[], Log]) -> None:
        log = reopen()
        first = [record(0, birth()[0], 1, "u", "birth"), *(record(0, data(seq, [1.0]), seq) for seq in range(1, 5))]
        log.append(first, [LANE], [])
        assert log.trim(5) == 3
        log = reopen()
        assert [r.offset for r in log.read(0, 10)] == [1, 5]
        assert [r.kind for r in log.births()] == ["birth"]
        assert (log.last_offset(), list(log.lanes())) == (5, [LANE])
        log.trim(6)
        assert reopen().append([record(0, data(9, [1.0]), 9)], [], []) == 6

    def test_a_key_is_taken_once_from_one_append_and_from_an_earlier_run(self, reopen: Callable[[], Log]) -> None:
        reopen().append([record(0, data(seq, [1.0]), seq) for seq in (3, 3, 1)], [], [])
        log = reopen()
        log.append([record(0, data(seq, [2.0]), seq) for seq in (1, 2, 3, 4)], [], [])
        log.append([record(0, birth()[0], 1, "u", "birth"), record(0, birth()[0], 1, "u", "birth")], [], [])
        assert log.append([record(0, data(1, [3.0]), 1)], [], []) == 5
        assert [(r.offset, r.key.seq) for r in reopen().read(0, 10)] == [(1, 3), (2, 1), (3, 2), (4, 4), (5, 1)]

    def test_births_and_data_are_read_in_one_order_whatever_is_trimmed(self, reopen: Callable[[], Log]) -> None:
        log = reopen()
        for number in range(1, 5):
            epoch = f"{number}-0123456789abcdef"
            first = birth(epoch=epoch, hold_ms=number)[0]
            log.append([record(0, first, 1, "u", "birth", epoch)], [], [])
            log.append([record(0, data(1, [1.0], epoch=epoch), 1, epoch=epoch)], [], [])
        for below, left in ((1, [1, 2, 3, 4, 5, 6, 7, 8]), (4, [1, 3, 4, 5, 6, 7, 8]), (8, [1, 3, 5, 7, 8]), (99, [1, 3, 5, 7])):
            log.trim(below)
            assert [r.offset for r in log.read(0, 10)] == left
            assert [r.offset for after in (0, *left[:-1]) for r in log.read(after, 1)] == left
            assert [r.offset for r in log.births()] == [1, 3, 5, 7]
            log = reopen()
        assert log.trim(99) == 0

    def test_a_record_that_was_trimmed_is_new_again(self, reopen: Callable[[], Log]) -> None:
        """The accounting, not the log, says that it came before."""
        log = reopen()
        log.append([record(0, data(1, [1.0]), 1)], [], [])
        log.trim(2)
        assert log.append([record(0, data(1, [1.0]), 1)], [], []) == 2
        assert [(r.offset, r.key.seq) for r in log.read(0, 10)] == [(2, 1)]
