"""Errors of rule files: all at once, at their line, with the mend."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.config.rules_file import load_rules
from edge_agent.common.problem import ProblemError
from tests.support.warnings import PLAIN_RULE, rules_of


def codes(folder: Path, old: str, new: str) -> list[tuple[str, str]]:
    assert old in PLAIN_RULE
    with pytest.raises(ProblemError) as caught:
        rules_of(folder, PLAIN_RULE.replace(old, new))
    return [(p.code, p.where.split("rules.yaml:")[1].split()[0]) for p in caught.value.problems]


@pytest.mark.parametrize(
    ("old", "new", "code", "line"),
    [
        ("when: L < low", "when: L < lower", "RUL601", 12), ("when: L < low", "when: L + low", "RUL601", 12),
        ("role: tank.level", "role: tank.lvl", "RUL602", 10), ("unit: m}}\n    params", "unit: A}}\n    params", "RUL602", 10),
        ("for: 10s", "for: soon", "RUL603", 13), ("level: yellow", "level: orange", "CFG009", 5),
        ('"[H]"', '"a guess"', "CFG009", 11),
        ("    when: L < low\n", "", "RUL606", 4), ("for: 10s", "whilst: 10s", "CFG007", 13),
        ("for: 10s", "kind: event", "RUL606", 4), ("for: 10s", "kind: link", "RUL606", 4),
        ("for: 10s", "for: 10s\n    tests: [{name: a, raised: 1, signals: {L: [often]}}]", "RUL607", 14),
        ("for: 10s", "for: 10s\n    tests: [{name: a, raised: 1, signals: {M: [1 for 1m]}}]", "RUL607", 14),
    ],
)  # fmt: skip
def test_one_error_at_its_line(tmp_path: Path, old: str, new: str, code: str, line: int) -> None:
    found = codes(tmp_path, old, new)
    assert [(c, int(w.split(":")[0])) for c, w in found] == [(code, line)]


def test_all_errors_at_once(tmp_path: Path) -> None:
    text = PLAIN_RULE.replace("when: L < low", "when: L < lower").replace("for: 10s", "for: soon")
    with pytest.raises(ProblemError) as caught:
        rules_of(tmp_path, text)
    assert {p.code for p in caught.value.problems} == {"RUL601", "RUL603"}


def test_two_rules_of_one_name_and_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match="RUL605"):
        load_rules([tmp_path])
    (tmp_path / "a.yaml").write_text(PLAIN_RULE, encoding="utf-8")
    (tmp_path / "b.yaml").write_text(PLAIN_RULE, encoding="utf-8")
    with pytest.raises(ProblemError, match="RUL604"):
        load_rules([tmp_path])
