"""Pure. The cells of a register table as spreadsheets save them: its head, which column is which, which rows say nothing."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from dataclasses import dataclass

from edge_agent.common.problem import Problem, ProblemError
from edge_agent.config.register_words import COLUMN_OF, Column

_HEAD_WITHIN = 15
"""Lines of title before the head."""
_IS_HEX = re.compile(r"hex|十六进制|16进制")
_NUMBERING = re.compile(r"序号|编号|no\.?|#|index")


@dataclass(frozen=True, slots=True)
class Cells:
    """A table. columns: place of each column that is known; unused: heads of the others."""

    columns: dict[Column, int]
    unused: tuple[str, ...]
    is_hex: bool
    """True where the head of the addresses says so: `地址(HEX)`."""
    rows: list[tuple[int, list[str]]]
    left_out: tuple[int, ...]
    """Lines with one word alone: headings between the rows, notes below them."""


def cells_of(text: str, source: str) -> Cells:
    """The cells, folded to plain characters. Raises ProblemError CFG060 for what is no table."""
    lines = [(number, cells) for number, cells in _lines(text, source) if any(cells)]
    head = next((i for i, (_, cells) in enumerate(lines[:_HEAD_WITHIN]) if not _lacking(_columns(cells))), 0)
    if not lines:
        do = "write a line of column names, then a row per register."
        raise ProblemError(Problem("CFG060", source, "The table has no rows.", do))
    number, heads = lines[head]
    columns = _columns(heads)
    if lacking := _lacking(columns):
        what = f"No line names columns for {' and '.join(lacking)}; the first one says: {', '.join(filter(None, heads))[:200]}."
        do = "write a first line such as `name,address,type,scale,unit` (名称,地址,类型,倍率,单位), and save as CSV (UTF-8)."
        raise ProblemError(Problem("CFG060", f"{source}:{number}", what, do))
    body = lines[head + 1 :]
    single = {line for line, cells in body if sum(map(bool, cells)) == 1 and not _cell(cells, columns["address"])}
    used = set(columns.values())
    return Cells(
        columns,
        tuple(cell for i, cell in enumerate(heads) if cell and i not in used and not _NUMBERING.fullmatch(cell.lower())),
        _IS_HEX.search(heads[columns["address"]].lower()) is not None,
        [(line, cells) for line, cells in body if line not in single],
        tuple(sorted(single)),
    )


def _cell(cells: list[str], place: int) -> str:
    return cells[place] if place < len(cells) else ""


def _lines(text: str, source: str) -> list[tuple[int, list[str]]]:
    folded = unicodedata.normalize("NFKC", text.removeprefix("\ufeff")).replace("\r\n", "\n").replace("\r", "\n")
    first = [line for line in folded.split("\n") if line.strip()][:_HEAD_WITHIN]
    delimiter = max("\t;,", key=lambda mark: max((line.count(mark) for line in first), default=0))
    reader = csv.reader(io.StringIO(folded), delimiter=delimiter, skipinitialspace=True)
    found = []
    try:
        for cells in reader:
            found.append((reader.line_num, [" ".join(cell.split()) for cell in cells]))
    except csv.Error as error:
        where = f"{source}:{reader.line_num}"
        do = "export the table again as CSV (UTF-8)."
        raise ProblemError(Problem("CFG060", where, f"This is no CSV: {error}.", do)) from error
    return found


def _columns(cells: list[str]) -> dict[Column, int]:
    columns: dict[Column, int] = {}
    for i, cell in enumerate(cells):
        bare = re.sub(r"\(.*?\)|hex|dec|十六进制|16进制|十进制|10进制", "", cell.lower())
        column = COLUMN_OF.get(re.sub(r"[\s_.-]+", " ", bare).strip())
        if column is not None:
            columns.setdefault(column, i)
    return columns


def _lacking(columns: dict[Column, int]) -> list[str]:
    names: set[Column] = {"name", "name_zh", "name_en", "id"}
    return [*(["name"] if not names & columns.keys() else []), *(["address"] if "address" not in columns else [])]
