from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.common.located import Mark
from edge_agent.common.located_yaml import MAX_BYTES, LeadingZeroError, load_yaml, parse_yaml, scalar_of
from edge_agent.common.problem import ProblemError


def codes(text: str) -> list[str]:
    with pytest.raises(ProblemError) as caught:
        parse_yaml(text, "x.yaml")
    return [problem.code for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"), ("no", "no"), ("yes", "yes"), ("Off", "Off"), ("y", "y"), ("12:30:45", "12:30:45"), ("1_000", "1_000"),
        ("0b11", "0b11"), ("2026-01-02", "2026-01-02"), ("=", "="), ("1e3", 1000.0), ("1E-3", 0.001), (".5", 0.5),
        ("5.", 5.0), ("-17", -17), ("+3", 3), ("0", 0), ("-0", 0), ("0.25", 0.25), ("0x1F", 31), ("0o17", 15),
        ("0X1F", "0X1F"), ("true", True), ("FALSE", False), ("tRue", "tRue"), ("~", None), ("null", None), ("", None),
        ("nULL", "nULL"), ("１２", 12), ("－１．５", -1.5), ("5 s", "5 s"), ("1" * 41, "1" * 41), ("-.inf", -math.inf),
        (".Inf", math.inf), ("e3", "e3"), (".", "."), ("-", "-"),
    ],
)  # fmt: skip
def test_plain_scalars_follow_the_core_schema_of_yaml_1_2(text: str, value: object) -> None:
    found = scalar_of(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ["012", "-01", "00", "0502", "01.5", "+007e2", "０１２"])
def test_a_leading_zero_is_refused(text: str) -> None:
    with pytest.raises(LeadingZeroError):
        scalar_of(text)


def test_nan_is_a_number() -> None:
    found = scalar_of(".nan")
    assert isinstance(found, float)
    assert math.isnan(found)


def test_quotes_and_the_str_tag_make_texts() -> None:
    assert parse_yaml("""a: "012"\nb: '5'\nc: !!str 7\nd: ! 8\ne: |\n  9\n""", "x").plain() == {
        "a": "012",
        "b": "5",
        "c": "7",
        "d": "8",
        "e": "9\n",
    }


def test_keys_are_texts() -> None:
    assert parse_yaml("on: 1\n3: 2\n0x10: 3\n", "x").plain() == {"on": 1, "3": 2, "0x10": 3}


def test_every_value_and_key_knows_its_place() -> None:
    tree = parse_yaml("a:\n  - x\n  - {b: 1}\n", "f.yaml")
    at = tree.get("a", 1, "b")
    assert at is not None
    assert at.mark == Mark("f.yaml", 3, 9)
    item = tree.get("a", 1)
    assert item is not None
    assert item.keys["b"] == Mark("f.yaml", 3, 6)
    assert str(tree.keys["a"]) == "f.yaml:1:1"


def test_all_errors_come_at_once() -> None:
    assert codes("a: 012\na: 1\nb: !!python/object:os.system x\n? [k]\n: v\n<<: c\nd: *none\n") == [
        "CFG003", "CFG004", "CFG010", "CFG010", "CFG010", "CFG002",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["a: [", "a: b: c", "\ta: 1", "a: 'x", "%YAML 9", "a: \x01", "- a\nb: 1", "a: 1\n---\nb: 2"])
def test_what_is_not_yaml_is_said_with_its_place(text: str) -> None:
    assert set(codes(text)) == {"CFG002"}


@pytest.mark.parametrize("text", ["[" * 100_000, "- " * 60 + "x", "{a: " * 51 + "1" + "}" * 51])
def test_depth_is_bounded(text: str) -> None:
    assert codes(text) == ["CFG005"]


def test_aliases_share_a_value_and_are_bounded() -> None:
    assert parse_yaml("a: &x {k: 1}\nb: *x\n", "x").plain() == {"a": {"k": 1}, "b": {"k": 1}}
    assert parse_yaml("a: &x 1\nb: [" + "*x, " * 100 + "]", "x").get("b", 99)
    assert codes("a: &x 1\nb: [" + "*x, " * 101 + "]") == ["CFG005"]


def test_aliases_of_aliases_cannot_grow_without_bound() -> None:
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 9))
    assert codes("l0: &l0 [0, 0, 0, 0, 0, 0, 0, 0, 0]\n" + levels) == ["CFG005"]


def test_an_alias_within_its_own_anchor_is_refused() -> None:
    assert codes("a: &x [*x]") == ["CFG002"]


def test_files_are_bounded_and_must_be_utf8(tmp_path: Path) -> None:
    def code(content: bytes) -> str:
        (tmp_path / "f.yaml").write_bytes(content)
        with pytest.raises(ProblemError) as caught:
            load_yaml(tmp_path / "f.yaml")
        return caught.value.problems[0].code

    assert code(b"#" * (MAX_BYTES + 1)) == "CFG005"
    assert code(b"a: \xff\xfe\n") == "CFG002"
    (tmp_path / "f.yaml").write_bytes("﻿a: 大湾\n".encode())
    assert load_yaml(tmp_path / "f.yaml").plain() == {"a": "大湾"}


def test_a_missing_file_and_a_folder_are_problems(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(ProblemError) as caught:
            load_yaml(path)
        assert caught.value.problems[0].code == "CFG001"


@given(st.text(max_size=60))
def test_any_text_gives_a_tree_or_problems(text: str) -> None:
    try:
        tree = parse_yaml(text, "x")
    except ProblemError:
        return
    assert isinstance(tree.plain(), dict | list | str | int | float | None)


WORDS = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S", "Zs")) | st.sampled_from("水厂℃μ１"), max_size=8)
NUMBERS = st.integers(-(2**63), 2**63)


@given(st.recursive(st.none() | st.booleans() | NUMBERS | WORDS, lambda inner: st.lists(inner, max_size=3)))
def test_json_reads_as_itself(value: object) -> None:
    assert parse_yaml(json.dumps({"v": value}, ensure_ascii=False), "x").plain() == {"v": value}
