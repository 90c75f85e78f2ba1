"""Does I/O: the rows of the outbox file, in generations: tables `part_<first row>`, each with its marks, `mark_<first row>`.

Why not one table: SQLite writes two thirds of the bytes of the rows that it deletes, but next to nothing for a table that it drops.
So what is forgotten is only marked - one small row for each generation of a write - and a generation of which everything is
forgotten is dropped. Where a few old rows keep many dead ones company they move into the youngest generation, and theirs is
dropped.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from edge_agent.common.file_rescue import damage
from edge_agent.delivery.machine import Key, Span, Stored
from edge_agent.io.outbox_index import PartIndex, runs_of
from edge_agent.io.outbox_notes import MARKS, marks_of, put_mark
from edge_agent.io.outbox_rows import Head, Mark, Row, head_of, head_without, pack, pack_head

GENERATION_BYTES = 1 << 20
"""A generation takes rows until it holds so much."""
DEAD_BYTES = 16 << 20
"""Dead rows may take this more than live ones."""
ROW_MESSAGES = 256
"""A row holds no more: what is read back comes by rows."""
FURTHEST = 1 << 40
"""A row's id is at most so far beyond the first one's: more comes of damage."""
_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name != 'note'"


@dataclass(slots=True)
class Generation:
    """size: bytes of its rows, dead ones too; held and gone: messages of rows that live."""

    start: int
    rows: int = 0
    live: int = 0
    size: int = 0
    held: int = 0
    gone: int = 0

    @property
    def is_full(self) -> bool:
        """It takes no more rows."""
        return self.size >= GENERATION_BYTES

    @property
    def live_bytes(self) -> int:
        """As if all rows were of one size, and all messages."""
        return self.size * self.live * self.held // max(1, self.rows * (self.held + self.gone))

    @property
    def dead_bytes(self) -> int:
        """The rest."""
        return self.size - self.live_bytes


class Generations:
    """The rows of one open file. Everything that writes stands in a transaction of the caller; if that fails, begin anew."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        starts = _starts([name for (name,) in database.execute(_TABLES)])
        self.each = [Generation(start) for start in starts]
        self._next = starts[-1] if starts else 1
        self.index = PartIndex()
        self._blank: set[int] = set()
        """Rows that tell nothing any more."""

    def rows(self) -> Iterator[tuple[Row, set[Key]]]:
        """Every row that is not forgotten, with what is forgotten of it. Once, before anything else."""
        for at, generation in enumerate(self.each):
            limit = self.each[at + 1].start if at + 1 < len(self.each) else generation.start + FURTHEST
            dead, gone = forgotten(_whole(marks_of(self._database, generation.start)))
            for row in self._read(generation):
                if not isinstance(row.id, int) or not generation.start <= row.id < limit:
                    raise damage()
                generation.rows += 1
                generation.size += row.size
                self._next = max(self._next, row.id + 1)
                if row.id not in dead:
                    generation.live += 1
                    generation.gone += len(gone.get(row.id, ()))
                    yield row, gone.get(row.id, set())

    def hold(self, part: int, spans: Iterable[Span]) -> None:
        """The row holds these, and no other row does."""
        found = list(spans)
        self.index.add(part, found)
        self._of(part).held += sum(span.z - span.a + 1 for span in found)

    def leave_blank(self, part: int) -> None:
        """The row tells nothing: it goes with the next write."""
        self._blank.add(part)

    def forget(self, keys: Iterable[Key]) -> None:
        """Marks these messages."""
        gone: dict[int, list[Key]] = {}
        dead, self._blank = self._blank, set()
        for key in keys:
            part = self.index.find(key)
            if part is None:
                continue
            gone.setdefault(part, []).append(key)
            if self.index.forget(key):
                dead.add(part)
        marks: dict[int, tuple[list[int], dict[int, list[Key]]]] = {}
        for part in sorted(dead):
            generation = self._of(part)
            generation.live -= 1
            marks.setdefault(generation.start, ([], {}))[0].append(part)
        for part, forgotten_of_it in gone.items():
            self._of(part).held -= len(forgotten_of_it)
        for part in sorted(gone.keys() - dead):
            self._of(part).gone += len(gone[part])
            marks.setdefault(self._of(part).start, ([], {}))[1][part] = gone[part]
        for start, (rows, others) in marks.items():
            put_mark(self._database, start, Mark.of(runs_of(rows), others))

    def add(self, messages: Sequence[Stored]) -> None:
        """None of these may be held."""
        for at in range(0, len(messages), ROW_MESSAGES):
            some = messages[at : at + ROW_MESSAGES]
            head = head_of(some)
            self.hold(self.put(pack_head(head), *pack(some)), head.spans())

    def put(self, head: bytes | None, crc: int, messages: bytes) -> int:
        """A row as it stands in the file, into the youngest generation; gives its id."""
        if not self.each or self.each[-1].is_full:
            self.each.append(Generation(self._next))
            columns = "(id INTEGER PRIMARY KEY, head BLOB, crc INTEGER NOT NULL, messages BLOB NOT NULL)"
            self._database.execute(f"CREATE TABLE part_{self._next}{columns}")
            self._database.execute(MARKS.format(self._next))
        row = Row(self._next, head, crc, messages)
        youngest = self.each[-1]
        self._database.execute(f"INSERT INTO part_{youngest.start}(id, head, crc, messages) VALUES(?,?,?,?)", row.columns)
        youngest.rows, youngest.live, youngest.size = youngest.rows + 1, youngest.live + 1, youngest.size + row.size
        self._next += 1
        return row.id

    def tidy(self) -> None:
        """Drops generations of which nothing is left; the youngest one stays until it is full."""
        for generation in [each for each in self.each if not each.live and self._is_closed(each)]:
            self._drop(generation)
        if sum(each.dead_bytes - each.live_bytes for each in self.each) > DEAD_BYTES:
            closed = [each for each in self.each if self._is_closed(each)]
            if closed:
                self._move(max(closed, key=lambda each: each.dead_bytes - each.live_bytes))

    def parts(self, keys: Iterable[Key]) -> list[int]:
        """The rows that hold these."""
        return sorted({part for key in keys if (part := self.index.find(key)) is not None})

    def column(self, part: int, columns: str) -> Any:
        """Columns of one row, None if it is not there."""
        return self._database.execute(f"SELECT {columns} FROM part_{self._of(part).start} WHERE id = ?", (part,)).fetchone()

    def _move(self, old: Generation) -> None:
        """What lives in it, without what is forgotten of it, to the youngest."""
        dead, gone = forgotten(_whole(marks_of(self._database, old.start)))
        moved: dict[int, int] = {}
        rows = [each for (each,) in self._database.execute(f"SELECT id FROM part_{old.start} ORDER BY id").fetchall()]
        for each in rows:
            if each not in dead and each not in self._blank:
                moved[each] = self.put(*kept(Row(*self.column(each, "id, head, crc, messages")), gone.get(each, set())))
        self._blank -= {each for each in self._blank if self._of(each) is old}
        self.index.move(moved)
        self.each[-1].held += old.held
        self._drop(old)

    def _drop(self, generation: Generation) -> None:
        self.each.remove(generation)
        for table in (f"part_{generation.start}", f"mark_{generation.start}"):
            self._database.execute(f"DROP TABLE {table}")

    def _read(self, generation: Generation) -> Iterator[Row]:
        query = f"SELECT id, head, crc, messages FROM part_{generation.start} ORDER BY id"
        return (Row(*row) for row in self._database.execute(query))

    def _is_closed(self, generation: Generation) -> bool:
        return generation is not self.each[-1] or generation.is_full

    def _of(self, part: int) -> Generation:
        return self.each[bisect_right(self.each, part, key=lambda each: each.start) - 1]


def _starts(tables: Sequence[str]) -> list[int]:
    """Of the generations with these tables. Raises sqlite3.DatabaseError where one is missing or of no known name."""
    starts = sorted(int(name[5:]) for name in tables if name.startswith("part_") and name[5:].isdecimal())
    if sorted(tables) != sorted(f"{kind}_{start}" for start in starts for kind in ("part", "mark")):
        raise damage()
    return starts


def forgotten(marks: Iterable[Mark]) -> tuple[set[int], dict[int, set[Key]]]:
    """Rows of which everything is forgotten, and what is forgotten of others."""
    dead, gone = set[int](), dict[int, set[Key]]()
    for mark in marks:
        for first, last in mark.dead:
            dead.update(range(first, last + 1))
        for part, span in mark.spans():
            gone.setdefault(part, set()).update(span.each())
    return dead, gone


def kept(row: Row, gone: set[Key]) -> tuple[bytes | None, int, bytes]:
    """Head, checksum and messages of a row without what is gone; of a damaged row its head alone can be mended."""
    if not gone:
        return row.head, row.crc, row.messages
    messages = [message for message in row.unpacked() if message.key not in gone]
    if messages:
        return pack_head(head_of(messages)), *pack(messages)
    head = row.unpacked_head()
    return pack_head(head_without(head, gone)) if isinstance(head, Head) else row.head, row.crc, row.messages


def _whole(marks: Iterable[Mark | None]) -> Iterator[Mark]:
    for mark in marks:
        if mark is None:
            raise damage()
        yield mark
