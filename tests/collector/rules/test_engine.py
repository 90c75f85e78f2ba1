"""The warning engine: order of time, restart, holes, backlog, links."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from collector.config.rules_file import load_rules
from collector.domain.county import RuleOverride
from collector.domain.identity import GatewayId
from collector.domain.interpreted import Interpreted
from collector.domain.pulse import GatewayPulse
from collector.rules.changes import Change, Over, Raised
from collector.rules.engine import Engine
from edge_agent.contract.quality import Quality
from tests.support.warnings import LATER_EPOCH, PLAIN_RULE, T0, Feed, county, rules_of, series

LEVEL = series()
Step = tuple[int, Interpreted | Sequence[GatewayPulse]]


@pytest.fixture
def plain(tmp_path: Path) -> Engine:
    return Engine(tuple(rules_of(tmp_path, PLAIN_RULE).values()), county())


def seconds(values: dict[range, float | None]) -> dict[float, float | None]:
    return {float(t): value for span, value in values.items() for t in span}


def live(feed: Feed, values: dict[float, float | None], qualities: dict[float, int] | None = None) -> list[Step]:
    """One message for each reading, as it is taken, with a pulse behind it."""
    steps: list[Step] = []
    for at, value in values.items():
        now_ms = T0 + round(at * 1000)
        steps += [(now_ms, feed.data(LEVEL, {at: value}, at, qualities)), (now_ms, pulses(now_ms))]
    return steps


def pulses(heard_ms: int, gateway: str = "gw-1") -> list[GatewayPulse]:
    return [GatewayPulse(GatewayId("dawan", gateway), heard_ms, online=True)]


def run(engine: Engine, steps: Iterable[Step]) -> list[Change]:
    return [change for now_ms, event in steps for change in engine.step(now_ms, event)]


def times(changes: Sequence[Change]) -> list[tuple[str, int]]:
    """Warnings and ends in s from T0."""
    return [
        (c.warning.state, (c.warning.began_ms - T0) // 1000) if isinstance(c, Raised) else ("over", (c.over_ms - T0) // 1000)
        for c in changes
    ]  # fmt: skip


def test_raised_after_its_dwell_and_over_after_the_clearing_one(plain: Engine) -> None:
    changes = run(plain, live(Feed(), seconds({range(5): 2, range(5, 30): 0.5, range(30, 50): 2})))
    assert times(changes) == [("raised", 5), ("over", 30)]
    first = changes[0]
    assert isinstance(first, Raised)
    assert first.warning.evidence == (("gw-1/probe.level", "0.5 m"),)
    assert first.warning.known_ms == T0 + 15_000, "10 s of dwell; its bus is behind nobody"
    assert first.warning.id == f"level-low~dawan~gw-1~probe.level~{T0 + 5000}"


def test_a_value_inside_the_band_neither_raises_nor_clears(plain: Engine) -> None:
    changes = run(plain, live(Feed(), seconds({range(20): 0.5, range(20, 60): 1.05})))
    assert times(changes) == [("raised", 0)]


def test_a_new_warning_after_one_that_was_over(plain: Engine) -> None:
    changes = run(plain, live(Feed(), seconds({range(20): 0.5, range(20, 40): 2, range(40, 60): 0.5})))
    assert times(changes) == [("raised", 0), ("over", 20), ("raised", 40)]


def test_bad_quality_is_unknown(plain: Engine) -> None:
    bad = {float(t): int(Quality.BAD_COMM) for t in range(6, 300)}
    changes = run(plain, live(Feed(), seconds({range(300): 0.5}), bad))
    assert changes == [], "6 s are no dwell of 10"


def test_the_time_between_is_not_counted_where_something_unknown_lies_in_it(plain: Engine) -> None:
    bad = {float(t): int(Quality.BAD_SENSOR) for t in (4, 5, 6)}
    assert run(plain, live(Feed(), seconds({range(13): 0.5}), bad)) == [], "3 s, unknown for 4 s, 5 s"


def test_a_hole_neither_clears_nor_counts(plain: Engine) -> None:
    changes = run(plain, live(Feed(), seconds({range(8): 0.5, range(60, 68): 0.5})))
    assert changes == []
    changes = run(plain, live(Feed(epoch=LATER_EPOCH), seconds({range(80, 100): 0.5, range(100, 103): 2, range(200, 204): 2})))
    assert times(changes) == [("raised", 80)], "3 s, a hole, 3 s: no clearing dwell of 5"


def test_batches_out_of_order_and_doubled_give_the_same(tmp_path: Path) -> None:
    rules = tuple(rules_of(tmp_path, PLAIN_RULE).values())
    values = seconds({range(10): 2, range(10, 40): 0.5, range(40, 60): 2, range(60, 75): 0.5, range(75, 100): 2})
    feed = Feed()
    batches = [feed.data(LEVEL, {t: values[t] for t in list(values)[i : i + 3]}, 100 + i / 10) for i in range(0, 100, 3)]
    wanted = None
    for seed in range(20):
        mixed = [*batches, *random.Random(seed).sample(batches, 10)]
        random.Random(seed).shuffle(mixed)
        steps: list[Step] = [(T0 + 100_000, replace(b, received_ms=T0 + 100_000)) for b in mixed]
        changes = run(Engine(rules, county()), [*steps, (T0 + 140_000, pulses(T0 + 100_000))])
        wanted = wanted or sorted(times(changes))
        assert sorted(times(changes)) == wanted
    assert wanted == [("over", 40), ("over", 75), ("raised", 10), ("raised", 60)], (
        "known at 100 s, so it is over less than a minute ago"
    )


def test_two_gateways_are_judged_in_the_order_of_measurement(tmp_path: Path) -> None:
    rule = PLAIN_RULE.replace("needs: {L: {role: tank.level, unit: m}}", "needs: {L: {role: tank.level}, Q: {role: inlet.flow}}")
    rules = tuple(rules_of(tmp_path, rule.replace("when: L < low", "when: L < low and Q < 1")).values())
    flow = series("flow", "inlet.flow", "m3/h", gateway="gw-2", device="meter")
    one, two = Feed("gw-1"), Feed("gw-2")
    steps: list[tuple[float, Interpreted]] = []
    for t in range(0, 60, 5):
        steps.append((t + 5, one.data(LEVEL, {float(s): 0.5 for s in range(t, t + 5)}, t + 5)))
        # The second gateway's batches come 20 s later; flow stops at 20 s.
        steps.append((t + 25, two.data(flow, {float(s): 0 if s >= 20 else 9 for s in range(t, t + 5)}, t + 25)))
    engine = Engine(rules, county())
    run(engine, [(T0, one.birth(LEVEL)), (T0, two.birth(flow))])
    changes = run(engine, [(T0 + round(at * 1000), m) for at, m in sorted(steps, key=lambda s: s[0])])
    assert times(changes) == [("raised", 20)]
    assert engine.counts()["late"] == 0
    assert engine.counts()["waiting"] <= 3


def test_restart_between_every_two_steps_changes_nothing(tmp_path: Path) -> None:
    rules = (*rules_of(tmp_path, PLAIN_RULE).values(), *load_rules().values())
    feed = Feed()
    steps = live(feed, seconds({range(5): 2, range(5, 30): 0.5}))
    steps.insert(20, (T0 + 9000, feed.event("device.silent", True, 9, 9)))
    steps += live(feed, seconds({range(30, 100): 2}))
    steps += [(T0 + (100 + t) * 1000, pulses(T0 + 99_000)) for t in range(0, 1200, 10)]
    whole = run(Engine(rules, county()), steps)
    state, killed = b"", []
    for step in steps:
        engine = Engine(rules, county(), state)
        killed += run(engine, [step])
        state = engine.dump()
    assert killed == whole
    assert times(whole) == [("raised", 5), ("over", 30), ("raised", 9), ("raised", 130)], "level, device-silent, gateway-silent"


def test_a_backlog_gives_past_warnings_and_raises_what_still_stands(plain: Engine) -> None:
    feed = Feed()
    now_s = 86_400.0
    old = feed.data(LEVEL, seconds({range(5): 2, range(5, 30): 0.5, range(30, 60): 2, range(60, 100): 0.5}), now_s)
    now_ms = T0 + round(now_s * 1000)
    changes = run(plain, [(now_ms, old), (now_ms + 1000, pulses(now_ms)), (now_ms + 40_000, pulses(now_ms))])
    assert times(changes) == [("past", 5), ("raised", 60)]
    past, now = changes
    assert isinstance(past, Raised)
    assert past.warning.over_ms == T0 + 30_000
    assert isinstance(now, Raised)
    assert now.warning.known_ms == now_ms + 40_000, "held back until nothing more was coming"


def test_history_that_runs_into_the_present_is_told_when_it_has_caught_up(plain: Engine) -> None:
    feed = Feed(epoch=EPOCH_OF_REPLAY)
    steps: list[Step] = []
    for t in range(0, 3600, 60):
        steps.append((T0 + 3_600_000, feed.data(LEVEL, {float(s): 0.5 for s in range(t, t + 60)}, 3600)))
    steps += live(Feed(), {float(t): 0.5 for t in range(3600, 3604)})
    assert times(run(plain, steps)) == [("raised", 0)]


EPOCH_OF_REPLAY = "0-00000000000000ee"


def test_late_readings_and_those_of_a_wrong_clock_are_counted_not_judged(plain: Engine) -> None:
    one = Feed()
    run(plain, live(one, seconds({range(60): 2})))
    late = Feed(epoch=LATER_EPOCH).data(LEVEL, seconds({range(20, 40): 0.5}), 60)
    future = Feed(epoch="3-00000000000000ef").data(LEVEL, {9000.0: 0.5}, 60)
    assert run(plain, [(T0 + 60_000, late), (T0 + 60_000, future), (T0 + 100_000, pulses(T0 + 60_000))]) == []
    assert (plain.counts()["late"], plain.counts()["ahead"]) == (20, 1)


def test_overrides_change_dwell_level_threshold_and_switch_off(tmp_path: Path) -> None:
    rules = tuple(rules_of(tmp_path, PLAIN_RULE).values())
    steps = live(Feed(), seconds({range(8): 0.5}))
    assert run(Engine(rules, county()), steps) == []
    quick = RuleOverride("level-low", site="dawan", for_ms=3000, level="red")
    first = run(Engine(rules, county(quick)), steps)[0]
    assert isinstance(first, Raised)
    assert first.warning.level == "red"
    lower = RuleOverride("level-low", subject="gw-1/probe.level", for_ms=3000, params={"low": 0.4})
    assert run(Engine(rules, county(quick, lower)), steps) == []
    assert run(Engine(rules, county(quick, RuleOverride("level-low", site="dawan", enabled=False))), steps) == []


def test_a_rule_switched_off_ends_its_warnings(tmp_path: Path) -> None:
    rules = tuple(rules_of(tmp_path, PLAIN_RULE).values())
    engine = Engine(rules, county())
    run(engine, live(Feed(), seconds({range(20): 0.5})))
    off = Engine(rules, county(RuleOverride("level-low", enabled=False)), engine.dump())
    changes = run(off, [(T0 + 30_000, pulses(T0 + 30_000)), (T0 + 31_000, pulses(T0 + 31_000))])
    assert [c.id for c in changes if isinstance(c, Over)] == [f"level-low~dawan~gw-1~probe.level~{T0}"]


def test_an_inhibited_warning_waits_for_its_cause() -> None:
    rules = tuple(load_rules().values())
    engine = Engine(rules, county(RuleOverride("gateway-silent", for_ms=10_000), RuleOverride("device-silent", for_ms=5000)))
    feed = Feed()
    run(engine, [(T0 + t * 1000, pulses(T0)) for t in range(0, 100, 10)])
    back = run(
        engine, [(T0 + 100_000, feed.event("device.silent", True, 90, 100)), (T0 + 100_000, feed.data(LEVEL, {99.0: 2.0}, 100))]
    )
    assert back == [], "reached its dwell, but its gateway is still taken for silent"
    told = run(engine, [(T0 + 101_000, pulses(T0 + 100_000))])
    assert [c.warning.rule if isinstance(c, Raised) else c.id.split("~")[0] for c in told] == ["gateway-silent", "device-silent"]


def test_the_collectors_own_absence_is_nobodys_silence() -> None:
    engine = Engine(tuple(load_rules().values()), county())
    run(engine, [(T0, pulses(T0))])
    away_s = 86_400
    assert run(engine, [(T0 + (away_s + t) * 1000, pulses(T0)) for t in range(0, 900, 10)]) == []
    late = run(engine, [(T0 + (away_s + t) * 1000, pulses(T0)) for t in range(900, 1000, 10)])
    assert [c.warning.rule for c in late if isinstance(c, Raised)] == ["gateway-silent"]


def test_good_readings_of_a_later_run_end_a_silence_that_nobody_took_back() -> None:
    engine = Engine((load_rules()["device-silent"],), county())
    steps: list[Step] = [(T0, Feed().event("device.silent", True, 0, 0))]
    steps += [(T0 + t * 1000, pulses(T0 + t * 1000)) for t in range(0, 80, 10)]
    assert times(run(engine, steps)) == [("raised", 0)]
    again = Feed(epoch=LATER_EPOCH).data(LEVEL, {81.0: None, 90.0: 2.0}, 91, {81.0: int(Quality.BAD_COMM)})
    assert times(run(engine, [(T0 + 91_000, again)])) == [("over", 90)]


def test_what_happens_at_an_instant_is_over_when_it_has_not_happened_again() -> None:
    engine = Engine((load_rules()["outbox-dropped"],), county())
    feed, hour = Feed(), 3600
    steps: list[Step] = []
    for at_s in (0, hour // 2):
        steps.append((T0 + at_s * 1000, feed.event("outbox.dropped", None, at_s, at_s, "")))
        steps += [(T0 + t * 1000, pulses(T0 + t * 1000)) for t in range(at_s, at_s + hour // 2, 60)]
    assert times(run(engine, steps)) == [("raised", 0)]
    engine = Engine((load_rules()["outbox-dropped"],), county(), engine.dump())
    quiet: list[Step] = [(T0 + t * 1000, pulses(T0 + t * 1000)) for t in range(hour, 2 * hour, 60)]
    assert times(run(engine, quiet)) == [("over", hour // 2)]


def test_a_state_of_a_newer_version_or_of_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match="not a state"):
        Engine((), county(), b"\xc1")
