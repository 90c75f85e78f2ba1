"""Does I/O: the form of the outbox file, and its notes - small values, each with a checksum, by name.

`starts` is the last start counter, `aside` the name under which a damaged file was set aside (until something is written), and
`anchor/<epoch>` the anchor of an epoch. `run/<epoch>` says of which gateway a run was, and how far it was settled.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from edge_agent.common.file_rescue import Failed
from edge_agent.common.problem import Problem, ProblemError
from edge_agent.delivery.machine import Anchor, Key, Run
from edge_agent.io.outbox_rows import Mark, seal, unseal, unseal_mark

SCHEMA = 3
STARTS, ASIDE, ANCHOR, RUN = "starts", "aside", "anchor/", "run/"
RUNS_KEPT = 16
"""Runs that are remembered; births name them."""
NOTES = "CREATE TABLE note(name TEXT PRIMARY KEY, sealed BLOB NOT NULL) WITHOUT ROWID"
MARKS = "CREATE TABLE mark_{}(id INTEGER PRIMARY KEY, sealed BLOB NOT NULL)"


@dataclass(frozen=True, slots=True)
class Notes:
    """What the notes of a file say."""

    each: Mapping[str, Any]
    damaged: int = 0
    """Notes whose checksum is wrong."""

    @property
    def starts(self) -> int:
        """The last start counter."""
        return int(self.each.get(STARTS, 0))

    @property
    def aside(self) -> str:
        """Where a damaged file went, until something is written."""
        return str(self.each.get(ASIDE, ""))

    def anchors(self) -> list[Anchor]:
        """Of all epochs."""
        return [Anchor(*value) for name, value in self.each.items() if name.startswith(ANCHOR)]

    def runs(self, gateway: str) -> list[Run]:
        """Runs of this gateway, the oldest first. A cloned card may hold those of another, which are none of its own."""
        found = [Run(name.removeprefix(RUN), *value[1:]) for name, value in self._runs() if value[0] == gateway]
        return sorted(found, key=lambda run: _count(run.epoch))

    def old_runs(self) -> list[str]:
        """Names of notes of runs beyond those that are kept."""
        names = sorted((name for name, _ in self._runs()), key=lambda name: _count(name.removeprefix(RUN)))
        return names[:-RUNS_KEPT]

    def _runs(self) -> Iterator[tuple[str, Any]]:
        return ((name, value) for name, value in self.each.items() if name.startswith(RUN))


def _count(epoch: str) -> int:
    return int(epoch.partition("-")[0])


def connect(path: Path) -> sqlite3.Connection:
    """A connection to which text that is none any more is text all the same: checksums judge it."""
    database = sqlite3.connect(path, isolation_level=None, timeout=5.0, check_same_thread=False)
    database.text_factory = _lenient
    return database


def _lenient(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def version_of(database: sqlite3.Connection, path: Path) -> int:
    """0: a new file. Raises ProblemError (OUT201)."""
    version = int(database.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA:
        what = f"The outbox was written by a newer version (schema {version}, this one knows {SCHEMA})."
        raise ProblemError(Problem("OUT201", str(path), what, "install the newer version again, or move the file away."))
    return version


def prepare(database: sqlite3.Connection, version: int) -> None:
    """Gives a new file, or one of an older form, the present one, in one transaction."""
    if version == SCHEMA:
        return
    with database:
        database.execute("BEGIN IMMEDIATE")
        database.execute(NOTES)
        if version:
            _take_over(database, version)
        database.execute(f"PRAGMA user_version={SCHEMA}")


def _take_over(database: sqlite3.Connection, version: int) -> None:
    """One table of rows becomes the first generation. Rows of schema 1 have no heads and are unpacked at each start."""
    for name, value in old_notes(database):
        put_note(database, name, value)
    if version == 1:
        database.execute("ALTER TABLE part ADD COLUMN head BLOB")
    (first,) = database.execute("SELECT min(id) FROM part").fetchone()
    if first is None:
        database.execute("DROP TABLE part")
    else:
        database.execute(f"ALTER TABLE part RENAME TO part_{first}")
        database.execute(MARKS.format(first))
        put_mark(database, first, old_mark(database))
    for table in ("gone", "anchor", "meta"):
        database.execute(f"DROP TABLE {table}")


def old_notes(database: sqlite3.Connection) -> Iterator[tuple[str, Any]]:
    """What schemas 1 and 2 kept in tables of their own."""
    for (value,) in database.execute("SELECT value FROM meta WHERE name = 'starts'"):
        yield STARTS, int(value)
    for row in database.execute("SELECT epoch, offset_ms, source, bound_ms FROM anchor"):
        yield ANCHOR + row[0], row


def old_mark(database: sqlite3.Connection) -> Mark:
    """What was forgotten in part, of schemas 1 and 2."""
    gone: dict[int, list[Key]] = {}
    for part, *key in database.execute("SELECT part, epoch, lane, seq FROM gone"):
        gone.setdefault(part, []).append(Key(*key))
    return Mark.of((), gone)


def read_notes(database: sqlite3.Connection) -> Notes:
    """All of them."""
    found, damaged = dict[str, Any](), 0
    for name, sealed in database.execute("SELECT name, sealed FROM note"):
        note = unseal(sealed)
        if isinstance(note, list) and len(note) == 2 and note[0] == name:
            found[name] = note[1]
        else:
            damaged += 1
    return Notes(found, damaged)


def put_note(database: sqlite3.Connection, name: str, value: Any) -> None:
    """In the place of an earlier one of this name."""
    database.execute("INSERT OR REPLACE INTO note VALUES(?,?)", (name, seal((name, value))))


def put_anchors(database: sqlite3.Connection, anchors: Iterable[Anchor]) -> None:
    """The first one of an epoch stands."""
    rows = [(ANCHOR + anchor.epoch, seal((ANCHOR + anchor.epoch, astuple(anchor)))) for anchor in anchors]
    database.executemany("INSERT OR IGNORE INTO note VALUES(?,?)", rows)


def put_run(database: sqlite3.Connection, gateway: str, run: Run) -> None:
    """In the place of what was noted of this run before."""
    put_note(database, RUN + run.epoch, (gateway, run.normal, run.urgent, run.utc_ms))


def drop_notes(database: sqlite3.Connection, names: Iterable[str]) -> None:
    """Those that are not needed any more."""
    database.executemany("DELETE FROM note WHERE name = ?", [(name,) for name in names])


def put_mark(database: sqlite3.Connection, start: int, mark: Mark) -> None:
    """Beside what is marked already in this generation."""
    if mark.dead or mark.gone:
        database.execute(f"INSERT INTO mark_{start}(sealed) VALUES(?)", (mark.sealed(),))


def marks_of(database: sqlite3.Connection, start: int) -> list[Mark | None]:
    """Of one generation; None: a damaged one."""
    return [unseal_mark(sealed) for (sealed,) in database.execute(f"SELECT sealed FROM mark_{start} ORDER BY id")]


def starts_unopened(path: Path) -> int:
    """The start counter of a file as far as it can be read without touching the medium; 0 if it cannot."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?immutable=1", uri=True)) as database:
            if int(database.execute("PRAGMA user_version").fetchone()[0]) == SCHEMA:
                return read_notes(database).starts
            row = database.execute("SELECT value FROM meta WHERE name = 'starts'").fetchone()
            return int(row[0]) if row else 0
    except (*Failed, ValueError):
        return 0
