"""Does I/O: a damaged outbox file is set aside (file_rescue.py); every sound row of it is carried over into a new one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from edge_agent.common.file_rescue import aside_of, readable, replace_damaged
from edge_agent.delivery.machine import Key
from edge_agent.io import outbox_notes as notes
from edge_agent.io.outbox_generations import Generations, forgotten
from edge_agent.io.outbox_rows import Mark, Row, head_without, pack_head, unseal_mark

_MIDDLE = 100_000
"""Ids between two damaged places that are tried one by one, at most."""


def rescue(path: Path, starts: int = 0) -> None:
    """The file is set aside, and a new one with what is sound stands in its place. Raises sqlite3.Error, OSError.

    starts: the start counter of the epoch in use, so that no later start comes below it.
    """
    replace_damaged(path, partial(_build, path, starts))


def _build(path: Path, starts: int, part: Path) -> None:
    with closing(notes.connect(part)) as new:
        new.execute("PRAGMA synchronous=FULL").fetchall()
        notes.prepare(new, 0)
        with new, closing(notes.connect(path)) as old:
            old.execute("PRAGMA writable_schema=ON")  # SQLite then reads what it can of a damaged list of tables
            new.execute("BEGIN IMMEDIATE")
            notes.put_note(new, notes.ASIDE, aside_of(path).name)
            _copy_notes(old, new)
            if starts > notes.read_notes(new).starts:
                notes.put_note(new, notes.STARTS, starts)
            _copy_rows(old, new)


def _copy_notes(old: sqlite3.Connection, new: sqlite3.Connection) -> None:
    for name, value in readable(lambda: iter(notes.read_notes(old).each.items())):
        if name != notes.ASIDE:
            notes.put_note(new, name, value)
    for name, value in readable(lambda: notes.old_notes(old)):
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
    names = [str(name) for (name,) in readable(lambda: old.execute("SELECT name FROM sqlite_master WHERE type = 'table'"))]
    return sorted(names, key=lambda name: (int(digits) if (digits := name.rpartition("_")[2]).isdecimal() else 0, name))


def _marks(old: sqlite3.Connection, table: str) -> Iterator[Mark]:
    """Those that are sound; none where it is a table of something else."""
    if table == "gone":
        yield from readable(lambda: iter([notes.old_mark(old)]))
        return
    for (sealed,) in readable(lambda: old.execute(f"SELECT sealed FROM {_quoted(table)}")):
        mark = unseal_mark(sealed)
        if mark is not None:
            yield mark


def _quoted(table: str) -> str:
    return '"' + table.replace('"', '""') + '"'


def _ids(old: sqlite3.Connection, table: str) -> list[int]:
    """Of rows: from both ends towards what cannot be read, and one by one between."""
    query = f"SELECT id FROM {_quoted(table)} ORDER BY id"
    low = [each for (each,) in readable(lambda: old.execute(query)) if isinstance(each, int)]
    high = [each for (each,) in readable(lambda: old.execute(f"{query} DESC")) if isinstance(each, int)]
    after, before = max(low, default=0), min(high, default=0)
    middle = range(after + 1, before) if before - after < _MIDDLE else ()
    return sorted({*low, *middle, *high})


def _row(old: sqlite3.Connection, table: str, each: int) -> Row | None:
    for columns in ("id, head, crc, messages", "id, NULL, crc, messages"):  # rows of schema 1 have no head
        for row in readable(lambda columns=columns: old.execute(f"SELECT {columns} FROM {_quoted(table)} WHERE id = ?", (each,))):  # type: ignore[misc]
            return Row(*row)
    return None
