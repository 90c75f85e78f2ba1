from __future__ import annotations

import pytest

from edge_agent.common.located import Findings, Located, Mark, merged, with_value
from edge_agent.common.located_yaml import parse_yaml
from edge_agent.common.problem import ProblemError


def test_mappings_merge_key_by_key_and_keep_their_places() -> None:
    tree = merged(parse_yaml("a: {x: 1, y: 2}\nb: 3", "below"), parse_yaml("a: {y: 5}\nc: 6", "above"))
    assert tree.plain() == {"a": {"x": 1, "y": 5}, "b": 3, "c": 6}
    x, y = tree.get("a", "x"), tree.get("a", "y")
    assert x is not None
    assert y is not None
    assert (x.mark.source, y.mark.source) == ("below", "above")


def test_lists_with_ids_merge_item_by_item_and_others_are_replaced() -> None:
    below = parse_yaml("d: [{id: a, v: 1}, {id: b, v: 2}]\nl: [1, 2]", "below")
    above = parse_yaml("d: [{id: c, v: 4}, {id: b, w: 3}]\nl: [9]", "above")
    assert merged(below, above).plain() == {"d": [{"id": "a", "v": 1}, {"id": "b", "v": 2, "w": 3}, {"id": "c", "v": 4}], "l": [9]}


def test_with_value_makes_what_is_missing_and_never_a_gap_in_a_list() -> None:
    tree = parse_yaml("a: [{b: 1}]", "f")
    value = Located(7, Mark("ENV"))
    assert with_value(tree, ("a", 0, "b"), value).plain() == {"a": [{"b": 7}]}
    assert with_value(tree, ("a", 1, "c"), value).plain() == {"a": [{"b": 1}, {"c": 7}]}
    assert with_value(tree, ("x", "y"), value).plain() == {"a": [{"b": 1}], "x": {"y": 7}}
    assert tree.plain() == {"a": [{"b": 1}]}
    with pytest.raises(LookupError):
        with_value(tree, ("a", 2), value)


def test_findings_come_in_the_order_of_the_file_and_once() -> None:
    findings = Findings()
    for line in (9, 2, 9):
        findings.add("CFG006", Mark("f", line, 1), "what", "do", "ctx")
    with pytest.raises(ProblemError) as caught:
        findings.raise_if_any()
    assert [problem.where for problem in caught.value.problems] == ["f:2:1   ctx", "f:9:1   ctx"]
