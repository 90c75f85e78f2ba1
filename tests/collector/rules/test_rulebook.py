"""Every shipped rule against its own scenarios, and what every rule must have."""

from __future__ import annotations

import pytest

from collector.config.rules_file import load_rules
from collector.rules.rule import Rule, Scenario
from collector.rules.scenario import outcome, run_scenario

RULES = load_rules()
CASES = [(rule, scenario) for rule in RULES.values() for scenario in rule.scenarios]


@pytest.mark.parametrize(("rule", "scenario"), CASES, ids=[f"{r.id}: {s.name}" for r, s in CASES])
def test_scenario(rule: Rule, scenario: Scenario) -> None:
    assert outcome(run_scenario(rule, scenario)) == (scenario.raised, scenario.over)


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_every_rule_is_proved_from_both_sides_and_tells_what_to_do(rule: Rule) -> None:
    assert any(s.raised for s in rule.scenarios)
    assert any(not s.raised for s in rule.scenarios)
    assert any(s.over for s in rule.scenarios)
    for text in (rule.title, rule.meaning, rule.cause, rule.action):
        assert text.zh
        assert text.en
    assert rule.source


def test_ids_that_other_parts_rely_on() -> None:
    assert {
        "pump-dry-run", "device-silent", "gateway-silent", "water-quality-event", "tank-level-low", "tank-level-high",
        "value-stuck", "outlet-pressure-low", "water-turbidity-high", "water-ph-out",
    } <= set(RULES)  # fmt: skip
