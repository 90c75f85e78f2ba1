"""Counting, inheritance, parameters, conditions and relations of profiles, through the loading of a site."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.common.problem import ProblemError
from edge_agent.config.load import load_site
from edge_agent.config.profiles import load_profile
from edge_agent.contract.signs import SIGNS
from edge_agent.model.points import Device, Factor, Step

HEAD = "profile: 1\nmaker: Acme\nmodel: X\ntitle: {zh: 表, en: meter}\nsource: [manual]\nverified: false\nprotocol: modbus\n"
METER = (
    HEAD
    + """
addresses: {first: {holding: 40001, input: 30001}}
parameters:
  - {id: ct, low: 1, high: 100}
  - {id: phases, choices: {"1": {zh: 单相, en: one}, "3": {zh: 三相, en: three}}, default: 3}
  - {id: code, optional: true, when: phases == 3, written_to: {address: 40011}}
groups: [{id: main, period: 5 s}]
setup: [{address: 40100, words: [7], when: phases == 3}]
points:
  - {id: energy, table: holding, address: 40001, type: u32, scale: 0.01, unit: kWh, scale_by: [{of: ct}]}
  - {id: u2, table: input, address: 30003, unit: V, when: phases == 3}
  - {id: level, table: holding, address: 40005, group: main, scale_by: [{of: places, taken: decimals}]}
  - {id: places, table: holding, address: 40004, group: main}
"""
)
CHILD = HEAD + "extends: acme/meter\nwithout: [u2]\npoints: [{id: energy, address: 40021}]\n"


def device(tmp_path: Path, text: str, **profiles: str) -> Device:
    (tmp_path / "p" / "acme").mkdir(parents=True, exist_ok=True)
    for name, body in profiles.items():
        (tmp_path / "p" / "acme" / f"{name}.yaml").write_text(body, encoding="utf-8")
    (tmp_path / "site.yaml").write_text(
        "site: s\ngateway: g\nmqtt: {brokers: [{host: 127.0.0.1}]}\n"
        f"buses: [{{id: b, tcp: {{host: 127.0.0.1}}, devices: [{{id: d, {text}}}]}}]\n",
        encoding="utf-8",
    )
    return load_site(tmp_path / "site.yaml", [tmp_path / "p"], {}).site.buses[0].devices[0]


def test_counting_parameters_conditions_and_set_up(tmp_path: Path) -> None:
    made = device(tmp_path, "profile: acme/meter, parameters: {ct: 20, code: 9}", meter=METER)
    points = {point.id: point for point in made.points}
    assert [(p.id, p.address) for p in made.points] == [("energy", 0), ("u2", 2), ("level", 4), ("places", 3)]
    assert (points["energy"].scale, points["energy"].decimals, points["energy"].scale_by) == (0.2, 1, ())
    assert points["level"].scale_by == (Factor("places", "decimals"),)
    assert points["level"].period_ms == 5000
    assert made.setup == (Step("holding", 99, (7,), 0, 6), Step("holding", 10, (9,), 0, 6))
    single = device(tmp_path, "profile: acme/meter, parameters: {ct: 1, phases: 1}")
    assert ([p.id for p in single.points], single.setup) == (["energy", "level", "places"], ())


def test_a_site_file_counts_as_its_profile_or_as_it_says(tmp_path: Path) -> None:
    said = "profile: acme/meter, parameters: {ct: 1}, points: [{id: energy, address: 40007}]"
    assert device(tmp_path, said, meter=METER).points[0].address == 6
    assert device(tmp_path, "addresses: {first: 1}, points: [{id: p, table: holding, address: 1}]").points[0].address == 0


def test_a_profile_takes_over_from_another(tmp_path: Path) -> None:
    made = device(tmp_path, "profile: acme/child, parameters: {ct: 2}", meter=METER, child=CHILD)
    assert [(p.id, p.address) for p in made.points] == [("energy", 20), ("level", 4), ("places", 3)]
    before = load_profile("acme/child", [tmp_path / "p"]).version
    (tmp_path / "p" / "acme" / "meter.yaml").write_text(METER + "# changed\n", encoding="utf-8")
    assert load_profile("acme/child", [tmp_path / "p"]).version != before


@pytest.mark.parametrize(
    ("text", "profile", "code", "words"),
    [
        ("", METER, "CFG036", "needs the parameter `ct`"),
        ("parameters: {ct: 200}", METER, "CFG036", "it must be at most 100"),
        ("parameters: {ct: 1.5}", METER, "CFG036", "must be a whole number"),
        ("parameters: {ct: 1, phases: 2}", METER, "CFG036", "cannot be 2"),
        ("parameters: {cr: 1, ct: 1}", METER, "CFG036", "no parameter `cr`"),
        ("parameters: {ct: 1, phases: 1, code: 2}", METER, "CFG036", "has no meaning here"),
        ("", METER.replace("40005", "5"), "CFG032", "lies below 40001"),
        ("", METER.replace(", input: 30001", ""), "CFG032", "does not say how the manual counts"),
        (
            "",
            METER.replace("when: phases == 3}\n  - {id: level", "when: phase == 3}\n  - {id: level"),
            "CFG035",
            "no parameter `phase`",
        ),
        ("", METER.replace("of: places", "of: place"), "CFG035", "`place` is neither a point nor a parameter"),
        ("", METER.replace("40004, group: main", "40004"), "CFG039", "is not read in one request"),
        ("parameters: {ct: 1}, points: [{id: places, enabled: false}]", METER, "CFG039", "is not read, and `level` needs it"),
        ("", METER.replace("{of: ct}", "{of: code}"), "CFG039", "may be missing"),
        ("", METER.replace("unit: V", 'unit: V, signs: {"1": overlod}'), "CFG038", "`overlod` is not in the list"),
        ("", HEAD + "extends: acme/meter\n", "CFG037", "in a circle"),
    ],
)
def test_what_is_wrong_is_said_at_its_place(tmp_path: Path, text: str, profile: str, code: str, words: str) -> None:
    with pytest.raises(ProblemError) as caught:
        device(tmp_path, "profile: acme/meter" + (f", {text}" if text else ""), meter=profile)
    assert any(p.code == code and words in p.what and p.do for p in caught.value.problems), caught.value.problems
    assert all(".yaml:" in p.where for p in caught.value.problems)


SAVED = (
    HEAD
    + """
parameters:
  - {id: mode, default: 1, written_to: {address: 5, wait: 2 s}}
  - {id: span, optional: true, whole: false, written_to: {address: 6, scale: 0.1, offset: -40}}
after_parameters: [{address: 99, words: [1], wait: 1 s}, {address: 98, words: [2], when: mode == 2}]
points:
  - {id: serial, table: holding, address: 10, type: text, length: 8, letters: 1}
  - {id: pump, table: coil, address: 1, on: 0, off: 1, write: {}}
  - {id: valve, table: holding, address: 3, kind: bool, on: 0xFF00, write: {}}
  - {id: total, table: holding, address: 4, type: u48, unit: m3, kind: counter}
  - {id: reset, table: coil, address: 50, read: false, write: {}}
"""
)


def test_steps_follow_the_parameters_that_are_given_and_only_those(tmp_path: Path) -> None:
    assert device(tmp_path, "profile: acme/saved", saved=SAVED).setup == ()
    given = device(tmp_path, "profile: acme/saved, parameters: {mode: 1}").setup
    assert given == (Step("holding", 5, (1,), 2000, 6), Step("holding", 99, (1,), 1000, 6))
    both = device(tmp_path, "profile: acme/saved, parameters: {mode: 2, span: 10.5}").setup
    assert [(step.address, step.words) for step in both] == [(5, (2,)), (6, (505,)), (99, (1,)), (98, (2,))]


def test_texts_and_what_means_true(tmp_path: Path) -> None:
    points = {point.id: point for point in device(tmp_path, "profile: acme/saved", saved=SAVED).points}
    assert (points["serial"].kind, points["serial"].span, points["serial"].letters) == ("text", 8, 1)
    assert (points["total"].span, points["total"].kind) == (3, "counter")
    assert "reset" not in points
    writes = {name: point.write for name, point in points.items() if point.write is not None}
    assert {name: (write.on, write.off) for name, write in writes.items()} == {"pump": (0, 1), "valve": (0xFF00, 0)}


@pytest.mark.parametrize(
    ("before", "after", "code", "words"),
    [
        ("length: 8, letters: 1", "letters: 1", "CFG006", "A text needs `length`"),
        ("type: u48", "type: u48, length: 2", "CFG031", "`length` belongs to `type: text`"),
        ("length: 8", "length: 8, unit: V", "CFG031", "neither reckoned nor written"),
        ("length: 8", "length: 8, order: CDAB", "CFG031", "neither reckoned nor written"),
        ("length: 8", "length: 8, kind: code", "CFG031", "belong together"),
        ("type: u48", "type: u48, on: 1", "CFG031", "`on` belongs to a point of kind `bool`"),
        ("on: 0, off: 1", "on: 1, off: 1", "CFG031", "are the same value"),
        ("length: 8, letters: 1", "length: 8, role: pump.current", "CFG024", "is a current; the point is of kind `text`"),
        ("letters: 1", "letters: true", "CFG008", "A number is needed; here stands true."),
        ("profile: 1", "profile: true", "CFG008", "A number is needed; here stands true."),
        ("protocol: modbus", "protocol: modbus\nserial: {stopbits: true}", "CFG008", "A number is needed; here stands true."),
        ("address: 4", "address: true", "CFG008", "`address` must be a whole number"),
        ("read: false, write: {}", "read: false", "CFG033", "must be written"),
        ("read: false", "read: false, role: pump.command", "CFG031", "`role` speaks of reading"),
        ("kind: counter", "kind: counter, group: g, valid_when: reset", "CFG039", "`reset` is not read"),
        ("when: mode == 2", "when: mood == 2", "CFG035", "no parameter `mood`"),
    ],
)
def test_what_does_not_fit_a_text_or_a_truth(tmp_path: Path, before: str, after: str, code: str, words: str) -> None:
    assert SAVED.count(before) == 1
    with pytest.raises(ProblemError) as caught:
        device(tmp_path, "profile: acme/saved", saved=SAVED.replace(before, after))
    assert [(p.code, words in p.what) for p in caught.value.problems] == [(code, True)], caught.value.problems


@pytest.mark.parametrize(
    ("text", "code"),
    [("serial: {port: /dev/ttyUSB0, stopbits: true}", "CFG008"), ("serial: {port: /dev/ttyUSB0, baudrate: true}", "CFG008")],
)
def test_true_is_no_number_in_a_site_file(tmp_path: Path, text: str, code: str) -> None:
    (tmp_path / "site.yaml").write_text(
        "site: s\ngateway: g\nmqtt: {brokers: [{host: 127.0.0.1}]}\ndelivery: {qos: true}\n"
        f"buses: [{{id: b, {text}, devices: [{{id: d, unit: 1, profile: eastron/sdm120}}]}}]\n",
        encoding="utf-8",
    )
    with pytest.raises(ProblemError) as caught:
        load_site(tmp_path / "site.yaml", [], {})
    assert [p.code for p in caught.value.problems] == ["CFG008", code], caught.value.problems


def test_true_is_no_value_of_a_parameter(tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match="must be a number"):
        device(tmp_path, "profile: acme/meter, parameters: {ct: true}", meter=METER)


def test_every_sign_has_words_in_both_languages() -> None:
    assert len(SIGNS) > 50
    assert all(text.zh and text.en for text in SIGNS.values())
