"""Which profile fits a device that was found."""

from __future__ import annotations

import pytest

from edge_agent.common.located import Findings
from edge_agent.common.located_model import check
from edge_agent.common.located_yaml import parse_yaml
from edge_agent.config.identification import Asked, Seen, fitting, registers_asked
from edge_agent.config.profile_file import ProfileFile

TEXT = """
profile: 1
maker: Acme
model: M
title: {{zh: 仪表, en: instrument}}
source: ["Acme manual, page 1"]
verified: false
protocol: modbus
{more}
points: [{{id: value, table: holding, address: 5, type: u16}}]
"""


def profile(more: str) -> ProfileFile:
    findings = Findings()
    file = check(parse_yaml(TEXT.format(more=more), "made.yaml"), ProfileFile, findings)
    assert file is not None, findings.problems
    return file


NAMED = profile("identify: {registers: [{address: 8, text: PH-7}]}")
CODED = profile("identify: {registers: [{address: 10, value: 0x0100, mask: 0xFF00}, {table: input, address: 0, value: 7}]}")
MAKER = profile("identify: {texts: {vendor: Acme}}")
MODEL = profile("identify: {texts: {vendor: Acme, product: M, revision: V2}}")
FACTORY = profile("serial: {baudrate: 4800, parity: E, unit: 80}")
PLAIN = profile("serial: {baudrate: 9600, unit: 1}")
ALL = {"a/named": NAMED, "a/coded": CODED, "a/maker": MAKER, "a/model": MODEL, "a/factory": FACTORY, "a/plain": PLAIN}
PH_7 = {("holding", 8): 0x5068, ("holding", 9): 0x2D37}


def test_neighbours_are_asked_for_in_one_request() -> None:
    assert registers_asked(ALL) == (Asked("holding", 8, 3), Asked("input", 0, 1))
    assert registers_asked({"a/plain": PLAIN}) == ()


@pytest.mark.parametrize(
    ("seen", "fits"),
    [
        (Seen(1, words=PH_7), [("a/named", "sure")]),
        (Seen(1, words={("holding", 8): 0x5068}), []),
        (Seen(1, words={("holding", 8): 0x5068, ("holding", 9): 0x2D38}), []),
        (Seen(1, words={("holding", 10): 0x01FE, ("input", 0): 7}), [("a/coded", "likely")]),
        (Seen(1, words={("holding", 10): 0x01FE, ("input", 0): 8}), []),
        (Seen(1, words={("holding", 10): 0x01FE, ("holding", 0): 7}), []),
        (Seen(1, {0: "ACME Ltd", 1: "X"}), [("a/maker", "likely")]),
        (Seen(1, {0: "ACME Ltd", 1: "m-12", 2: "v2.1"}), [("a/model", "sure")]),
        (Seen(1, {0: "ACME Ltd", 1: "m-12", 2: "v3"}), [("a/maker", "likely")]),
        (Seen(1, {0: "The Acme"}), []),
        (Seen(80, line="4800 8E1"), [("a/factory", "perhaps")]),
        (Seen(80, line="9600 8N1"), []),
        (Seen(80), []),
        (Seen(1, line="9600 8N1"), []),
        (Seen(80, words=PH_7, line="4800 8E1"), [("a/named", "sure")]),
        (Seen(1, {0: "Acme", 1: "M", 2: "V2"}, PH_7), [("a/model", "sure"), ("a/named", "sure")]),
    ],
)
def test_the_best_fits_are_named(seen: Seen, fits: list[tuple[str, str]]) -> None:
    assert [(fit.profile, fit.confidence) for fit in fitting(ALL, seen)] == fits


def test_why_is_said_in_plain_words() -> None:
    assert fitting(ALL, Seen(1, words=PH_7))[0].why == 'holding 8 says "PH-7"'
    assert fitting(ALL, Seen(1, {0: "Acme", 1: "X"}))[0].why == "it says Acme X"
    assert fitting(ALL, Seen(80, line="4800 8E1"))[0].why == "it comes with address 80 and 4800 8E1"
