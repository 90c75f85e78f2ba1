"""Does I/O: a checksum on every row of an SQLite database, and what becomes of a database in which a bit has changed.

Triggers write the checksum (CRC-32 over all columns) with each insert and update; `sound(...)` is the condition that readers add,
so that a changed value is never served. At the start the whole file is looked at (`find_damage`). One with damage is replaced
(`replace_damaged`): a new file is made beside it from every row that is sound (`rescue`), and when that is whole and on the medium
the damaged one is set aside for inspection and the new one takes its name. A crash on the way leaves either the damaged file, or a
whole new one that the next start takes (`finish`). What was set aside stays, and is told of (`asides`), until a person moves it.
"""

from __future__ import annotations

import os
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import msgspec

from edge_agent.common.hazard import hazard

Columns = Mapping[str, Sequence[str]]
"""The tables with a checksum, and the columns it covers; the first ones are the key."""
_DAMAGED = (sqlite3.DatabaseError, UnicodeDecodeError)
"""What reading a damaged file raises; the second where SQLite's own words hold what stands in a damaged page."""
_BESIDE = ("-shm", "-wal")
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
    except UnicodeDecodeError:
        return None
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            return None
        raise


def is_damage(error: sqlite3.Error) -> bool:
    """True if the file itself is wrong, not the medium or its free space."""
    return any(words in str(error) for words in ("malformed", "not a database", "user-defined function"))


def replace_damaged(path: Path, build: Callable[[Path], object]) -> None:
    """Puts a new database in the place of a damaged one. Raises sqlite3.Error, OSError.

    build: makes the new file under the name given, from what it can read at `path`, and closes it.
    """
    part, ready = path.with_name(f"{path.name}.part"), _ready(path)
    for stale in (part, *(part.with_name(part.name + suffix) for suffix in _BESIDE)):
        stale.unlink(missing_ok=True)
    part.touch(mode=0o600)
    build(part)
    with closing(sqlite3.connect(part)) as database:
        if database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            raise sqlite3.OperationalError("the new database is in use")
    _sync(part)
    hazard("rescue.commit.before")
    part.rename(ready)
    _sync(path.parent)
    hazard("rescue.commit.after")
    finish(path)


def finish(path: Path) -> None:
    """Ends what `replace_damaged` began; nothing where nothing was begun. Raises OSError."""
    ready = _ready(path)
    if not ready.exists():
        return
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    for suffix in (*_BESIDE, ""):  # the database last: as long as it is there its number is free
        source = path.with_name(path.name + suffix)
        if source.exists():
            source.rename(aside.with_name(aside.name + suffix))
            hazard("rescue.move")
    _sync(path.parent)  # a WAL that came back would be taken for the new one's
    ready.rename(path)
    _sync(path.parent)
    hazard("rescue.end")


def asides(path: Path) -> list[Path]:
    """The damaged databases that were set aside and are there still, oldest first."""
    return sorted(
        (file for file in path.parent.glob(f"{path.name}.damaged-*") if not file.name.endswith(_BESIDE)),
        key=lambda file: (len(file.name), file.name),
    )


def _ready(path: Path) -> Path:
    return path.with_name(f"{path.name}.rescued")


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def rescue(damaged: Path, into: sqlite3.Connection, columns: Columns) -> int:
    """Copies every sound row of the tables. Gives the number of rows. `into` computes the checksums anew."""
    copied = 0
    with closing(sqlite3.connect(damaged, isolation_level=None)) as old:
        teach(old)
        old.text_factory = lambda raw: raw.decode("utf-8", "replace")
        for table in columns:
            for names, row in readable(old, table, sound(columns, table)):
                marks = ", ".join("?" * len(names))
                copied += into.execute(f"INSERT OR IGNORE INTO {table} ({', '.join(names)}) VALUES ({marks})", row).rowcount
    return copied


def readable(old: sqlite3.Connection, table: str, condition: str) -> Iterator[tuple[list[str], tuple[object, ...]]]:
    """Columns and values of the rows where it is true, from both ends towards a page that cannot be read; some twice."""
    try:
        keys = [row[1] for row in old.execute(f"PRAGMA table_info({table})") if row[5]]
        names = [row[1] for row in old.execute(f"PRAGMA table_info({table})") if row[1] != "crc"]
    except _DAMAGED:
        return
    for direction in ("ASC", "DESC"):
        order = ", ".join(f"{key} {direction}" for key in keys)
        try:
            for row in old.execute(f"SELECT {', '.join(names)} FROM {table} NOT INDEXED WHERE {condition} ORDER BY {order}"):
                yield names, row
            return
        except _DAMAGED:
            continue
