"""Where UTC comes from, with clocks that the test moves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_agent.common.release import BUILD_MS, LATEST_MS
from edge_agent.contract.message import VERSION, TimeAsk, TimeTell
from edge_agent.delivery.clock import ASK_AGAIN_MS, ASK_MS, RTC_AFTER_MS, Settings
from edge_agent.delivery.machine import ClockSet
from edge_agent.delivery.rtc import RtcSeen
from edge_agent.io.clock_memory import MemoryFile
from edge_agent.io.time_source import TimeSource
from edge_agent.model.reading import Happening
from tests.support.ports import wait_until
from tests.support.running_agent import FixedKernel

NOW = BUILD_MS + 86_400_000_000


@dataclass
class Clock:
    """A machine whose clocks the test sets."""

    mono: int = 5_000
    utc: int = NOW

    def monotonic_ms(self) -> int:
        return self.mono

    def utc_ms(self) -> int:
        return self.utc

    def pass_ms(self, ms: int) -> None:
        self.mono += ms
        self.utc += ms


def polled(source: TimeSource) -> list[object]:
    """What a poll gives, without the events that tell the collector of a source."""
    return [f for f in source.poll(link_up=True) if not (isinstance(f, Happening) and f.kind == "clock.set")]


def asked(source: TimeSource) -> TimeAsk:
    (ask,) = [found for found in source.poll(link_up=True) if isinstance(found, TimeAsk)]
    return ask


def test_ntp_is_believed_with_the_kernels_bound_and_nobody_is_asked() -> None:
    clock = Clock()
    source = TimeSource(clock, FixedKernel(within_ms=12))
    assert polled(source) == [ClockSet(5_000, NOW, "ntp", 12)]
    clock.pass_ms(1_000)
    assert source.poll(link_up=True) == []


def test_the_collectors_answer_is_bounded_by_the_round_trip() -> None:
    clock = Clock(utc=0)
    source = TimeSource(clock, FixedKernel(within_ms=None))
    ask = asked(source)
    clock.pass_ms(400)
    source.told(TimeTell(VERSION, ask.id, NOW))
    clock.pass_ms(700)
    assert polled(source) == [ClockSet(5_400, NOW + 200, "collector", 201)]
    assert source.utc_ms() == NOW + 900


def test_answers_unasked_repeated_late_or_absurd_are_refused() -> None:
    clock = Clock(utc=0)
    source = TimeSource(clock, FixedKernel(within_ms=None))
    source.told(TimeTell(VERSION, "0" * 16, NOW))
    ask = asked(source)
    source.told(TimeTell(VERSION, ask.id, BUILD_MS - 1))
    clock.pass_ms(ASK_MS)
    second = asked(source)
    source.told(TimeTell(VERSION, second.id, LATEST_MS + 1))
    clock.pass_ms(ASK_MS)
    third = asked(source)
    clock.pass_ms(10_001)
    source.told(TimeTell(VERSION, third.id, NOW))
    assert not [found for found in source.poll(link_up=False) if isinstance(found, ClockSet)]
    assert source.utc_ms() is None
    assert source.figures.refused == 4


def test_questions_are_drawn_at_random_and_repeated_until_answered() -> None:
    clock = Clock(utc=0)
    source = TimeSource(clock, FixedKernel(within_ms=None))
    first = asked(source)
    assert source.poll(link_up=True) == []
    clock.pass_ms(ASK_MS)
    second = asked(source)
    assert first.id != second.id
    source.told(TimeTell(VERSION, second.id, NOW))
    source.poll(link_up=True)
    clock.pass_ms(ASK_AGAIN_MS - 1)
    assert source.poll(link_up=True) == []
    clock.pass_ms(1)
    assert asked(source)


def test_a_step_is_an_event_and_the_clock_is_told_again() -> None:
    clock = Clock()
    source = TimeSource(clock, FixedKernel(within_ms=12))
    source.poll(link_up=True)
    clock.utc += 5_000
    assert polled(source) == [
        Happening("clock.step", 5_000, about=(("step_ms", 5_000),)),
        ClockSet(5_000, NOW + 5_000, "ntp", 12),
    ]
    clock.pass_ms(1_000)
    assert source.poll(link_up=True) == []


def test_a_step_does_not_move_the_collectors_time() -> None:
    clock = Clock(utc=0)
    source = TimeSource(clock, FixedKernel(within_ms=None))
    source.told(TimeTell(VERSION, asked(source).id, NOW))
    source.poll(link_up=True)
    before = source.utc_ms()
    clock.utc = NOW + 3_600_000
    (step,) = source.poll(link_up=True)
    assert isinstance(step, Happening)
    assert source.utc_ms() == before


def test_a_better_source_takes_over_and_a_worse_one_does_not() -> None:
    clock, kernel = Clock(), FixedKernel(within_ms=None, rtc=True)
    source = TimeSource(clock, kernel)
    assert source.poll(link_up=False) == []
    clock.pass_ms(RTC_AFTER_MS)
    assert [f.source for f in source.poll(link_up=False) if isinstance(f, ClockSet)] == ["rtc"]
    source.told(TimeTell(VERSION, asked(source).id, NOW))
    assert [f.source for f in source.poll(link_up=False) if isinstance(f, ClockSet)] == ["collector"]
    kernel.within_ms = 3
    assert [f.source for f in source.poll(link_up=False) if isinstance(f, ClockSet)] == ["ntp"]
    kernel.within_ms = None
    clock.pass_ms(1_000)
    assert source.poll(link_up=False) == []


def test_a_clock_before_the_software_is_never_believed() -> None:
    source = TimeSource(Clock(utc=BUILD_MS - 1), FixedKernel(within_ms=1), Settings(trust_clock=True))
    assert not [found for found in source.poll(link_up=False) if isinstance(found, ClockSet)]


def test_trust_clock_is_the_owners_word() -> None:
    source = TimeSource(Clock(), FixedKernel(within_ms=None), Settings(trust_clock=True))
    assert polled(source) == [ClockSet(5_000, NOW, "manual", 1000)]


@dataclass
class Modem:
    """Knows the time at once, or not at all."""

    clock: Clock
    knows: bool = True

    def ask(self) -> int | None:
        return self.clock.utc if self.knows else None


def test_the_modem_is_asked_on_a_thread_of_its_own_until_it_has_said_the_same_twice() -> None:
    clock = Clock()
    source = TimeSource(clock, FixedKernel(within_ms=None), Settings(has_modem=True), modem=Modem(clock))

    def knows() -> bool:
        clock.pass_ms(1000)
        return any(isinstance(found, ClockSet) and found.source == "modem" for found in source.poll(link_up=False))

    wait_until(knows)
    assert source.figures.source == "modem"


def test_what_was_known_outlives_a_restart(tmp_path: Path) -> None:
    class Rtc:
        def look(self) -> RtcSeen:
            return RtcSeen(NOW - 10 * 86_400_000)

    memory = MemoryFile(tmp_path / "clock.json")
    TimeSource(Clock(), FixedKernel(within_ms=5), Settings("b1"), memory=memory).poll(link_up=False)
    assert memory.read().last_ms == NOW
    later = TimeSource(Clock(), FixedKernel(within_ms=None, rtc=True), Settings("b2"), rtc=Rtc(), memory=memory)
    assert [f.on for f in later.poll(link_up=False) if isinstance(f, Happening) and f.kind == "clock.rtc-battery"] == [True]
    assert memory.read().rtc_trouble is True
