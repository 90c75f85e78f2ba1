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


def test_every_sign_has_words_in_both_languages() -> None:
    assert len(SIGNS) > 50
    assert all(text.zh and text.en for text in SIGNS.values())
