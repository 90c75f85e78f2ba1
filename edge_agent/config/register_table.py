"""Pure. A printed register table, typed or exported as CSV, becomes a profile (docs/profiles.md, "From a register table").

What is not understood is an error with its row; nothing is guessed that could make a wrong value. Roles are never guessed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from edge_agent.common.located_model import Refused
from edge_agent.common.problem import Problem, ProblemError
from edge_agent.config.quantities import UnitName
from edge_agent.config.register_addresses import Addresses, Unclear, address_of
from edge_agent.config.register_cells import Cells, cells_of
from edge_agent.config.register_words import TABLE_OF, Column, by_hand, chinese, english, order_of, type_of, unit_of
from edge_agent.contract.roles import ROLES
from edge_agent.contract.units import UNITS
from edge_agent.model.points import REGISTERS_OF, RawType, Table, WordOrder

Counting = Literal["0", "1", "modicon", "auto"]
"""What addresses mean: wire addresses, register numbers from 1, numbers such as 40001; auto: those if all look so, else 0."""

_MOST_ROWS = 2000
_ADDS_UP = ("energy", "reactive energy", "volume")
_unit = TypeAdapter(UnitName)
_CODE_CELL = re.compile(r"(?:0x)?0?([1-4])h?(?:\s*[/,].*)?")
_FIGURES = {"一": "1", "二": "2", "两": "2", "三": "3", "四": "4"}
_NAMES: tuple[Column, ...] = ("name", "name_zh", "name_en", "id")
_WRITE_ONLY = re.compile(r"w|wo|write only|write|只写|写")
_SCALE = re.compile(
    r"(?P<over>1/|/|÷)?(?P<times>[x*×])?(?P<number>\d+(?:\.\d+)?(?:e-?\d+)?)(?P<power>\^-?\d+)?\s*(?P<unit>[^\d\s].*)?"
)


@dataclass(frozen=True, slots=True)
class Row:
    """One register of the table."""

    line: int
    id: str
    zh: str
    en: str
    table: Table
    address: int
    """Wire address, counts from 0."""
    type: RawType
    order: WordOrder
    scale: str
    """A decimal as a person would write it."""
    offset: str
    unit: str


def read_table(
    text: str, source: str, *, counting: Counting = "auto", table: Table = "holding", order: WordOrder = "ABCD"
) -> list[Row]:
    """The registers of a table. Parted by commas, semicolons or tabs; its first line names the columns, in any order.

    source: the file's name, for messages. table, order: of rows that do not say their own. Raises ProblemError: CFG060 a table
    that cannot be read at all, CFG061 for each cell that is not understood.
    """
    return rows_of(cells_of(text, source), source, counting=counting, table=table, order=order)


def rows_of(
    cells: Cells, source: str, *, counting: Counting = "auto", table: Table = "holding", order: WordOrder = "ABCD"
) -> list[Row]:
    """The registers of a table's cells; as `read_table`."""
    columns, body = cells.columns, cells.rows
    if not body:
        raise ProblemError(
            Problem("CFG060", source, "The table has no rows.", "write a line of column names, then a row per register.")
        )
    if len(body) > _MOST_ROWS:
        what = f"The table has {len(body)} rows; a profile has at most {_MOST_ROWS} points."
        raise ProblemError(Problem("CFG060", source, what, "leave out what nobody needs."))
    is_modicon = counting == "modicon" or (counting == "auto" and not cells.is_hex and _all_modicon(body, columns))
    read = Addresses(is_modicon, cells.is_hex, 1 if counting == "1" else 0)
    rows: list[Row] = []
    problems: list[Problem] = []
    taken: set[str] = set()
    for line, said in body:
        at = {column: said[i] if i < len(said) else "" for column, i in columns.items()}
        try:
            if rows and _continues(at, rows[-1], read):
                continue
            row = _row(line, at, read, table=table, order=order, taken=taken)
        except Unclear as unclear:
            problems.append(Problem("CFG061", f'{source}:{line}   column "{unclear.column}"', unclear.what, unclear.do))
        else:
            taken.add(row.id)
            rows.append(row)
    if problems:
        raise ProblemError(problems)
    return rows


def overlaps(rows: Sequence[Row], source: str) -> list[Problem]:
    """CFG064 for each row that shares registers with one before it: mostly a wrong type, or a range that counts differently."""
    problems: list[Problem] = []
    seen: dict[tuple[Table, int], Row] = {}
    for row in rows:
        cells = [(row.table, row.address + i) for i in range(REGISTERS_OF[row.type])]
        other = next((seen[cell] for cell in cells if cell in seen), None)
        if other is not None:
            what = f"`{row.id}` ({row.type} at {row.address}) shares registers with `{other.id}` ({other.type} at {other.address})."
            do = "compare type and address of both rows with the manual; several bits of one register are fine."
            problems.append(Problem("CFG064", f"{source}:{row.line}", what, do))
        seen.update((cell, row) for cell in cells)
    return problems


def _all_modicon(body: Sequence[tuple[int, list[str]]], columns: dict[Column, int]) -> bool:
    """True if every address is five or six digits that begin with 3 or 4: no device has registers up there alone."""
    texts = [cells[columns["address"]] for _, cells in body if columns["address"] < len(cells)]
    return bool(texts) and all(re.match(r"[34]\d{4,5}(?!\d)", text) for text in texts)


def _continues(at: dict[Column, str], before: Row, read: Addresses) -> bool:
    """True for the row of a cell that was merged over the registers of one value: an address and nothing else."""
    if any(text for column, text in at.items() if column != "address"):
        return False
    address, _ = address_of(at["address"], read)
    return before.address < address < before.address + REGISTERS_OF[before.type]


def _row(line: int, at: dict[Column, str], read: Addresses, *, table: Table, order: WordOrder, taken: set[str]) -> Row:
    if not any(at.get(column, "") for column in _NAMES):
        what = "The row has no name."
        raise Unclear("name", what, "write one; where it goes on with the value above, correct the type of that one.")
    if _WRITE_ONLY.fullmatch(at.get("access", "").lower()):
        raise Unclear("access", f"`{at['access']}`: what is only written cannot be read.", "leave the row out.")
    said = _table(at.get("table", ""))
    address, of_address = address_of(at["address"], read)
    if said is not None and of_address is not None and said != of_address:
        raise Unclear("address", f"`{at['address']}` is a {of_address} number, the row says {said}.", "mend one of them.")
    table = said or of_address or table
    raw_type, own_order = _type(at.get("type", ""), table)
    scale, unit_of_scale = _scale(at.get("scale", ""))
    unit = _unit_name(at.get("unit", "") or unit_of_scale)
    if address + REGISTERS_OF[raw_type] > 0x10000:
        raise Unclear("address", f"`{at['address']}` lies beyond the last address 65535.", "mend the address.")
    zh, en = _names(at)
    return Row(
        line=line,
        id=_id(at.get("id", "") or en, table, address, taken),
        zh=zh or chinese(en) or en or f"{table} {address}",
        en=en or f"{table} {address}",
        table=table,
        address=address,
        type=raw_type,
        order=_order(at.get("order", "")) or own_order or order,
        scale=scale,
        offset=_number(at.get("offset", ""), "offset", "0"),
        unit=unit,
    )


def _table(cell: str) -> Table | None:
    if not cell:
        return None
    word = cell.lower()
    if match := _CODE_CELL.fullmatch(word):
        return TABLE_OF[match[1]]
    found = TABLE_OF.get(word) or TABLE_OF.get(word.removesuffix("s").removesuffix(" register"))
    if found is None:
        do = "write the function that reads it: 3 holding, 4 input, 1 coil, 2 discrete; leave out what is only written."
        raise Unclear("table", f"`{cell}` is no function or table that can be read.", do)
    return found


def _type(cell: str, table: Table) -> tuple[RawType, WordOrder | None]:
    is_bits = table in ("coil", "discrete")
    if not cell:
        return ("bool", None) if is_bits else ("u16", None)
    found = type_of(cell)
    if found is None:
        do = by_hand(cell) or (
            "write one of u16, s16, u32, s32, u48, u64, s64, f32, f64, bcd16, bcd32, bool (UINT16, FLOAT ... are understood too)."
        )
        raise Unclear("type", f"`{cell}` is no data type known here.", do)
    if (found[0] == "bool") != is_bits:
        do = "write function 1 or 2 for it, or take it in by hand with `bit:`." if not is_bits else "write `bool`."
        raise Unclear("type", f"`{cell}` does not fit the table {table}.", do)
    return found


def _order(cell: str) -> WordOrder | None:
    if not cell:
        return None
    found = order_of(cell)
    if found is None:
        raise Unclear(
            "order", f"`{cell}` is no order of bytes.", "write ABCD (high word first), CDAB (low word first), BADC or DCBA."
        )
    return found


def _scale(cell: str) -> tuple[str, str]:
    """The factor as a decimal, and the unit where one is written behind it: `0.1`, `/10`, `1/10`, `x0.1`, `10^-1`, `0.1V`."""
    word = cell.lower().replace(" ", "")
    if not word or word in ("-", "--"):
        return "1", ""
    if re.fullmatch(r"\d+,\d+", word):
        word = word.replace(",", ".")
    word = _in_figures(word)
    match = _SCALE.fullmatch(word)
    if match is None:
        raise Unclear("scale", f"`{cell}` is no factor.", "write 0.1 for a raw value of 2257 that means 225.7.")
    number = float(match["number"])
    if match["power"]:
        number **= int(match["power"][1:])
    if match["over"]:
        number = 1 / number if number else 0.0
    if not number:
        raise Unclear("scale", f"`{cell}` would make every value 0.", "write the factor, e.g. 0.1.")
    return _decimal(number), cell[-len(match["unit"]) :] if match["unit"] else ""


def _in_figures(word: str) -> str:
    """Factors in words: `除以10`, `放大10倍` (the register holds ten times as much), `1位小数`."""
    if match := re.fullmatch(r"(?:除以|放大|扩大|×?放大了?)(\d+)倍?", word):
        return f"/{match[1]}"
    if match := re.fullmatch(r"(?:保留|有)?([0-6一二两三四])位小数", word):
        return f"10^-{_FIGURES.get(match[1], match[1])}"
    return word


def _number(cell: str, column: str, default: str) -> str:
    if not cell or cell in ("-", "--"):
        return default
    try:
        return _decimal(float(cell.replace(",", ".")))
    except ValueError:
        raise Unclear(column, f"`{cell}` is no number.", "write it with digits, e.g. -40.") from None


def _decimal(number: float) -> str:
    """Short, without exponent."""
    text = f"{number:.12f}".rstrip("0").rstrip(".")
    return text if float(text or 0) else repr(number)


def _unit_name(cell: str) -> str:
    try:
        return _unit.validate_python(unit_of(cell))
    except ValidationError as error:
        refused = error.errors()[0].get("ctx", {}).get("error")
        do = refused.do if isinstance(refused, Refused) else "leave it out for a pure number."
        raise Unclear("unit", f"The unit `{cell}` is not in the list of units.", do) from None


def _names(at: dict[Column, str]) -> tuple[str, str]:
    zh, en, name = at.get("name_zh", ""), at.get("name_en", ""), at.get("name", "")
    if _has_chinese(name):
        zh = zh or name
    else:
        en = en or name
    if not _has_chinese(zh) and _has_chinese(note := at.get("note", "")):
        zh = note.split(",")[0].split(";")[0]
    return zh[:120], (en or english(zh) or at.get("id", ""))[:120]


def _has_chinese(text: str) -> bool:
    return any("\u4e00" <= c <= "\u9fff" for c in text)


def _id(text: str, table: Table, address: int, taken: set[str]) -> str:
    """Small letters, digits and hyphens; where nothing is left of the name, table and address. A second one of a name gets -2."""
    bare = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:28].strip("-") or f"{table}-{address}"
    made, number = bare, 1
    while made in taken:
        number += 1
        made = f"{bare}-{number}"
    return made


def profile_text(name: str, rows: Sequence[Row], *, title_zh: str, title_en: str, source: str) -> str:
    """The profile file of a table. name: `maker/model`."""
    maker, _, model = name.partition("/")
    lines = [
        f"# {title_en}. Made from a register table by `edge-agent profile import`.",
        "# Before it is used: put two values beside the display of the instrument, write what is normal as `limits`, and give",
        "# every point that has one its `role` - warnings come from roles (docs/profiles.md, docs/warnings.md).",
        "profile: 1",
        f"maker: {quoted(maker)}",
        f"model: {quoted(model)}",
        f"title: {{zh: {quoted(title_zh)}, en: {quoted(title_en)}}}",
        f"source: [{quoted(source)}]",
        "verified: false",
        "protocol: modbus",
        "period: 10 s",
        "points:",
    ]
    for row in rows:
        lines += _point_lines(row)
    return "\n".join(lines) + "\n"


def _point_lines(row: Row) -> list[str]:
    lines = [
        f"  - id: {quoted(row.id)}",
        f"    name: {{zh: {quoted(row.zh)}, en: {quoted(row.en)}}}"
        + ("" if _has_chinese(row.zh) else "  # write the Chinese name"),
        f"    table: {row.table}",
        f"    address: {row.address}  # {row.address:#06x}",
    ]
    if row.type != "bool":
        lines.append(f"    type: {row.type}")
    if row.order != "ABCD" and REGISTERS_OF[row.type] > 1:
        lines.append(f"    order: {row.order}")
    if row.scale != "1":
        lines.append(f"    scale: {row.scale}")
    if row.offset != "0":
        lines.append(f"    offset: {row.offset}")
    if row.unit:
        lines.append(f"    unit: {quoted(row.unit)}")
    if _dimension(row) in _ADDS_UP:
        lines.append("    # kind: counter                 # if it only grows")
    fitting = [role.name for role in ROLES.values() if role.dimension == _dimension(row)]
    if fitting:
        more = "" if len(fitting) <= 6 else f" ... {len(fitting)} fit"
        lines.append(f"    # role: {', '.join(fitting[:6])}{more}")
    return lines


def _dimension(row: Row) -> str:
    return "state" if row.type == "bool" else UNITS[row.unit].dimension if row.unit else ""


def quoted(text: str) -> str:
    """As YAML: plain where that is safe, else in double quotes."""
    if re.fullmatch(r"[A-Za-z\u4e00-\u9fff][A-Za-z0-9\u4e00-\u9fff /_-]*", text) and text.lower() not in (
        "on",
        "off",
        "yes",
        "no",
        "true",
        "false",
        "null",
    ):
        return text.strip()
    return json.dumps(text, ensure_ascii=False)
