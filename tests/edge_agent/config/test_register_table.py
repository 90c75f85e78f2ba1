"""Register tables as manuals print them, and what becomes of them."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.common.located import Findings
from edge_agent.common.located_model import check
from edge_agent.common.located_yaml import parse_yaml
from edge_agent.common.problem import ProblemError
from edge_agent.config.profile_file import ProfileFile
from edge_agent.config.register_table import Counting, Row, overlaps, profile_text, read_table
from edge_agent.config.register_words import type_of
from edge_agent.config.starter import starter_text


def rows_of(text: str, counting: Counting = "auto") -> list[Row]:
    return read_table(text, "t.csv", counting=counting)


def parsed(text: str) -> ProfileFile:
    findings = Findings()
    file = check(parse_yaml(text, "made.yaml"), ProfileFile, findings)
    assert not findings.problems, findings.problems
    assert file is not None
    return file


CHINESE = """名称,寄存器地址,数据类型,倍率,单位,功能码
瞬时流量,0x0000,FLOAT CDAB,1,m³/h,03
累计流量,0002H,UINT32,0.1,m³,03
水温,4,INT16,/10,℃,03/06
A相电压,5,无符号16位,0.1V,,4
"""


def test_a_chinese_table_becomes_what_it_says() -> None:
    made = [(r.id, r.table, r.address, r.type, r.order, r.scale, r.unit) for r in rows_of(CHINESE)]
    assert made == [
        ("instant-flow", "holding", 0, "f32", "CDAB", "1", "m3/h"),
        ("total-flow", "holding", 2, "u32", "ABCD", "0.1", "m3"),
        ("temperature", "holding", 4, "s16", "ABCD", "0.1", "degC"),
        ("a-voltage", "input", 5, "u16", "ABCD", "0.1", "V"),
    ]


def test_its_profile_is_a_profile_and_keeps_the_chinese_names() -> None:
    text = profile_text("acme/f1", rows_of(CHINESE), title_zh="流量计", title_en="flow meter", source="register table t.csv")
    file = parsed(text)
    assert [point.name.zh for point in file.points if point.name is not None] == ["瞬时流量", "累计流量", "水温", "A相电压"]
    assert (file.verified, file.points[2].scale, file.points[1].decimals) == (False, 0.1, None)


@pytest.mark.parametrize(
    ("cell", "counting", "address"),
    [
        ("16", "auto", 16),
        ("0x0010", "auto", 16),
        ("0010H", "auto", 16),
        ("1Fh", "auto", 31),
        ("16-17", "auto", 16),
        ("0x0010~0x0011", "auto", 16),
        ("17", "1", 16),
        ("0x0011", "1", 16),
        ("40017", "auto", 16),
        ("400017", "auto", 16),
        ("40017", "0", 40017),
        ("4x0017", "auto", 16),
        ("４００１７", "auto", 16),
    ],
)
def test_addresses_in_every_spelling(cell: str, counting: Counting, address: int) -> None:
    assert rows_of(f"name,address\nx,{cell}\n", counting)[0].address == address


def test_numbers_of_the_kind_30001_say_their_table() -> None:
    assert rows_of("name,address\nx,30005\ny,40001\n")[0].table == "input"
    with pytest.raises(ProblemError, match="is a input number"):
        rows_of("name,address,function\nx,30005,3\n", "modicon")


def test_mixed_numbers_are_wire_addresses() -> None:
    assert [row.address for row in rows_of("name,address\nx,40001\ny,12\n")] == [40001, 12]


@pytest.mark.parametrize(
    ("word", "made"),
    [
        ("UINT16", "u16"), ("uint", "u16"), ("WORD", "u16"), ("unsigned int 16", "u16"), ("16位无符号整数", "u16"),
        ("INT16", "s16"), ("short", "s16"), ("signed 16", "s16"), ("有符号16位", "s16"), ("int", "s16"),
        ("UINT32", "u32"), ("DWORD", "u32"), ("u32", "u32"), ("UDINT", "u32"), ("INT32", "s32"), ("DINT", "s32"), ("long", "s32"),
        ("FLOAT", "f32"), ("float32", "f32"), ("REAL", "f32"), ("32位浮点", "f32"),
        ("IEEE754", "f32"), ("单精度", "f32"),
        ("double", "f64"), ("float64", "f64"), ("LREAL", "f64"), ("UINT64", "u64"), ("int64", "s64"),
        ("bcd", "bcd16"), ("BCD32", "bcd32"),
        ("uint8", None), ("string", None), ("", None), ("foo", None), ("bcd64", None),
    ],
)  # fmt: skip
def test_types_in_every_spelling(word: str, made: str | None) -> None:
    found = type_of(word)
    assert (found[0] if found is not None else None) == made


@pytest.mark.parametrize(
    ("cell", "scale"),
    [("", "1"), ("0.1", "0.1"), ("/10", "0.1"), ("÷100", "0.01"), ("1/1000", "0.001"),
        ("x0.1", "0.1"), ("×10", "10"), ("10^-2", "0.01"),
     ('"0,1"', "0.1"), ("1e-3", "0.001"), ("0.01kWh", "0.01")],
)  # fmt: skip
def test_factors_in_every_spelling(cell: str, scale: str) -> None:
    assert rows_of(f"name,address,scale\nx,1,{cell}\n")[0].scale == scale


def test_every_cell_that_is_not_understood_is_told_with_its_row() -> None:
    text = "name,address,type,scale,unit\nx,abc,,,\ny,1,string,,\nz,2,,0,\nw,3,,,furlong\nv,70000,,,\n"
    with pytest.raises(ProblemError) as error:
        rows_of(text)
    told = [(p.code, p.where.split()[0], p.where.split('"')[1]) for p in error.value.problems]
    assert told == [
        ("CFG061", "t.csv:2", "address"),
        ("CFG061", "t.csv:3", "type"),
        ("CFG061", "t.csv:4", "scale"),
        ("CFG061", "t.csv:5", "unit"),
        ("CFG061", "t.csv:6", "address"),
    ]


@pytest.mark.parametrize("text", ["", "\n\n", "name,address\n", "a,b\n1,2\n", "address,unit\n1,V\n", "name,unit\nx,V\n"])
def test_a_table_that_is_none_is_one_problem(text: str) -> None:
    with pytest.raises(ProblemError) as error:
        rows_of(text)
    assert [p.code for p in error.value.problems] == ["CFG060"]


def test_two_rows_of_one_name_get_two_ids() -> None:
    assert [row.id for row in rows_of("name,address\nflow,1\nflow,2\n流量,3\n")] == ["flow", "flow-2", "flow-3"]


def test_rows_that_share_registers_are_told() -> None:
    rows = rows_of("name,address,type\na,0,FLOAT\nb,1,u16\nc,2,u16\n")
    assert [(p.code, p.where) for p in overlaps(rows, "t.csv")] == [("CFG064", "t.csv:3")]


def test_a_starter_is_a_profile() -> None:
    assert parsed(starter_text("acme/th10", title_zh="温湿度: 变送器", title_en='a "thing"')).title.zh == "温湿度: 变送器"


_CELL = st.text(alphabet=string.printable + "流量电压℃³／", max_size=12)


@given(st.lists(st.tuples(_CELL, _CELL, _CELL, _CELL, _CELL), min_size=1, max_size=5))
def test_whatever_a_table_holds_it_gives_a_profile_or_problems(cells: list[tuple[str, ...]]) -> None:
    text = "name;address;type;scale;unit\n" + "\n".join(";".join(c.replace(";", " ") for c in row) for row in cells)
    try:
        rows = rows_of(text)
    except ProblemError:
        return
    file = parsed(profile_text("a/b", rows, title_zh="x", title_en="y", source="z"))
    assert [(p.table, p.address, p.scale) for p in file.points] == [(r.table, r.address, float(r.scale)) for r in rows]
