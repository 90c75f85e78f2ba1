"""Stamps: true within their bound for every order of boots, crashes and clocks; given once."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.delivery.machine import ClockSet, Key
from edge_agent.delivery.outbox import Held
from edge_agent.delivery.stamping import SMALL_STEP_MS, UNKNOWN, Stamper, offsets_of_earlier_boots

UTC_MS = 1_790_000_000_000


def held(counter: int, seq: int, boot: str, mono_ms: int, t0: int | None = None, bound_ms: int = 0) -> Held:
    key = Key(f"{counter}-{counter:016x}", "n", seq)
    return Held(key, "data", "b", b"", 0, 1, boot, mono_ms, mono_ms, 0, 0, t0, "ntp" if t0 else "", bound_ms)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 10**7), st.integers(0, 10**6), st.lists(st.integers(1, 10**6), min_size=1, max_size=4), st.booleans()
        ),
        min_size=1,
        max_size=5,
    ),
    st.integers(0, 10**7),
)
def test_what_an_earlier_boot_took_is_stamped_within_its_bound(boots: list[tuple[int, int, list[int], bool]], off_ms: int) -> None:
    """Each boot: pause before it, what its monotonic clock shows first, pauses between batches, whether it knew the time."""
    batches, truth, now_ms = [], {}, UTC_MS
    for counter, (off, zero_ms, pauses, knew) in enumerate(boots, start=1):
        now_ms += off
        begin_ms = now_ms
        for seq, pause in enumerate(pauses, start=1):
            now_ms += pause
            mono_ms = zero_ms + now_ms - begin_ms
            one = held(counter, seq, f"boot-{counter}", mono_ms, now_ms + 3 if knew and seq == len(pauses) else None, 5)
            batches.append(one)
            truth[one.key] = now_ms
    offsets = offsets_of_earlier_boots(batches, "now", now_ms + off_ms)
    assert set(offsets) == {one.boot for one in batches}
    stamper = Stamper()
    order = []
    for one in batches:
        stamper.stamp(one, offsets[one.boot])
        assert one.t0 is not None
        assert abs(one.t0 - truth[one.key]) <= one.clock_bound_ms
        order.append(one.t0)
    knew_last = {f"boot-{counter}" for counter, boot in enumerate(boots, start=1) if boot[3]}
    assert all((one.clock_source == UNKNOWN) == (one.boot not in knew_last) for one in batches)


def test_a_stamp_is_given_once() -> None:
    stamper, one = Stamper(), held(1, 1, "b", 100)
    stamper.stamp(one, stamper.set_clock(ClockSet(0, UTC_MS, "rtc", 2000)))
    stamper.stamp(one, stamper.set_clock(ClockSet(0, UTC_MS + 999, "ntp", 5)))
    assert (one.t0, one.clock_source, one.clock_bound_ms) == (UTC_MS + 100, "rtc", 2000)


@given(st.lists(st.tuples(st.integers(1, 5000), st.integers(-SMALL_STEP_MS // 10, 1000)), min_size=1, max_size=8))
def test_small_steps_back_do_not_reorder_and_the_bound_says_how_far_it_is_off(steps: list[tuple[int, int]]) -> None:
    stamper, mono_ms, error_ms, last = Stamper(), 0, 0, 0
    for seq, (pause, step) in enumerate(steps, start=1):
        mono_ms, error_ms = mono_ms + pause, error_ms + step
        stamper.set_clock(ClockSet(mono_ms, UTC_MS + mono_ms + error_ms, "ntp", 10))
        one = held(1, seq, "b", mono_ms)
        stamper.stamp_new(one)
        assert one.t0 is not None
        assert one.t0 > last
        assert abs(one.t0 - (UTC_MS + mono_ms + error_ms)) <= one.clock_bound_ms
        last = one.t0


def test_a_large_step_back_is_believed() -> None:
    stamper = Stamper()
    stamper.set_clock(ClockSet(0, UTC_MS + 10**9, "rtc", 10))
    stamper.stamp_new(held(1, 1, "b", 0))
    stamper.set_clock(ClockSet(1000, UTC_MS + 1000, "ntp", 10))
    one = held(1, 2, "b", 1000)
    stamper.stamp_new(one)
    assert (one.t0, one.clock_bound_ms) == (UTC_MS + 1000, 10)


@given(st.lists(st.tuples(st.integers(-900, 900), st.integers(0, 700)), min_size=2, max_size=8))
def test_what_is_told_late_gets_its_own_time_where_the_clock_never_stepped(batches: list[tuple[int, int]]) -> None:
    """An event of another thread may begin a batch before the last one of its lane has ended."""
    stamper, mono_ms = Stamper(), 10_000
    stamper.set_clock(ClockSet(0, UTC_MS, "ntp", 10))
    for seq, (begins_later, span) in enumerate(batches, start=1):
        mono_ms += begins_later
        one = replace(held(1, seq, "b", mono_ms), last_ms=mono_ms + span)
        stamper.stamp_new(one)
        assert one.t0 == UTC_MS + mono_ms


def test_a_step_back_moves_what_overlaps_by_the_step_alone() -> None:
    stamper = Stamper()
    stamper.set_clock(ClockSet(0, UTC_MS, "ntp", 10))
    stamper.stamp_new(replace(held(1, 1, "b", 1000), last_ms=1500))
    stamper.set_clock(ClockSet(1500, UTC_MS + 1500 - 300, "ntp", 10))
    one = held(1, 2, "b", 1400)
    stamper.stamp_new(one)
    assert (one.t0, one.clock_bound_ms) == (UTC_MS + 1400, 311)
