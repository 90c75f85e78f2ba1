"""Register tables as manuals print them, and what becomes of them."""

from __future__ import annotations

import string
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.common.located import Findings
from edge_agent.common.located_model import check
from edge_agent.common.located_yaml import parse_yaml
from edge_agent.common.problem import ProblemError
from edge_agent.config.point_parts import FileType
from edge_agent.config.profile_file import ProfileFile
from edge_agent.config.register_cells import cells_of
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


def test_what_adds_up_may_be_a_counter_which_the_technician_decides() -> None:
    made = profile_text("a/b", rows_of(CHINESE), title_zh="x", title_en="x", source="s")
    of_point = {part.split("\n")[0]: "# kind: counter" in part for part in made.split("  - id: ")[1:]}
    assert of_point == {"instant-flow": False, "total-flow": True, "temperature": False, "a-voltage": False}


def test_a_starter_names_every_type_and_table() -> None:
    text = starter_text("acme/th10", title_zh="x", title_en="x")
    assert set(get_args(FileType)) <= set(text.replace(",", " ").split())


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


def places(text: str, counting: Counting = "auto") -> list[tuple[str, int, str, str]]:
    return [(row.id, row.address, row.type, row.order) for row in rows_of(text, counting)]


def refusals(text: str) -> list[tuple[str, str, str]]:
    """Column, what, the mend."""
    with pytest.raises(ProblemError) as error:
        rows_of(text)
    return [(p.where.split('"')[1] if '"' in p.where else "", p.what, p.do) for p in error.value.problems]


def test_a_head_that_says_hexadecimal_is_believed() -> None:
    for head in ("地址(HEX)", "寄存器地址（十六进制）", "Address (hex)", "address hex"):
        assert places(f"name,{head},type\na,10,u16\nb,1A,u16\n") == [("a", 16, "u16", "ABCD"), ("b", 26, "u16", "ABCD")]
    for head in ("地址(十进制)", "Address (dec)"):
        assert places(f"name,{head}\na,10\n")[0][1] == 10


def test_lines_of_title_stand_before_the_head_and_notes_between_the_rows() -> None:
    text = "XX流量计通讯地址表,,,\n,,,\n序号,名称,地址,类型\n,状态量,,\n1,流量,0,FLOAT\n注:地址均为十进制,,,\n"
    assert places(text) == [("flow", 0, "f32", "ABCD")]
    cells = cells_of(text, "t.csv")
    assert (cells.left_out, cells.unused) == ((4, 6), ())


def test_a_column_that_nothing_is_taken_from_is_told() -> None:
    assert cells_of("序号,名称,地址,精度,长度\n1,流量,0,0.1,2\n", "t.csv").unused == ("精度", "长度")


def test_a_cell_merged_over_the_registers_of_a_value_is_no_row() -> None:
    assert places("名称,地址,类型\n流量,0,FLOAT\n,1,\n温度,2,INT16\n") == [
        ("flow", 0, "f32", "ABCD"),
        ("temperature", 2, "s16", "ABCD"),
    ]
    assert [column for column, _, _ in refusals("名称,地址,类型\n温度,0,INT16\n,1,\n")] == ["name"]


def test_two_numbers_for_one_register_must_agree() -> None:
    assert places("name,address\na,0x0010(40017)\nb,0011H(30018)\n") == [("a", 16, "u16", "ABCD"), ("b", 17, "u16", "ABCD")]
    assert rows_of("name,address\na,0x0010(30017)\n")[0].table == "input"
    assert "names two registers: 16 and 17" in refusals("name,address\na,0x0010(40018)\n")[0][1]
    assert rows_of("name,address\na,0x0011(40017)\n", "1")[0].address == 16


@pytest.mark.parametrize(
    ("cell", "type", "order"),
    [
        ("Float-Inverse", "f32", "CDAB"), ("float32 swapped", "f32", "CDAB"), ("INT32 word swap", "s32", "CDAB"),
        ("Signed Int32 (Big-endian)", "s32", "ABCD"), ("浮点 小端", "f32", "DCBA"), ("UINT32 byte-swap", "u32", "BADC"),
        ("长整型", "s32", "ABCD"), ("无符号长整型", "u32", "ABCD"), ("整型", "s16", "ABCD"), ("long long", "s64", "ABCD"),
        ("unsigned long", "u32", "ABCD"), ("UINT48", "u48", "ABCD"), ("BCD48", "bcd48", "ABCD"),
    ],
)  # fmt: skip
def test_words_beside_a_type_are_not_lost(cell: str, type: str, order: str) -> None:
    assert places(f"name,address,type\na,0,{cell}\n") == [("a", 0, type, order)]


@pytest.mark.parametrize(
    ("cells", "column", "do"),
    [
        ("a,0,UINT16/INT16", "type", "write one of u16"),
        ("a,0,float middle", "type", "write one of u16"),
        ("a,0,STRING", "type", "`type: text` with `length`"),
        ("a,0,char[16]", "type", "`type: text` with `length`"),
        ("a,0,UINT8", "type", "`type: u8`"),
        ("a,5.3,u16", "address", "`type: u16` with `bit: 3`"),
        ("a,4.00E+04,u16", "address", "format the column as text"),
        ("a,001A,u16", "address", "write 0x001A"),
        ("a,1,u16,W", "access", "leave the row out"),
        (",1,u16", "name", "write one"),
    ],
)
def test_each_odd_cell_has_its_mend(cells: str, column: str, do: str) -> None:
    told = refusals(f"name,address,type,r/w\n{cells}\n")
    assert [(where, do in mend) for where, _, mend in told] == [(column, True)], told


@pytest.mark.parametrize(
    ("cell", "scale"), [("除以10", "0.1"), ("放大100倍", "0.01"), ("保留一位小数", "0.1"), ("2位小数", "0.01"), ("扩大10", "0.1")]
)
def test_factors_in_chinese_words(cell: str, scale: str) -> None:
    assert rows_of(f"名称,地址,倍率\n温度,1,{cell}\n")[0].scale == scale


def test_a_readable_register_may_be_writable_too() -> None:
    assert [row.id for row in rows_of("name,address,access\na,1,R/W\nb,2,RO\nc,3,只读\nd,4,\n")] == ["a", "b", "c", "d"]
