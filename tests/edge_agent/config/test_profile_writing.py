"""What a profile may make writable, and what it resolves to."""

from __future__ import annotations

import pytest

from edge_agent.common.located import Findings
from edge_agent.common.located_model import check
from edge_agent.common.located_yaml import parse_yaml
from edge_agent.config.device_parts import StepFile
from edge_agent.config.profile_file import PointFile
from edge_agent.config.writing_check import resolved_write
from edge_agent.model.points import Write


def written(text: str) -> Write | None:
    findings = Findings()
    made = check(parse_yaml("{id: p, " + text + "}", "p.yaml"), PointFile, findings)
    findings.raise_if_any()
    assert made is not None
    return resolved_write(made)


def refused(text: str, model: type[PointFile | StepFile] = PointFile) -> str:
    findings = Findings()
    check(parse_yaml("{" + text + "}", "p.yaml"), model, findings)
    assert findings
    problem = findings.problems[0]
    return f"{problem.code} {problem.what} Do: {problem.do}"


@pytest.mark.parametrize(
    ("text", "write"),
    [
        ("table: holding, address: 1", None),
        ("table: holding, address: 1, write: {low: 0, high: 5}", Write("holding", 1, "u16", low=0, high=5)),
        (
            "table: input, address: 1, type: f32, order: CDAB, write: {address: 0x20}, limits: {range_low: 0, range_high: 9}",
            Write("holding", 32, "f32", "CDAB", 16, 0, 9),
        ),
        ("table: coil, address: 1, write: {}", Write("coil", 1, "bool", function=5)),
        ("table: discrete, address: 1, write: {address: 2, function: 15}", Write("coil", 2, "bool", function=15)),
        ("table: holding, address: 1, bit: 3, write: {}", Write("holding", 1, "u16", function=22)),
        ("table: holding, address: 1, bit: 3, write: {table: coil, address: 9}", Write("coil", 9, "bool", function=5)),
        (
            "table: holding, address: 1, bit: 3, write: {address: 9, on: 0xFF00, off: 256}",
            Write("holding", 9, "u16", function=6, on=0xFF00, off=256),
        ),
        (
            'table: holding, address: 1, kind: code, texts: {"1": {zh: 开, en: on}}, write: {}',
            Write("holding", 1, "u16", codes=(1,)),
        ),
        ("table: holding, address: 1, kind: code, write: {codes: [4, 5]}", Write("holding", 1, "u16", codes=(4, 5))),
        ("table: holding, address: 1, write: {function: 16, low: 0, high: 5}", Write("holding", 1, "u16", "ABCD", 16, 0, 5)),
    ],
)
def test_what_a_point_resolves_to(text: str, write: Write | None) -> None:
    assert written(text) == write


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("table: holding, address: 1, write: {low: 0}", "CFG033 A writable number needs bounds; `high` is missing."),
        ("table: holding, address: 1, write: {low: 6, high: 5}", "CFG019 `low` (6) is above `high` (5)."),
        ("table: input, address: 1, write: {low: 0, high: 5}", "CFG033 The table `input` cannot be written."),
        ("table: holding, address: 1, kind: code, write: {}", "CFG033 What may be written is not said."),
        (
            "table: holding, address: 1, bit: 3, write: {function: 6}",
            "CFG033 Function 6 would overwrite the other bits of the register. Do: write `function: 22`",
        ),
        ("table: holding, address: 1, write: {function: 22, low: 0, high: 5}", "CFG033 Function 22 writes some bits"),
        (
            "table: holding, address: 1, type: u32, write: {function: 6, low: 0, high: 5}",
            "CFG033 Function 6 does not write a `u32`",
        ),
        ("table: coil, address: 1, write: {function: 6}", "CFG033 Function 6 does not write a `bool` of table `coil`."),
        ("table: holding, address: 1, latched: true, group: g", "CFG031 A latched point is read by a request of its own"),
        ("table: holding, address: 1, type: u8, mask: 3", "CFG031 `u8` is a part of a register; `mask` asks for another."),
        ("table: holding, address: 1, half: high", "CFG031 `half` belongs to the types u8, s8 and bcd8."),
        ("table: holding, address: 1, type: f16, bit: 1", "CFG031 `bit` reaches outside a value of type `f16`."),
        ("table: holding, address: 1, type: s16, negative_from: 5", "CFG031 `negative_from` belongs to unsigned types"),
        ("table: holding, address: 1, bit: 1, scale_by: [{of: x}]", "CFG031 A point of kind `bool` is not scaled."),
        ("table: holding, address: 1, scale_by: [{of: x, factors: {a: 1}}]", "CFG009 `a` is no code."),
        ('table: holding, address: 1, scale_by: [{of: x, taken: decimals, factors: {"1": 1}}]', "CFG031 `factors` and `taken`"),
        ("table: holding, address: 1, when: a = 2", "CFG034 `= 2` cannot stand in a condition. Do: write `==`."),
    ],
)
def test_what_a_point_may_not_say(text: str, words: str) -> None:
    assert refused("id: p, " + text).startswith(words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("address: 1", "CFG031 A step either writes `words` or asks for `read` registers."),
        ("address: 1, words: [1], read: 1", "CFG031 A step either"),
        ("address: 1, read: 0, function: 6", "CFG031 `function` belongs to a step that writes."),
        ("address: 1, words: [1, 2], function: 6", "CFG031 Function 6 does not write 2 words of table `holding`. Do: write 16"),
        ("address: 1, words: [1], table: input", "CFG031 `input` cannot be written."),
        ("address: 1, words: [2], table: coil", "CFG009 A coil is 0 or 1."),
        ("address: 1, words: [65536]", "CFG009 The value is 65536; it must be at most 65535."),
    ],
)
def test_what_a_step_may_not_say(text: str, words: str) -> None:
    assert refused(text, StepFile).startswith(words)
