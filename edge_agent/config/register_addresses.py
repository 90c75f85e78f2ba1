"""Pure. Register addresses as printed tables write them: decimal, hexadecimal, of the kind 40001, two for one register."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edge_agent.config.register_words import TABLE_OF
from edge_agent.model.points import Table

_HEX = re.compile(r"(?:0x([0-9a-f]{1,4})|([0-9a-f]{1,5})h)")
_X_STYLE = re.compile(r"([134])x[ :_-]?(\d{1,5})")
_BOTH = re.compile(r"([0-9a-fx]+h?)\s*\(([0134]\d{4,5})\)")


class Unclear(Exception):
    """A cell that is not understood: column, what, the mend."""

    def __init__(self, column: str, what: str, do: str) -> None:
        super().__init__(what)
        self.column, self.what, self.do = column, what, do


@dataclass(frozen=True, slots=True)
class Addresses:
    """How the addresses of a table are to be read."""

    is_modicon: bool
    is_hex: bool
    first: int


def address_of(cell: str, read: Addresses) -> tuple[int, Table | None]:
    """Wire address, and the table where the number itself says it. Of a range the first counts."""
    if match := _BOTH.fullmatch(cell.lower()):
        return _agreeing(match[1], match[2], cell, read)
    word = re.split(r"\s*(?:-|~|\.\.|至|到|,|/)\s*", cell.lower())[0] if cell else ""
    if match := _X_STYLE.fullmatch(word):
        return _from(int(match[2]), 1, cell), TABLE_OF[match[1] + "x"]
    if match := _HEX.fullmatch(word):
        return _from(int(match[1] or match[2], 16), read.first, cell), None
    if read.is_hex and re.fullmatch(r"[0-9a-f]{1,4}", word):
        return _from(int(word, 16), read.first, cell), None
    if not word.isdecimal() or len(word) > 6:
        raise Unclear("address", f"`{cell}` is no register address.", _address_mend(word))
    if not read.is_modicon:
        return _from(int(word), read.first, cell), None
    if len(word) not in (5, 6) or word[0] not in "0134":
        raise Unclear("address", f"`{cell}` is no number of the kind 40001.", "write 40001 for the first holding register.")
    return _from(int(word[1:]), 1, cell), TABLE_OF[word[0] + "x"]


def _agreeing(own: str, other: str, cell: str, read: Addresses) -> tuple[int, Table | None]:
    """Of two numbers for one register, `0x0010(40017)`, that must agree."""
    address, _ = address_of(own, read)
    if int(other[1:]) - 1 != address:
        what = f"`{cell}` names two registers: {address} and {int(other[1:]) - 1}, both counted from 0."
        raise Unclear("address", what, "keep the one that is right (and say --count-from 1 where the first number counts from 1).")
    return address, TABLE_OF[f"{other[0]}x"]


def _address_mend(word: str) -> str:
    if re.fullmatch(r"\d(\.\d+)?e\+?\d+", word):
        return "the spreadsheet rounded it: format the column as text, and type the number again."
    if re.fullmatch(r"[0-9a-f]{2,4}", word):
        return f"if it is hexadecimal, write 0x{word.upper()}, or head the column `address (hex)` (地址(HEX))."
    if re.fullmatch(r"\d+\.\d+", word):
        return "take a bit of a register in by hand: `type: u16` with `bit: 3`."
    return "write a number such as 16, 0x0010, 0010H, or 40017."


def _from(number: int, first: int, cell: str) -> int:
    if not first <= number <= 0xFFFF + first:
        what = f"`{cell}` is outside {first}-{0xFFFF + first}."
        do = "mend it" + (
            ", or import without --count-from 1." if number < first else "; numbers such as 40001 need --count-from modicon."
        )
        raise Unclear("address", what, do)
    return number - first
