"""Does I/O: a checksum on every row of an SQLite database, and what becomes of a database in which a bit has changed.

Triggers write the checksum (CRC-32 over all columns) with each insert and update; `sound(...)` is the condition that readers add,
so that a changed value is never served. At the start the whole file is looked at (`find_damage`). One with damage is replaced
(file_rescue.py) by a new one from every row that is sound (`rescue`).
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import msgspec

from edge_agent.common.file_rescue import Failed, is_damage, readable

Columns = Mapping[str, Sequence[str]]
"""The tables with a checksum, and the columns it covers; the first ones are the key."""
_encode = msgspec.msgpack.Encoder().encode


def row_sum(row: Sequence[object]) -> int:
    """The checksum of a row."""
    return zlib.crc32(_encode(row))


def row_crc(*values: object) -> int:
    """The checksum of a row of these values."""
    return zlib.crc32(_encode(values))


def teach(database: sqlite3.Connection) -> None:
    """Every connection that writes or checks in SQL needs the function `row_crc`."""
    database.create_function("row_crc", -1, row_crc, deterministic=True)


def sound(columns: Columns, table: str) -> str:
    """SQL: true for rows whose checksum is right."""
    return f"{table}.crc IS row_crc({', '.join(f'{table}.{column}' for column in columns[table])})"


def guard(columns: Columns) -> str:
    """SQL that gives existing tables their checksums."""
    made = []
    for table, names in columns.items():
        new = ", ".join(f"NEW.{name}" for name in names)
        same = " AND ".join(f"{name} IS NEW.{name}" for name in names)
        put = f"BEGIN UPDATE {table} SET crc = row_crc({new}) WHERE {same}; END"
        made += [
            f"ALTER TABLE {table} ADD COLUMN crc INTEGER",
            f"CREATE TRIGGER {table}_insert AFTER INSERT ON {table} {put}",
            f"CREATE TRIGGER {table}_update AFTER UPDATE OF {', '.join(names)} ON {table} {put}",
            f"UPDATE {table} SET crc = row_crc({', '.join(names)})",
        ]
    return ";\n".join(made) + ";\n"


def find_damage(database: sqlite3.Connection, columns: Columns) -> bool:
    """True if the file's structure or any row is damaged."""
    return damaged_tables(database, columns) != frozenset()


def damaged_tables(database: sqlite3.Connection, columns: Columns) -> frozenset[str] | None:
    """The tables with a row that is damaged; None where the structure is, or a text is none any more."""
    try:
        if database.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok":
            return None
        query = "SELECT 1 FROM {} WHERE NOT {} LIMIT 1"
        return frozenset(table for table in columns if database.execute(query.format(table, sound(columns, table))).fetchone())
    except Failed as error:
        if is_damage(error):
            return None
        raise


def rescue(damaged: Path, into: sqlite3.Connection, columns: Columns) -> int:
    """Copies every sound row of the tables. Gives the number of rows. `into` computes the checksums anew."""
    copied = 0
    with closing(sqlite3.connect(damaged, isolation_level=None)) as old:
        teach(old)
        old.text_factory = lambda raw: raw.decode("utf-8", "replace")
        for table in columns:
            for names, row in rows_of(old, table, sound(columns, table)):
                marks = ", ".join("?" * len(names))
                copied += into.execute(f"INSERT OR IGNORE INTO {table} ({', '.join(names)}) VALUES ({marks})", row).rowcount
    return copied


def rows_of(old: sqlite3.Connection, table: str, condition: str) -> Iterator[tuple[list[str], tuple[object, ...]]]:
    """Columns and values of the rows where it is true, from both ends towards a page that cannot be read; some twice.

    Raises where the medium refuses.
    """
    about = list(readable(lambda: old.execute(f"PRAGMA table_info({table})")))
    keys = [row[1] for row in about if row[5]]
    names = [row[1] for row in about if row[1] != "crc"]
    if not keys:
        return
    for direction in ("ASC", "DESC"):
        order = ", ".join(f"{key} {direction}" for key in keys)
        try:
            for row in old.execute(f"SELECT {', '.join(names)} FROM {table} NOT INDEXED WHERE {condition} ORDER BY {order}"):
                yield names, row
            return
        except Failed as error:
            if not is_damage(error):
                raise
