"""Does I/O: sets a damaged outbox file aside and carries every sound row of it over into a new one.

The new file is made beside the damaged one under a name of its own. Only when it is whole and durable it gets the name `.rescue`:
from then on it holds what is believed, and `finish` gives it its place, now or at the next start. So a kill at any moment costs
nothing.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from edge_agent.delivery.machine import Key
from edge_agent.io import outbox_notes as notes
from edge_agent.io.outbox_generations import Generations, forgotten
from edge_agent.io.outbox_rows import Mark, Row, head_without, pack_head, unseal_mark

_BESIDE = ("-wal", "-shm", "-journal")
_MIDDLE = 100_000
"""Ids between two damaged places that are tried one by one, at most."""


def rescue(path: Path) -> None:
    """The file is set aside, and a new one with what is sound stands in its place. Raises sqlite3.Error, OSError."""
    making = path.with_name(f"{path.name}.rescue-new")
    for suffix in ("", *_BESIDE):
        making.with_name(making.name + suffix).unlink(missing_ok=True)
    with closing(notes.connect(making)) as new:
        making.chmod(0o600)
        new.execute("PRAGMA synchronous=FULL").fetchall()
        notes.prepare(new, 0)
        with new, closing(notes.connect(path)) as old:
            old.execute("PRAGMA writable_schema=ON")  # SQLite then reads what it can of a damaged list of tables
            new.execute("BEGIN IMMEDIATE")
            notes.put_note(new, notes.ASIDE, _free_name(path).name)
            _copy_notes(old, new)
            _copy_rows(old, new)
    _sync(path.parent)
    making.rename(_rescued(path))
    _sync(path.parent)
    finish(path)


def finish(path: Path) -> None:
    """Gives a rescued file its place, if one is waiting. Raises OSError."""
    rescued = _rescued(path)
    if not rescued.exists():
        return
    aside = _free_name(path)
    for suffix in (*_BESIDE, ""):  # first the log: beside another file SQLite would believe it
        source = path.with_name(path.name + suffix)
        if source.exists():
            source.rename(aside.with_name(aside.name + suffix))
    _sync(path.parent)
    rescued.rename(path)
    _sync(path.parent)


def _rescued(path: Path) -> Path:
    return path.with_name(f"{path.name}.rescue")


def _free_name(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    return aside


def _sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _copy_notes(old: sqlite3.Connection, new: sqlite3.Connection) -> None:
    for name, value in _readable(lambda: iter(notes.read_notes(old).each.items())):
        if name != notes.ASIDE:
            notes.put_note(new, name, value)
    for name, value in _readable(lambda: notes.old_notes(old)):
        notes.put_note(new, name, value)


def _copy_rows(old: sqlite3.Connection, new: sqlite3.Connection) -> None:
    """In the order of their ids: where the mark of an older form of a message is lost, the newer form stands."""
    held = Generations(new)
    tables = _tables(old)
    dead, gone = forgotten(mark for table in tables for mark in _marks(old, table))
    for table in tables:
        for each in _ids(old, table):
            if each not in dead and (row := _row(old, table, each)) is not None:
                _keep(held, row, gone.get(each, set()))


def _keep(held: Generations, row: Row, gone: set[Key]) -> None:
    """Of a row whose messages are damaged its head, which tells what is lost."""
    messages = [message for message in row.unpacked() if message.key not in gone]
    if messages:
        held.forget(message.key for message in messages)
        held.add(messages)
        return
    head = row.unpacked_head()
    if head is None or row.is_sound():
        return
    head = head_without(head, [*gone, *(key for span in head.spans() for key in span.each() if held.index.find(key) is not None)])
    if head.spans():
        held.hold(held.put(pack_head(head), 1, b""), head.spans())


def _tables(old: sqlite3.Connection) -> list[str]:
    """Of any schema, and with any name that a flipped bit may have made; the oldest rows first."""
    names = [str(name) for (name,) in _readable(lambda: old.execute("SELECT name FROM sqlite_master WHERE type = 'table'"))]
    return sorted(names, key=lambda name: (int(digits) if (digits := name.rpartition("_")[2]).isdecimal() else 0, name))


def _marks(old: sqlite3.Connection, table: str) -> Iterator[Mark]:
    """Those that are sound; none where it is a table of something else."""
    if table == "gone":
        yield from _readable(lambda: iter([notes.old_mark(old)]))
        return
    for (sealed,) in _readable(lambda: old.execute(f"SELECT sealed FROM {_quoted(table)}")):
        mark = unseal_mark(sealed)
        if mark is not None:
            yield mark


def _quoted(table: str) -> str:
    return '"' + table.replace('"', '""') + '"'


def _ids(old: sqlite3.Connection, table: str) -> list[int]:
    """Of rows: from both ends towards what cannot be read, and one by one between."""
    query = f"SELECT id FROM {_quoted(table)} ORDER BY id"
    low = [each for (each,) in _readable(lambda: old.execute(query)) if isinstance(each, int)]
    high = [each for (each,) in _readable(lambda: old.execute(f"{query} DESC")) if isinstance(each, int)]
    after, before = max(low, default=0), min(high, default=0)
    middle = range(after + 1, before) if before - after < _MIDDLE else ()
    return sorted({*low, *middle, *high})


def _row(old: sqlite3.Connection, table: str, each: int) -> Row | None:
    for columns in ("id, head, crc, messages", "id, NULL, crc, messages"):  # rows of schema 1 have no head
        for row in _readable(lambda columns=columns: old.execute(f"SELECT {columns} FROM {_quoted(table)} WHERE id = ?", (each,))):  # type: ignore[misc]
            return Row(*row)
    return None


def _readable(rows: Callable[[], Iterable[Any]]) -> Iterator[Any]:
    """As many as can be read of a damaged file. Raises where the medium refuses."""
    try:
        yield from rows()
    except notes.Failed as error:
        if not notes.is_damage(error):
            raise
