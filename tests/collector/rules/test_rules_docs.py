"""docs/rules.md holds what the code offers, and its example is a rule."""

from __future__ import annotations

import re
from pathlib import Path

from collector.config.rules_file import load_rules
from collector.rules.functions import functions
from collector.rules.scenario import outcome, run_scenario
from tests.support.rules_docs import functions_markdown, rules_markdown
from tests.support.warnings import rules_of

DOCS = (Path(__file__).resolve().parents[3] / "docs" / "rules.md").read_text(encoding="utf-8")


def test_every_function_stands_in_the_manual() -> None:
    assert functions_markdown(functions()) in DOCS


def test_every_shipped_rule_stands_in_the_manual() -> None:
    assert rules_markdown(load_rules()) in DOCS


def test_the_example_passes_its_own_tests(tmp_path: Path) -> None:
    example = re.search(r"```yaml\n(.*?)```", DOCS, re.DOTALL)
    assert example is not None
    for rule in rules_of(tmp_path, example[1]).values():
        for scenario in rule.scenarios:
            assert outcome(run_scenario(rule, scenario))[0] == scenario.raised
