"""What the engine makes of holes, of events out of order, and of its own absence: nothing is left out without being counted.

Each of these once made warnings that differ in the simulator (docs/reliability.md names the seeds).
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from collector.config.rules_file import load_rules
from collector.domain.interpreted import Interpreted
from collector.rules.arrivals import RETURN_MS, SILENT_MS
from collector.rules.changes import Change, Over, Raised
from collector.rules.engine import Engine
from collector.rules.rule import Rule
from edge_agent.contract.message import URGENT, Gap
from tests.support.warnings import EPOCH, LATER_EPOCH, PLAIN_RULE, T0, Feed, county, rules_of, series

LEVEL = series()
OTHER = series("flow", "inlet.flow", "m3/h", gateway="gw-2", device="meter", period_ms=60_000)
PAIR_RULE = PLAIN_RULE.replace("{role: tank.level, unit: m}", "{role: tank.level, unit: m}, Q: {role: inlet.flow}").replace(
    "when: L < low", "when: L < low and Q < 9"
)
"""Looks at a level of one gateway and a flow of another."""


@pytest.fixture
def rules(tmp_path: Path) -> tuple[Rule, ...]:
    return tuple(rules_of(tmp_path, PLAIN_RULE).values())


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Rule, ...]:
    return tuple(rules_of(tmp_path, PAIR_RULE).values())


def both(rules: tuple[Rule, ...]) -> tuple[Engine, Feed, Feed]:
    """An engine that knows what two gateways will send."""
    engine, feed, other = Engine(rules, county()), Feed(), Feed("gw-2")
    take(engine, feed.birth(LEVEL), other.birth(OTHER))
    return engine, feed, other


def low(feed: Feed, first_s: int, last_s: int, received_s: float) -> Interpreted:
    """A reading a second, all below the limit."""
    info = OTHER if feed.gateway.gateway == "gw-2" else LEVEL
    return feed.data(info, {float(t): 0.5 for t in range(first_s, last_s + 1)}, received_s)


def take(engine: Engine, *messages: Interpreted) -> list[Change]:
    return [change for message in messages for change in engine.step(message.received_ms, message)]


def tick(engine: Engine, at_s: float) -> list[Change]:
    return engine.step(T0 + round(at_s * 1000), [])


def told(changes: list[Change]) -> list[str]:
    return [c.warning.rule if isinstance(c, Raised) else f"over {c.id.split('~')[0]}" for c in changes]


# --- holes ---


def test_an_event_that_fills_a_hole_after_it_was_given_up_is_judged() -> None:
    engine, feed = Engine((load_rules()["device-silent"],), county()), Feed()
    first = feed.event("device.silent", False, 0, 0, subject="pump")
    silent, behind = feed.event("device.silent", True, 5, 50), feed.event("device.silent", False, 6, 6, subject="pump")
    take(engine, first, behind)
    tick(engine, 40)
    changes = take(engine, silent, low(feed, 6, 400, 400))
    changes += tick(engine, 431)
    assert told(changes) == ["device-silent"]


def test_readings_that_fill_a_hole_after_it_was_given_up_are_judged_where_their_instants_are_still_to_come(
    pair: tuple[Rule, ...],
) -> None:
    """The other gateway is behind, so nothing was judged beyond it when the hole was given up."""
    engine, feed, other = both(pair)
    take(engine, low(feed, 0, 1, 1), low(other, 1, 1, 1))
    hole, behind = low(feed, 2, 30, 33), low(feed, 31, 31, 2)
    take(engine, behind)
    for t in range(5, 33, 4):
        take(engine, other.data(OTHER, {1.0 + t / 100: 2.0}, t))
    changes = tick(engine, 32.5) + take(engine, hole, other.data(OTHER, {40.0: 2.0}, 34))
    changes += tick(engine, 100)
    assert told(changes) == ["level-low"]
    assert engine.counts()["late"] == 0


def test_readings_that_fill_a_hole_after_what_is_behind_it_was_judged_are_counted(rules: tuple[Rule, ...]) -> None:
    engine, feed = Engine(rules, county()), Feed()
    first, hole, behind = low(feed, 0, 1, 1), low(feed, 2, 4, 80), low(feed, 5, 9, 10)
    take(engine, first, behind)
    tick(engine, 41)
    take(engine, hole)
    assert engine.counts()["late"] == 3


def test_what_a_gap_record_declares_lost_and_is_here_all_the_same_is_judged(rules: tuple[Rule, ...]) -> None:
    engine, feed = Engine(rules, county()), Feed()
    first, _, here = low(feed, 0, 1, 1), low(feed, 2, 2, 2), low(feed, 3, 20, 3)
    gap = Interpreted(9, feed.gateway, EPOCH, URGENT, 1, T0 + 4000, gaps=(Gap(EPOCH, "n", 2, 3, 1, "size"),))
    changes = take(engine, first, here, gap) + tick(engine, 35)
    assert told(changes) == ["level-low"]
    assert engine.counts() == {"late": 0, "ahead": 0, "waiting": 0, "watches": 1}


def test_a_hole_of_its_own_makes_no_gateway_silent(pair: tuple[Rule, ...]) -> None:
    """Its readings come all the time, behind a hole; the other gateway's readings wait for it, and none is late."""
    engine, feed, other = both(pair)
    take(engine, low(feed, 0, 0, 0), low(other, 0, 0, 0))
    hole = low(feed, 1, 1, 32)
    for t in range(2, 31, 4):
        take(engine, low(feed, t, t + 3, t + 3), low(other, t, t + 3, t + 3))
    take(engine, hole)
    assert engine.counts()["late"] == 0


def test_an_event_older_than_what_is_known_of_its_subject_is_counted() -> None:
    engine = Engine((load_rules()["device-silent"],), county())
    take(engine, Feed(epoch=LATER_EPOCH).event("device.silent", False, 50, 50), Feed().event("device.silent", True, 10, 60))
    assert engine.counts()["late"] == 1


# --- time passes before a message ---


def test_what_is_judged_follows_from_the_log_alone_not_from_the_ticks_between(pair: tuple[Rule, ...]) -> None:
    def judged(ticks: range) -> dict[str, int]:
        engine, feed, other = both(pair)
        take(engine, low(feed, 0, 0, 0), low(other, 0, 0, 0), low(feed, 1, 20, 25))
        for t in ticks:
            tick(engine, t)
        take(engine, low(other, 1, 20, 50))
        return engine.counts()

    assert judged(range(26, 50)) == judged(range(0)) == {"late": 20, "ahead": 0, "waiting": 0, "watches": 1}


# --- absence of the collector ---


def restarted(engine: Engine, rules: tuple[Rule, ...], at_s: float) -> Engine:
    return Engine(rules, county(), engine.dump(), T0 + round(at_s * 1000))


def test_a_hole_open_when_the_collector_went_away_is_given_the_rest_of_its_time_after_it_is_back(rules: tuple[Rule, ...]) -> None:
    engine, feed = Engine(rules, county()), Feed()
    first, hole, behind = low(feed, 0, 1, 1), low(feed, 2, 4, 660), low(feed, 5, 20, 20)
    take(engine, first, behind)
    back = restarted(engine, rules, 620)
    changes = tick(back, 621) + take(back, hole) + tick(back, 700)
    assert told(changes) == ["level-low"]
    assert back.counts()["late"] == 0


def test_no_gateway_was_silent_because_the_collector_was_away(pair: tuple[Rule, ...]) -> None:
    engine, feed, other = both(pair)
    take(engine, low(feed, 0, 0, 0), low(other, 0, 0, 0), low(feed, 1, 20, 20))
    tick(engine, 25)
    back = restarted(engine, pair, 620)
    take(back, low(feed, 21, 630, 631), low(other, 1, 630, 650))
    assert back.counts()["late"] == 0, "and what waited for it goes on waiting"


def test_a_gateway_that_was_silent_before_is_not_waited_for(pair: tuple[Rule, ...]) -> None:
    engine, feed, other = both(pair)
    assert told(take(engine, low(other, 60, 60, 60), low(feed, 61, 100, 100))) == ["level-low"]
    back = restarted(engine, pair, 620)
    assert told(take(back, feed.data(LEVEL, {float(t): 2.0 for t in range(101, 621)}, 621))) == ["over level-low"]


def test_a_collector_that_falls_again_and_again_waits_for_nobody_for_ever(pair: tuple[Rule, ...]) -> None:
    engine, feed, other = both(pair)
    take(engine, low(other, 0, 0, 0))
    present_s = 0
    for _ in range(20):  # 10 s there, 10 s away
        take(engine, low(feed, present_s + 1, present_s + 10, present_s + 10))
        engine = restarted(engine, pair, present_s + 20)
        present_s += 20
    assert SILENT_MS + RETURN_MS < 20 * 10_000
    assert engine.counts()["waiting"] <= 20, "what was there for 60 s of its presence has gone on without the other"


def test_a_collector_that_falls_again_and_again_waits_for_no_hole_for_ever(rules: tuple[Rule, ...]) -> None:
    engine, feed = Engine(rules, county()), Feed()
    take(engine, low(feed, 0, 0, 0))
    low(feed, 1, 1, 1)  # never comes
    changes = take(engine, low(feed, 2, 20, 2))
    for present_s in range(10, 200, 20):
        changes += tick(engine, present_s)
        engine = restarted(engine, rules, present_s + 10)
    assert told(changes) == ["level-low"]


def version_2(engine: Engine, *told: str) -> bytes:
    """The engine's state as earlier releases saved it: one order for the whole site, and without what these did not know yet."""
    state = msgspec.msgpack.decode(engine.dump())
    site = state["sites"]["dawan"]
    (group,) = site.pop("groups")
    arrivals, known = site.pop("arrivals"), {tuple(key): slot for key, slot in zip(group["series"], group["slots"], strict=True)}
    site["slots"] = [[info, *known[tuple(info["key"])]] for info, *_ in site.pop("series")]
    site["order"] = arrivals | {name: group[name] for name in ("waiting", "oldest_received_ms", "judged_ms")}
    for flow in arrivals["flows"].values():
        for name in ("urgent_ms", "batch_ms", "batched_ms", "born_ms", "told_ms", "buses", *(told and ("heard_ms", "grace_ms"))):
            del flow[name]
        for lane in flow["lanes"].values() if told else ():
            del lane["grace_ms"], lane["passed"]
    for name in told:
        del site["order"][name]
    return msgspec.msgpack.encode(state | {"version": 2})


def test_a_state_of_version_2_goes_on_where_it_stopped(pair: tuple[Rule, ...]) -> None:
    engine, feed, other = both(pair)
    changes = take(engine, low(feed, 0, 4, 4), low(other, 0, 4, 4), low(feed, 5, 9, 9))
    back = Engine(pair, county(), version_2(engine))
    assert back.counts() == engine.counts() | {"waiting": 5}
    changes += take(back, low(other, 5, 12, 12), low(feed, 10, 12, 12))
    assert told(changes) == ["level-low"]
    (raised,) = changes
    assert isinstance(raised, Raised)
    assert raised.warning.began_ms == T0, "the dwell began before"


def test_a_state_of_an_earlier_release_knows_no_time_of_going(pair: tuple[Rule, ...]) -> None:
    """Nobody is waited for since 1970."""
    engine, feed, other = both(pair)
    take(engine, low(feed, 0, 0, 0), low(other, 0, 0, 0))
    back = Engine(pair, county(), version_2(engine, "present_ms"), T0 + 600_000)
    take(back, low(feed, 580, 610, 610))
    tick(back, 650)
    assert back.counts()["waiting"] == 0


def test_what_came_before_the_collector_began_is_read_before_it_counts_as_back(pair: tuple[Rule, ...]) -> None:
    """A log that was ahead of the judge: the absence lies behind its end, not behind the judge's cursor."""
    engine, feed, other = both(pair)
    take(engine, low(feed, 0, 0, 0), low(other, 0, 0, 0))
    back = restarted(engine, pair, 620)
    take(back, low(feed, 1, 100, 100))
    assert back.counts()["waiting"] <= 2, "the other was silent while the collector was there"


def test_over_is_told_after_a_restart_as_without_one(rules: tuple[Rule, ...]) -> None:
    engine, feed = Engine(rules, county()), Feed()
    assert told(take(engine, low(feed, 0, 30, 30))) == ["level-low"]
    hole, behind = feed.data(LEVEL, {31.0: 2.0, 33.0: 2.0}, 640), feed.data(LEVEL, {float(t): 2.0 for t in range(34, 50)}, 50)
    take(engine, behind)
    back = restarted(engine, rules, 620)
    ends = [c.over_ms - T0 for c in tick(back, 621) + take(back, hole) + tick(back, 720) if isinstance(c, Over)]
    assert ends == [31_000]
