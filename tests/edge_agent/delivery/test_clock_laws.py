"""The clock machine and the Courier through every combination of boot, step, outage and order of sources."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge_agent.delivery.stamping import UNKNOWN
from tests.support.clock_world import BEGIN_MS, ClockWorld

TOLERANCE_MS = 2
"""Whole milliseconds at both ends."""
YEAR_2000_MS = 946_684_800_000 - BEGIN_MS
YEAR_2099_MS = 4_070_908_800_000 - BEGIN_MS
LYING = (YEAR_2000_MS, YEAR_2099_MS)

steps = st.one_of(
    st.integers(-30_000, 30_000), st.sampled_from([-3_600_000, 3_600_000, -86_400_000 * 30, 86_400_000 * 365, YEAR_2099_MS]),
)  # fmt: skip
deed = st.one_of(
    st.tuples(st.just("take"), st.booleans()),
    st.tuples(st.just("take"), st.booleans()),
    st.tuples(st.just("wait"), st.sampled_from([1, 300, 1500, 5000, 25_000, 90_000, 700_000, 4_000_000, 30_000_000])),
    st.tuples(st.just("ntp"), st.sampled_from([None, (0, 5), (-20, 20), (-1500, 2000), (1500, 2000)])),
    st.tuples(st.just("link"), st.booleans()),
    st.tuples(st.just("collector"), st.sampled_from([0, 0, YEAR_2000_MS, YEAR_2099_MS])),
    st.tuples(st.just("liar"), st.sampled_from([None, *LYING, -9 * 86_400_000, 3_600_000])),
    st.tuples(st.just("trip"), st.sampled_from([(150, 250), (4500, 10), (10, 4500), (9000, 9000)])),
    st.tuples(st.just("modem"), st.sampled_from([None, -90_000, 0, 90_000, YEAR_2000_MS])),
    st.tuples(st.just("step"), steps),
    st.tuples(st.just("disk"), st.booleans()),
    st.tuples(st.just("receipt"), st.none()),
    st.tuples(st.just("crash"), st.none()),
    st.tuples(
        st.just("power"), st.tuples(st.sampled_from([0, 20_000, 5_000_000]), st.sampled_from([None, 0, -50_000, 50_000, *LYING]))
    ),
)
Deed = tuple[str, object]
TAKE: Deed = ("take", False)
chapter = st.one_of(
    deed.map(lambda one: [one]),
    st.just([TAKE, ("wait", 1), TAKE]),
    st.sampled_from([-1500, 1500]).map(lambda error: [("ntp", (error, 2000)), ("wait", 1500), TAKE, ("wait", 1)]),
    st.just([("power", (0, None)), TAKE, ("wait", 5000), TAKE, ("wait", 5000)]),
    st.just([("disk", False), ("link", True), ("wait", 1500), ("crash", None), ("disk", True)]),
    st.just([("ntp", None), ("link", False), ("wait", 30_000_000), TAKE]),
    st.sampled_from([*LYING, 3_600_000]).map(
        lambda lie: [("link", True), ("wait", 5000), ("liar", lie), ("wait", 4_000_000), TAKE]
    ),
)
"""Short stories that belong together, because chance alone tells them too seldom."""


def live(world: ClockWorld, chapters: list[list[Deed]]) -> None:
    """Carries the chapters out, then gives the gateway everything it needs."""
    for name, how in (deed for one in chapters for deed in one):
        match name, how:
            case "take", bool():
                world.take(how)
            case "wait", int():
                world.wait(how)
            case "ntp", _:
                world.ntp = how  # type: ignore[assignment]
            case "link", bool():
                world.connect(how)
            case "collector", int():
                world.answer_error_ms = how
            case "liar", _:
                world.liar_ms = how  # type: ignore[assignment]
            case "trip", _:
                world.trip_ms = how  # type: ignore[assignment]
            case "modem", _:
                world.modem_error_ms = how  # type: ignore[assignment]
            case "step", int():
                world.step_machine(how)
            case "disk", bool():
                world.break_disk(how)
            case "receipt", _:
                world.receipt()
            case "crash", _:
                world.start()
            case "power", (int() as off_ms, rtc):
                world.true_ms += off_ms
                world.rtc_error_ms = rtc
                world.boot(mono_ms=1000 + 37 * world.boots)
    world.break_disk(True)
    world.answer_error_ms, world.trip_ms = 0, (150, 250)
    world.connect(True)
    world.wait(30_000)
    world.receipt()


@settings(max_examples=250, deadline=None)
@given(
    st.integers(-90, 90),
    st.sampled_from([None, 0, -50_000, 50_000, *LYING]),
    st.booleans(),
    st.lists(chapter, max_size=12),
)
@example(0, None, True, [[TAKE, ("wait", 25_000), ("power", (20_000, None)), TAKE, ("power", (0, None))]])
@example(
    0,
    None,
    True,
    [[("take", False), ("wait", 600), ("ntp", (1500, 2000)), ("wait", 1000), ("ntp", (-1500, 2000)), ("wait", 1), TAKE]],
)
@example(0, None, True, [[("ntp", (1500, 2000)), TAKE, ("wait", 2600), ("crash", None), ("ntp", (-1500, 2000)), ("wait", 1), TAKE]])
@example(0, None, True, [[("ntp", (1500, 2000)), TAKE, ("wait", 600), ("ntp", (-1500, 2000)), ("wait", 1), TAKE]])
@example(0, None, True, [[("ntp", (0, 5)), ("wait", 1000), ("ntp", None), TAKE, ("wait", 30_000_000), TAKE]])
@example(90, None, True, [[("ntp", (0, 5)), ("wait", 30_000_000), ("wait", 30_000_000), ("wait", 30_000_000), ("ntp", None), TAKE]])
@example(0, None, True, [[("trip", (4500, 10)), ("link", True), ("wait", 25_000), TAKE]])
@example(
    0,
    None,
    True,
    [
        [
            TAKE,
            ("wait", 4000),
            ("disk", False),
            ("link", True),
            ("trip", (4500, 10)),
            ("wait", 6000),
            ("crash", None),
            ("trip", (10, 4500)),
        ]
    ],
)
def test_stamps_are_true_within_their_bound_in_order_and_given_once(
    drift_ppm: int, rtc: int | None, rtc_is_read: bool, chapters: list[list[Deed]]
) -> None:
    """That no stamp changes, no sequence comes twice and nothing waits once a source is there, the world itself asserts."""
    world = ClockWorld(drift_ppm, rtc_error_ms=rtc, rtc_is_read=rtc_is_read)
    world.boot()
    live(world, chapters)
    stamped = world.stamped()
    for taken, at_ms, source, bound_ms in stamped:
        assert abs(at_ms - taken.true_ms) <= bound_ms + TOLERANCE_MS, (taken, source)
    last: dict[tuple[str, int, bool], int] = {}
    for taken, at_ms, source, _ in stamped:
        kind = (taken.lane, taken.run, source == UNKNOWN)  # what is only bounded keeps its order among its like
        assert last.get(kind, 0) <= at_ms, "readings of one run changed their order"
        last[kind] = at_ms


@settings(max_examples=60, deadline=None)
@given(st.lists(chapter, max_size=10), st.sampled_from([-86_400_000, 86_400_000, -3_600_000, 3_600_000]))
def test_a_plausible_lie_of_the_rtc_is_corrected_marked_and_changes_no_stamp(chapters: list[list[Deed]], lie_ms: int) -> None:
    """An RTC that is a day or an hour off is believed until something better speaks; then what it said is corrected, and told."""
    world = ClockWorld(rtc_error_ms=lie_ms)
    world.boot()
    world.wait(25_000)
    believed = world.machine.figures(world.mono_ms()).source
    assert believed == "rtc"
    world.take(urgent=False)
    live(world, chapters)
    if world.boots == 1 and world.starts == 1:
        moves = [about for e in world.events if e.kind == "clock.set" for name, about in e.about if name == "moved_ms"]
        assert any(isinstance(move, int) and abs(move + lie_ms) < 200_000 for move in moves)
    assert all(
        abs(at_ms - taken.true_ms) <= bound_ms + TOLERANCE_MS
        for taken, at_ms, source, bound_ms in world.stamped()
        if source in ("", "ntp", "collector", "modem")
    )
