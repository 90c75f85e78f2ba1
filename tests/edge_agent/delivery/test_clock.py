"""The clock machine's decisions, one by one."""

from __future__ import annotations

import pytest

from edge_agent.common.release import BUILD_MS, LATEST_MS
from edge_agent.contract.message import TimeAsk
from edge_agent.delivery.clock import (
    ASK_AGAIN_MS,
    ASK_MS,
    CONFIRM_MS,
    MODEM_ASK_MS,
    MODEM_BOUND_MS,
    RTC_AFTER_MS,
    RTC_BOUND_MS,
    SESSION_MS,
    STALE_MS,
    Answered,
    AskModem,
    ClockMachine,
    Looked,
    Memory,
    ModemTold,
    Remember,
    Settings,
)
from edge_agent.delivery.machine import ClockSet, TakenUp
from edge_agent.delivery.rtc import EMPTY, LOST, RtcSeen
from edge_agent.model.reading import Happening
from tests.support.courier_line import CourierLine

NOW = BUILD_MS + 200 * 86_400_000
DAY_MS = 86_400_000


def looked(
    utc_ms: int = 0, ntp: int | None = None, rtc: RtcSeen | None = None, nonce: str = "n", *, boot_rtc: bool = False
) -> Looked:
    return Looked(utc_ms, ntp, boot_rtc, link_up=True, nonce=nonce, rtc=rtc)


def sources(actions: list[object]) -> list[str]:
    return [action.source for action in actions if isinstance(action, ClockSet)]


def told(machine: ClockMachine, now_ms: int, event: Looked | Answered | ModemTold) -> list[str]:
    return sources(list(machine.step(now_ms, event)))


def battery(actions: list[object]) -> list[tuple[bool | None, str]]:
    return [(a.on, a.reason) for a in actions if isinstance(a, Happening) and a.kind == "clock.rtc-battery"]


def test_ntp_with_an_absurd_time_is_refused_and_counted_once() -> None:
    machine = ClockMachine()
    for now_ms in (0, 1000, 2000):
        assert told(machine, now_ms, looked(LATEST_MS + 1, ntp=5)) == []
    assert machine.figures(3000).refused == 1
    assert told(machine, 3000, looked(NOW, ntp=5)) == ["ntp"]


CERTIFICATE_ENDS = NOW + 365 * DAY_MS
LIES = [BUILD_MS - 1, LATEST_MS + 1, CERTIFICATE_ENDS + SESSION_MS + 1]


@pytest.mark.parametrize("lie_ms", LIES)
def test_an_answer_before_the_release_or_after_our_certificates_end_is_refused(lie_ms: int) -> None:
    machine = ClockMachine()
    machine.step(0, looked(nonce="q1"))
    assert told(machine, 100, Answered("q1", lie_ms, CERTIFICATE_ENDS)) == []
    assert (machine.figures(100).refused, machine.utc_ms(100)) == (1, None)
    machine.step(ASK_MS, looked(nonce="q2"))
    assert told(machine, ASK_MS + 100, Answered("q2", NOW, CERTIFICATE_ENDS)) == ["collector"]


@pytest.mark.parametrize("lie_ms", LIES)
def test_an_absurd_answer_does_not_use_up_the_question(lie_ms: int) -> None:
    machine = ClockMachine()
    machine.step(0, looked(nonce="q1"))
    assert told(machine, 100, Answered("q1", lie_ms, CERTIFICATE_ENDS)) == []
    assert told(machine, 150, Answered("q1", NOW, CERTIFICATE_ENDS)) == ["collector"]
    assert told(machine, 160, Answered("q1", NOW + 5, CERTIFICATE_ENDS)) == [], "a believed answer uses it up"


def test_a_session_outlives_the_certificate_it_began_with_and_the_collector_is_heard_all_the_same() -> None:
    machine = ClockMachine()
    machine.step(0, looked(nonce="q1"))
    assert told(machine, 100, Answered("q1", NOW, certificate_ends_ms=NOW - DAY_MS)) == ["collector"]


def test_a_contradicting_answer_moves_nothing_until_another_question_is_answered_alike() -> None:
    machine = ClockMachine()
    machine.step(0, looked(nonce="q1"))
    assert told(machine, 100, Answered("q1", NOW)) == ["collector"]
    at_ms, wrong = ASK_AGAIN_MS + 100, NOW + ASK_AGAIN_MS - 9 * DAY_MS
    machine.step(at_ms, looked(nonce="q2"))
    assert told(machine, at_ms + 100, Answered("q2", wrong)) == []
    assert told(machine, at_ms + 110, Answered("q2", wrong + 10)) == [], "the same once more, as QoS 1 may bring it"
    assert TimeAsk(1, "q3") in machine.step(at_ms + ASK_MS, looked(nonce="q3")), "soon asked again"
    assert told(machine, at_ms + ASK_MS + 100, Answered("q3", wrong + ASK_MS)) == ["collector"]


def test_an_answer_before_what_an_earlier_run_knew_must_be_told_twice() -> None:
    machine = ClockMachine(Settings("b2"), Memory(last_ms=NOW, boot="b1"))
    machine.step(0, looked(nonce="q1"))
    assert told(machine, 100, Answered("q1", NOW - DAY_MS)) == []
    machine.step(ASK_MS, looked(nonce="q2"))
    assert told(machine, ASK_MS + 100, Answered("q2", NOW - DAY_MS + ASK_MS)) == ["collector"]


def test_of_two_collectors_of_which_one_is_wrong_the_known_time_tells_which() -> None:
    machine = ClockMachine()
    machine.step(0, looked(nonce="q0"))
    machine.step(100, Answered("q0", NOW))
    for number in range(1, 20):
        at_ms = number * (ASK_AGAIN_MS + 1000)
        machine.step(at_ms, looked(nonce=f"q{number}"))
        assert told(machine, at_ms + 50, Answered(f"q{number}", NOW + at_ms + 40 * DAY_MS)) == []
        machine.step(at_ms + 100, Answered(f"q{number}", NOW + at_ms))
        assert abs((machine.utc_ms(at_ms + 100) or 0) - NOW - at_ms) < 1000


def test_what_has_passed_for_certain() -> None:
    assert ClockMachine().certain_ms(5) == BUILD_MS
    machine = ClockMachine(Settings("b2"), Memory(last_ms=NOW, boot="b1"))
    assert machine.certain_ms(5) == NOW
    machine.step(0, looked(NOW + 9000 * DAY_MS, boot_rtc=True))
    assert told(machine, RTC_AFTER_MS, looked(NOW + 9000 * DAY_MS + RTC_AFTER_MS, boot_rtc=True)) == ["rtc"]
    assert machine.certain_ms(RTC_AFTER_MS) == NOW, "an RTC may run ahead"
    machine.step(30_000, looked(NOW + DAY_MS, ntp=5))
    assert machine.certain_ms(31_000) == NOW + DAY_MS + 1000 - 5


def test_ten_thousand_lying_answers_cost_a_count_each_and_no_memory() -> None:
    machine = ClockMachine()
    for number in range(10_000):
        machine.step(number, Answered(f"{number}", 1 << 62))
    assert (machine.figures(0).refused, len(machine._asked)) == (10_000, 0)


def test_questions_without_answers_are_forgotten() -> None:
    machine = ClockMachine()
    asked = 0
    for second in range(10_000):
        asked += sum(isinstance(a, TimeAsk) for a in machine.step(second * 1000, looked(nonce=f"{second}")))
    assert asked > 3000
    assert len(machine._asked) <= 4


def test_the_modem_is_believed_when_it_says_the_same_twice() -> None:
    machine = ClockMachine(Settings(has_modem=True))
    assert AskModem() in machine.step(0, looked())
    assert told(machine, 200, ModemTold(0, NOW)) == []
    assert AskModem() in machine.step(MODEM_ASK_MS, looked())
    (first, *_) = machine.step(MODEM_ASK_MS + 300, ModemTold(MODEM_ASK_MS, NOW + MODEM_ASK_MS))
    assert first == ClockSet(MODEM_ASK_MS + 300, NOW + MODEM_ASK_MS, "modem", MODEM_BOUND_MS + 300)
    assert AskModem() not in machine.step(3 * MODEM_ASK_MS, looked())


def test_a_modem_that_stands_still_jumps_or_knows_nothing_is_not_believed() -> None:
    machine = ClockMachine(Settings(has_modem=True))
    machine.step(0, looked())
    for number, utc_ms in enumerate([NOW, NOW, NOW + 9 * DAY_MS, None, BUILD_MS - 1, NOW]):
        assert told(machine, 10_000 * number + 100, ModemTold(10_000 * number, utc_ms)) == []
    assert machine.figures(0).refused == 3


def test_network_time_that_bears_the_rtc_out_changes_nothing_and_one_that_does_not_does() -> None:
    for error_ms, source in ((30_000, "rtc"), (3_600_000, "modem")):
        machine = ClockMachine(Settings(has_modem=True))
        machine.step(0, looked(NOW, boot_rtc=True))
        assert told(machine, RTC_AFTER_MS, looked(NOW + RTC_AFTER_MS, boot_rtc=True)) == ["rtc"]
        for now_ms in (30_000, 40_000):
            machine.step(now_ms, ModemTold(now_ms, NOW + now_ms + error_ms))
        assert machine.figures(40_000).source == source


def test_lost_ntp_ages_and_gives_way_to_the_collector_when_that_knows_better() -> None:
    machine = ClockMachine()
    machine.step(0, looked(NOW, ntp=5))
    assert not any(isinstance(a, TimeAsk) for a in machine.step(STALE_MS - 1, looked(NOW + STALE_MS - 1)))
    assert machine.figures(STALE_MS).bound_ms == 5 + 360
    machine.step(STALE_MS, looked(NOW + STALE_MS, nonce="q"))
    assert told(machine, STALE_MS + 100, Answered("q", NOW + STALE_MS + 50)) == ["collector"]


def test_a_source_that_still_holds_is_told_again_so_that_bounds_do_not_grow() -> None:
    machine = ClockMachine()
    machine.step(0, looked(NOW, ntp=5))
    assert told(machine, CONFIRM_MS - 1, looked(NOW + CONFIRM_MS - 1, ntp=5)) == []
    assert told(machine, CONFIRM_MS, looked(NOW + CONFIRM_MS, ntp=5)) == ["ntp"]


def test_a_correction_is_told_with_how_far_it_went() -> None:
    machine = ClockMachine()
    machine.step(0, looked(NOW + DAY_MS, boot_rtc=True))
    machine.step(RTC_AFTER_MS, looked(NOW + DAY_MS + RTC_AFTER_MS, boot_rtc=True))
    events = [a for a in machine.step(30_000, looked(NOW + 30_000, ntp=5)) if isinstance(a, Happening) and a.kind == "clock.set"]
    assert [(e.reason, e.about) for e in events] == [("ntp", (("bound_ms", 5), ("moved_ms", -DAY_MS)))]


@pytest.mark.parametrize("rtc_ms", [946_684_800_000, 4_070_908_800_000, NOW - 2 * DAY_MS])
def test_an_rtc_of_2000_of_2099_or_behind_what_was_known_is_not_believed(rtc_ms: int) -> None:
    machine = ClockMachine(Settings("b2"), Memory(last_ms=NOW - DAY_MS, boot="b1"))
    for now_ms in range(0, 60_000, 1000):
        assert told(machine, now_ms, looked(rtc_ms + now_ms, boot_rtc=True)) == []
    assert machine.figures(60_000).refused == 1


def test_an_rtc_that_can_be_read_is_the_source_whatever_became_of_the_machines_clock() -> None:
    machine = ClockMachine()
    machine.step(0, looked(5, rtc=RtcSeen(NOW)))
    (found, *_) = [a for a in machine.step(RTC_AFTER_MS, looked(77_777)) if isinstance(a, ClockSet)]
    assert found == ClockSet(0, NOW, "rtc", RTC_BOUND_MS)


def test_an_rtc_that_lost_the_time_is_an_event_for_the_whole_boot_and_over_with_the_next_good_one() -> None:
    memory = Memory(last_ms=NOW, boot="b1", rtc_trouble=False)
    machine = ClockMachine(Settings("b2"), memory)
    actions = machine.step(0, looked(rtc=RtcSeen(946_684_800_000)))
    assert battery(list(actions)) == [(True, LOST)]
    memory = next(a.memory for a in reversed(actions) if isinstance(a, Remember))
    assert machine.figures(0).rtc == LOST

    again = ClockMachine(Settings("b2"), memory)
    assert battery(list(again.step(5000, looked(NOW + 5000, ntp=5, rtc=RtcSeen(NOW + 5000))))) == [(True, LOST)]

    good = ClockMachine(Settings("b3"), memory)
    assert battery(list(good.step(0, looked(rtc=RtcSeen(NOW + DAY_MS))))) == [(False, "")]
    assert good.figures(0).rtc == "good"


def test_a_good_rtc_is_told_once_and_flags_that_come_later_are_told() -> None:
    machine = ClockMachine(Settings("b"), Memory(boot="a"))
    assert battery(list(machine.step(0, looked(rtc=RtcSeen(NOW, flags=0))))) == [(False, "")]
    assert battery(list(machine.step(60_000, looked(rtc=RtcSeen(NOW, flags=0))))) == []
    assert battery(list(machine.step(120_000, looked(rtc=RtcSeen(NOW, flags=4))))) == [(True, EMPTY)]
    assert battery(list(machine.step(180_000, looked(rtc=RtcSeen(NOW, flags=0))))) == [(False, "")]


def test_the_last_known_time_is_written_down_once_a_day() -> None:
    machine, written = ClockMachine(Settings("b")), 0
    for minute in range(0, 3 * 24 * 60, 10):
        now_ms = minute * 60_000
        written += sum(isinstance(a, Remember) for a in machine.step(now_ms, looked(NOW + now_ms, ntp=5)))
    assert written <= 4


def test_what_a_repaired_outbox_held_without_a_stamp_is_stamped_at_once() -> None:
    """The clock was known before the file could be read."""
    line = CourierLine().start(counter=1, clock=False, connect=False)
    line.read(1.0)
    line.tick(20_000)
    stored = list(line.disk.values())
    assert stored
    assert all(one.t0 is None for one in stored)
    later = CourierLine().start(counter=2, boot="boot-2")
    later.tell(TakenUp(stored))
    assert later.courier.figures(later.now_ms).unstamped == 0
    assert all(held.t0 is not None for held in later.courier.holding.outbox.oldest_first())
