"""The JSON Schemas: current; they accept files that are right, refuse planted mistakes, and nothing the program accepts."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edge_agent.cli.main import build_app
from edge_agent.common.folders import data_folders
from edge_agent.common.located_yaml import load_yaml, parse_yaml
from edge_agent.common.program import run
from edge_agent.config.profile_file import ProfileFile
from edge_agent.config.profiles import profile_paths
from edge_agent.config.site_file import SiteFile
from edge_agent.config.starter import starter_text
from tests.support.json_schema import judges, refusal
from tools.schemas import SCHEMAS, texts

ROOT = Path(__file__).parents[3]
PATHS = profile_paths(data_folders("device_profiles"))
PROFILE = json.loads((SCHEMAS / "profile.schema.json").read_text(encoding="utf-8"))
SITE = json.loads((SCHEMAS / "site.schema.json").read_text(encoding="utf-8"))
SITES = [ROOT / "examples" / "site.yaml", *sorted((ROOT / "examples" / "demo" / "sites").glob("*.yaml"))]


def plain(path: Path) -> Any:
    return load_yaml(path).plain()


def test_the_committed_schemas_are_current() -> None:
    assert {path: path.read_text(encoding="utf-8") for path in texts()} == texts(), "run `python -m tools.schemas`"


@pytest.mark.parametrize("name", PATHS)
def test_every_shipped_profile_is_right(name: str) -> None:
    for judge in judges():
        assert judge(plain(PATHS[name]), PROFILE) == ""


@pytest.mark.parametrize("path", SITES, ids=lambda path: path.stem)
def test_every_site_of_the_examples_is_right(path: Path) -> None:
    for judge in judges():
        assert judge(plain(path), SITE) == ""


def test_the_profile_that_new_writes_is_right() -> None:
    assert refusal(parse_yaml(starter_text("acme/x", title_zh="一", title_en="one"), "new").plain(), PROFILE) == ""


MISTAKES = [
    ("period: 10 s", "period: 10"),
    ("period: 10 s", "period: 10 sec"),
    ("protocol: modbus", "protocol: mbus"),
    ("verified: false", "verified: maybe"),
    ("verified: false\n", ""),
    ("table: input", "table: inputs"),
    ("address: 1\n", "address: -1\n"),
    ("address: 1\n", 'address: "1"\n'),
    ("    address: 1\n", ""),
    ("type: s16", "type: int16"),
    ("scale: 0.1", "scale: a tenth"),
    ("unit: degC", "unit: celsius"),
    ("role: room.temperature", "role: room.temprature"),
    ("scale: 0.1", "scael: 0.1"),
    ("range_low: -40", "lowest: -40"),
    ("- id: temperature", "- id: Room Temperature"),
    ("scale: 0.1", "bit: 64"),
    ("scale: 0.1", "sentinels: 32767"),
    ("scale: 0.1", 'signs: {"3": overlaod}'),
    ("scale: 0.1", "write: {function: 3}"),
    ("{zh: 室温, en: room temperature}", "{en: room temperature}"),
    ("period: 10 s", "trigger: [{address: 1, words: [70000]}]"),
    ("period: 10 s", "parameters: [{name: {zh: 一, en: one}}]"),
    ("period: 10 s", "wake: {steps: [{address: 1, read: 1}]}"),
]
RIGHT = (ROOT / "docs" / "profiles.md").read_text(encoding="utf-8").partition("```yaml\n")[2].partition("```")[0]


@pytest.mark.parametrize(("right", "wrong"), MISTAKES)
def test_a_planted_mistake_is_refused(right: str, wrong: str) -> None:
    assert RIGHT.count(right) == 1
    for judge in judges():
        assert judge(parse_yaml(RIGHT, "docs").plain(), PROFILE) == ""
        assert judge(parse_yaml(RIGHT.replace(right, wrong), "docs").plain(), PROFILE) != ""


def test_a_profile_that_extends_another_gives_only_what_differs() -> None:
    child = {
        "profile": 1, "extends": "acme/th10", "maker": "Acme", "model": "TH11", "title": {"zh": "一", "en": "one"}, "source": ["x"],
        "verified": False, "points": [{"id": "temperature", "scale": 0.01}],
    }  # fmt: skip
    for judge in judges():
        assert judge(child, PROFILE) == ""
        assert judge({key: value for key, value in child.items() if key != "extends"}, PROFILE) != ""


def test_an_entry_of_a_site_file_lays_over_one_of_its_profile() -> None:
    site = plain(SITES[0])
    device = site["buses"][0]["devices"][0]
    device["points"] = [{"id": "flow", "role": "well.level", "limits": {"low": 1.5}}]
    for judge in judges():
        assert judge(site, SITE) == ""
    device["points"] = [{"id": "flow", "rolle": "well.level"}]
    for judge in judges():
        assert judge(site, SITE) != ""


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    for key, child in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(child, (*path, key))


ODD: list[Any] = [
    None, 0, 1, -1, 3, 40001, 70000, 1.5, 1e9, "", "x", "5 s", "１０ s", " 5 min ", "m3/h", "℃", "kWh", "degC", "pump.running",
    "Ａb", [], {},
    [1], ["x"], {"zh": "一", "en": "one"}, {"of": "x"}, [{"of": "x"}], {"x": 1}, "ct > 1", "u16", "holding", "3.1.1", 5,
    {"first": 40001},
]  # fmt: skip


@pytest.mark.parametrize(("model", "schema", "paths"), [(ProfileFile, PROFILE, list(PATHS.values())), (SiteFile, SITE, SITES)])
def test_what_the_program_accepts_no_editor_marks(model: Any, schema: Any, paths: list[Path]) -> None:
    chance = random.Random(5)
    accepted = refused = 0
    for _ in range(1200):
        file = plain(chance.choice(paths))
        *above, last = chance.choice(
            [path for path in places(file) if path and (model is ProfileFile or "points" not in path[:-1])]
        )
        node = file
        for key in above:
            node = node[key]
        if isinstance(node, dict) and chance.random() < 0.3:
            del node[last]
        else:
            node[last] = chance.choice(ODD)
        try:
            model.model_validate(file)
        except ValidationError:
            refused += 1
            continue
        accepted += 1
        assert refusal(file, schema) == "", (above, last)
    assert accepted > 100
    assert refused > 100


@pytest.mark.parametrize(("command", "schema"), [("profile", PROFILE), ("config", SITE)])
def test_the_command_prints_it(command: str, schema: Any, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(build_app(), [command, "schema"]) == 0
    assert json.loads(capfd.readouterr().out) == schema


def test_new_puts_the_schema_where_its_comment_says(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(build_app(), ["profile", "new", "acme/x1", "--to", str(tmp_path)]) == 0
    made = tmp_path / "acme" / "x1.yaml"
    comment = made.read_text(encoding="utf-8").splitlines()[0]
    assert comment.startswith("# yaml-language-server: $schema=")
    beside = made.parent / comment.partition("$schema=")[2]
    assert json.loads(beside.read_text(encoding="utf-8")) == PROFILE
    beside.write_text("{}", encoding="utf-8")  # that of another release is replaced
    assert run(build_app(), ["profile", "new", "acme/x2", "--to", str(tmp_path)]) == 0
    assert json.loads(beside.read_text(encoding="utf-8")) == PROFILE
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["profile.schema.json"]
