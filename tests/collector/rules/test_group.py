"""What waits for what: a watch for the sources of its own series, a gateway with long batches, buses, urgent readings."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.config.rules_file import load_rules
from collector.domain.identity import GatewayId
from collector.domain.interpreted import Interpreted
from collector.domain.pulse import GatewayPulse
from collector.rules.changes import Change, Over, Raised
from collector.rules.engine import Engine
from edge_agent.contract.message import URGENT
from tests.support.warnings import PLAIN_RULE, T0, Feed, county, rules_of, series

LEVEL = series()
OTHER_LEVEL = series(gateway="gw-2")
FLOW = series("flow", "inlet.flow", "m3/h", gateway="gw-2", device="meter", period_ms=5000)
NEAR_FLOW = series("flow", "inlet.flow", "m3/h", device="meter", period_ms=5000)
PAIR_RULE = PLAIN_RULE.replace("{role: tank.level, unit: m}", "{role: tank.level, unit: m}, Q: {role: inlet.flow}").replace(
    "when: L < low", "when: L < low and Q < 9"
)


def step(engine: Engine, *messages: Interpreted) -> list[Change]:
    return [change for message in messages for change in engine.step(message.received_ms, message)]


def tick(engine: Engine, at_s: float) -> list[Change]:
    return engine.step(T0 + round(at_s * 1000), [])


def span(first_s: int, last_s: int, value: float) -> dict[float, float]:
    return {float(t): value for t in range(first_s, last_s + 1)}


@pytest.mark.parametrize("batch_s", [31, 60, 240, 1800])
def test_a_gateway_with_long_batches_beside_one_with_short_ones_is_judged(tmp_path: Path, batch_s: int) -> None:
    """Once it was taken for silent between its batches, and nearly all its readings for late: a calm that was none."""
    engine = Engine(tuple(rules_of(tmp_path, PLAIN_RULE).values()), county())
    often, rarely = Feed("gw-1"), Feed("gw-2")
    changes = step(engine, often.birth(LEVEL), rarely.birth(OTHER_LEVEL))
    low_s = 3 * batch_s + 20
    for t in range(6 * batch_s):
        if t % 5 == 4:
            changes += step(engine, often.data(LEVEL, span(t - 4, t, 2.0), t))
        if t % batch_s == batch_s - 1:
            levels = {s: 0.5 if s > low_s else 2.0 for s in span(t - batch_s + 1, t, 0)}
            changes += step(engine, rarely.data(OTHER_LEVEL, levels, t))
        changes += tick(engine, t)
    assert [(c.warning.subject, c.warning.began_ms) for c in changes if isinstance(c, Raised)] == [
        ("gw-2/probe.level", T0 + (low_s + 1) * 1000)
    ]
    assert changes[0].warning.known_ms <= T0 + (5 * batch_s) * 1000, "known with the batch that brings it"  # type: ignore[union-attr]
    assert engine.counts()["late"] == 0


@pytest.mark.parametrize("is_told", [True, False])
@pytest.mark.parametrize("batch_s", [31, 240, 1800])
def test_a_rule_over_two_gateways_waits_for_the_one_with_long_batches(tmp_path: Path, batch_s: int, is_told: bool) -> None:
    """Its birth says how long these are; those of earlier agents are learnt."""
    engine = Engine(tuple(rules_of(tmp_path, PAIR_RULE).values()), county())
    often, rarely = Feed("gw-1"), Feed("gw-2")
    changes = step(engine, often.birth(LEVEL), rarely.birth(FLOW, batch_ms=batch_s * 1000 if is_told else 5000))
    low_s = 3 * batch_s + 20
    for t in range(6 * batch_s):
        if t % 5 == 4:
            changes += step(engine, often.data(LEVEL, {s: 0.5 if s > low_s else 2.0 for s in span(t - 4, t, 0)}, t))
        if t % batch_s == batch_s - 1:
            changes += step(engine, rarely.data(FLOW, span(t - batch_s + 1, t, 1.0), t))
        changes += tick(engine, t)
    began = [c.warning.began_ms for c in changes if isinstance(c, Raised)]
    assert began == [T0 + (low_s + 1) * 1000]
    assert engine.counts()["late"] <= (0 if is_told else batch_s), "the first batch may come when nothing is known of its habit"


def test_an_outage_is_no_habit(tmp_path: Path) -> None:
    """After two hours away it is waited for as before, not for hours."""
    engine = Engine(tuple(rules_of(tmp_path, PAIR_RULE).values()), county())
    one, two = Feed("gw-1"), Feed("gw-2")
    step(engine, one.birth(LEVEL), two.birth(FLOW))
    for t in (*range(0, 60, 5), *range(7260, 7320, 5)):
        step(engine, one.data(LEVEL, {float(t): 2.0}, t), two.data(FLOW, {float(t): 1.0}, t))
    step(engine, *(one.data(LEVEL, {float(t): 0.5}, t) for t in range(7320, 7370)))
    assert engine.counts()["waiting"] == 0


def test_an_urgent_reading_is_judged_at_once_though_normal_ones_wait_for_company(tmp_path: Path) -> None:
    rule = PLAIN_RULE.replace("for: 10s", "for: 0s")
    engine, feed = Engine(tuple(rules_of(tmp_path, rule).values()), county()), Feed()
    normal = series("pressure", "outlet.pressure", "MPa", device="meter")
    step(engine, feed.birth(LEVEL, normal), feed.data(normal, {0.0: 0.3}, 0))
    changes = step(engine, feed.data(LEVEL, {100.0: 0.5}, 100.3, lane=URGENT))
    assert [c.warning.known_ms for c in changes if isinstance(c, Raised)] == [T0 + 100_300]


def test_normal_readings_of_the_same_watch_are_waited_for_when_an_urgent_one_overtakes(tmp_path: Path) -> None:
    engine, feed = Engine(tuple(rules_of(tmp_path, PAIR_RULE).values()), county()), Feed()
    step(engine, feed.birth(LEVEL, NEAR_FLOW), feed.data(NEAR_FLOW, {0.0: 1.0}, 0), feed.data(LEVEL, {0.5: 2.0}, 0.6, lane=URGENT))
    changes = step(engine, *(feed.data(LEVEL, {float(t): 0.5}, t, lane=URGENT) for t in range(1, 20)))
    assert (changes, engine.counts()["late"]) == ([], 0)
    changes = step(engine, feed.data(NEAR_FLOW, {float(t): 1.0 for t in range(5, 20, 5)}, 20))
    assert [c.warning.began_ms for c in changes if isinstance(c, Raised)] == [T0 + 1000]
    assert engine.counts()["late"] == 0


def test_the_other_bus_has_a_second_the_same_bus_needs_none(tmp_path: Path) -> None:
    rules = tuple(rules_of(tmp_path, PAIR_RULE.replace("for: 10s", "for: 0s")).values())

    def judged_at(bus_of_flow: str) -> list[int]:
        engine, feed = Engine(rules, county()), Feed()
        birth = feed.birth(LEVEL, NEAR_FLOW)
        assert birth.birth is not None
        birth.birth.devices[1] = type(birth.birth.devices[1])("meter", bus=bus_of_flow)
        changes = step(engine, birth, feed.data(NEAR_FLOW, {0.0: 1.0}, 0), feed.data(LEVEL, {0.5: 0.5}, 0.6))
        changes += step(engine, feed.data(NEAR_FLOW, {5.0: 1.0}, 5.1))
        return [c.warning.known_ms - T0 for c in changes if isinstance(c, Raised)]

    assert judged_at("rs485-1") == [600]
    assert judged_at("rs485-2") == [5100]


def test_what_is_judged_only_by_others_waits_for_nothing(tmp_path: Path) -> None:
    """A dead gateway in the pair rule delays the plain rule by nothing."""
    rules = (*rules_of(tmp_path, PLAIN_RULE).values(), *rules_of(tmp_path, PAIR_RULE.replace("level-low", "level-pair")).values())
    engine, one, two = Engine(rules, county()), Feed("gw-1"), Feed("gw-2")
    step(engine, one.birth(LEVEL), two.birth(FLOW), two.data(FLOW, {0.0: 1.0}, 0))
    changes = step(engine, *(one.data(LEVEL, {float(t): 0.5}, t) for t in range(1, 12)))
    assert [(c.warning.rule, c.warning.known_ms - T0) for c in changes if isinstance(c, Raised)] == [("level-low", 11_000)]


def test_an_event_that_ends_and_is_still_on_its_way_raises_nothing() -> None:
    """The gateway is heard; that a device answers again was stamped before and comes behind it."""
    rule = load_rules()["device-silent"]
    engine, feed = Engine((rule,), county()), Feed()
    step(engine, feed.data(LEVEL, {0.0: 2.0}, 0), feed.event("device.silent", True, 1, 1, subject="pump"))
    over_s = 1 + rule.for_ms // 1000 - 1
    changes: list[Change] = []
    for t in range(2, over_s + 3):
        pulse = GatewayPulse(GatewayId("dawan", "gw-1"), T0 + t * 1000, online=True)
        changes += engine.step(T0 + t * 1000, [pulse])
    changes += step(engine, feed.event("device.silent", False, over_s, over_s + 3, subject="pump"))
    assert [c for c in changes if isinstance(c, Raised | Over)] == []
