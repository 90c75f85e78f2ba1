"""Does I/O: the outbox file - one SQLite database that holds messages without receipt across restarts and power cuts.

One write is one transaction with one fsync (WAL, synchronous FULL): its messages go in as one compressed row (outbox_rows.py), what
it forgets is marked (outbox_generations.py). The start counter of epochs lives here too (outbox_notes.py). A file with damage in
its structure, its write-ahead log, its marks or notes is set aside, and what is sound in it goes into a new one (outbox_rescue.py):
at the start, and as soon as a read or a write meets it. The epoch in use goes on: its sequences are known to the one who gave them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from edge_agent.common.file_rescue import Failed, damage, finish, is_damage
from edge_agent.common.hazard import hazard
from edge_agent.common.problem import ProblemError
from edge_agent.common.wal import is_cut_short, settle
from edge_agent.contract.message import Lane
from edge_agent.delivery.machine import Anchor, Key, Lost, Run, Stored
from edge_agent.delivery.outbox import MEMORY_BYTES
from edge_agent.delivery.shelf import Shelf, Shelves
from edge_agent.io import outbox_notes as notes
from edge_agent.io.outbox_generations import Generations
from edge_agent.io.outbox_index import spans_of
from edge_agent.io.outbox_rescue import rescue
from edge_agent.io.outbox_rows import head_of, is_loose, lost_of, readings_of, unpack, unpack_head, without

T = TypeVar("T")
WAL_PAGES = 256
"""So long the write-ahead log becomes before it is carried over; it is written over in place from then on."""
READ_TRIES = 3
"""A file that is not sound so often in a row at the start is set aside; a medium that refuses once says nothing about the file."""
OPEN_BYTES = 1 << 20
"""At the start messages are loaded up to this, with all that they take in memory; of the rest the heads alone."""


class OutboxFailed(Exception):
    """The medium refused: full, read-only, I/O error. Nothing of the call may be believed durable."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What the file held. set_aside: where a damaged file went, empty if it was sound; damaged: rows that could not be read."""

    stored: tuple[Stored, ...]
    set_aside: str = ""
    damaged: int = 0
    anchors: tuple[Anchor, ...] = ()
    """Of the epochs of which anything is stored."""
    shelves: tuple[Shelf, ...] = ()
    """What the file holds beside `stored`; damaged rows too, as far as their heads tell of them."""
    lost: tuple[Lost, ...] = ()
    """What told of gaps in damaged rows, and births, as their heads tell."""
    unknown: int = 0
    """Of the damaged rows those whose head is damaged too: nobody can say what they held."""
    runs: tuple[Run, ...] = ()
    """Earlier runs of this gateway, the oldest first."""


class OutboxFile:
    """One file. Not thread-safe: everything after `open` happens on one thread."""

    def __init__(self, path: Path, gateway: str = "") -> None:
        """gateway: `site/gateway`, whose runs are noted here."""
        self.path = path
        self._gateway = gateway
        self._database: sqlite3.Connection | None = None
        self._is_doubtful = False
        self._owed_starts = 0
        """The start counter of an epoch that is in use and not durable yet."""
        self._is_unread = False
        """Nobody knows what the file holds: it could not be opened at the start."""
        self._opened_late: Opened | None = None
        self._aside = ""
        """Where a damaged file went, until something is written."""
        self._renewed = ""
        """Where a file went that was found damaged in the middle of a run."""
        self._starts = 0
        """The start counter of the epoch in use."""
        self._contents: Generations | None = None

    def open(self) -> Opened:
        """Opens or makes the file; a damaged one goes to `<name>.damaged-<n>`. Raises OutboxFailed, ProblemError (OUT201)."""
        for _ in range(READ_TRIES):  # SQLite tells of a page that the medium refused to read in the words of a damaged one
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                finish(self.path)
                return self._load()
            except Failed as error:
                self.close()
                if not is_damage(error):
                    raise OutboxFailed(str(error)) from error
        try:
            rescue(self.path, self._starts)
            return self._load()
        except Failed as error:
            self.close()
            raise OutboxFailed(str(error)) from error

    def open_later(self, random_hex: str, minutes: int) -> str:
        """The medium refuses at the start: an epoch that is not durable. The next good write makes it so, and opens the file.

        Random bits make the epoch unique; its counter is for order alone. It goes on from the last one that can be read, by more
        where newer ones may stand in the write-ahead log, which cannot be read without writing; else it is `minutes`, of the clock.
        """
        if self._database is None:
            self._give_up()
            self._is_unread = True
        known = self._last_starts()
        wal = self.path.with_name(self.path.name + "-wal")
        unread = WAL_PAGES if self._is_unread and wal.exists() and wal.stat().st_size else 0
        self._starts = self._owed_starts = known + unread + 1 if known else minutes
        return f"{self._starts}-{random_hex}"

    def take_opened(self) -> Opened | None:
        """What the file held that could not be opened at the start, once, when it can."""
        opened, self._opened_late = self._opened_late, None
        return opened

    def take_renewed(self) -> str:
        """Once, where the file was found damaged since it was opened: where it went. Of what it held the new one may lack some."""
        renewed, self._renewed = self._renewed, ""
        return renewed

    def _last_starts(self) -> int:
        """The start counter as far as it can be read without touching the medium; 0 if it cannot."""
        try:
            return notes.read_notes(self._database).starts if self._database is not None else notes.starts_unopened(self.path)
        except Failed:
            return 0

    def new_epoch(self, random_hex: str) -> str:
        """The epoch of this start, `{counter}-{16 hex}`, durable before it is given. Raises OutboxFailed."""
        database = self._open_database()
        contents = self._held()
        try:
            known, held = notes.read_notes(database), contents.index.epochs()
            starts = max([known.starts, *(_count_of(epoch) for epoch in held)]) + 1
            unneeded = [notes.ANCHOR + anchor.epoch for anchor in known.anchors() if anchor.epoch not in held] + known.old_runs()
            hazard("start.commit.before")
            with database:
                database.execute("BEGIN IMMEDIATE")
                notes.put_note(database, notes.STARTS, starts)
                notes.drop_notes(database, unneeded)
            hazard("start.commit.after")
        except Failed as error:
            raise OutboxFailed(str(error)) from error
        self._starts = starts
        return f"{starts}-{random_hex}"

    def write(self, add: Sequence[Stored], forget: Sequence[Key], anchors: Sequence[Anchor] = (), run: Run | None = None) -> None:
        """Makes all of it durable in one transaction: first forgets, then adds.

        Raises OutboxFailed; then nothing of it may be believed, and the next call reads the file anew.

        A key that is added again is replaced; one to forget that is not there is no error. A damaged file is set aside, and the
        new one written.
        """
        self._sound(lambda: self._commit(add, forget, anchors, run))
        self._owed_starts, self._aside = 0, ""

    def _commit(self, add: Sequence[Stored], forget: Sequence[Key], anchors: Sequence[Anchor], run: Run | None) -> None:
        database, contents = self._open_database(), self._held()
        try:
            hazard("outbox.commit.before")
            with database:
                database.execute("BEGIN IMMEDIATE")
                contents.forget([*forget, *(stored.key for stored in add)])
                contents.tidy()
                contents.add(add)
                if self._owed_starts > notes.read_notes(database).starts:
                    notes.put_note(database, notes.STARTS, self._owed_starts)
                notes.put_anchors(database, anchors)
                if run is not None:
                    notes.put_run(database, self._gateway, run)
                if self._aside:
                    notes.drop_notes(database, [notes.ASIDE])
            hazard("outbox.commit.after")
        except Failed:
            self._give_up()
            raise

    def fetch(self, keys: Sequence[Key]) -> tuple[list[Stored], list[Key]]:
        """The messages with these keys, and the keys that cannot be read. Raises OutboxFailed where the medium refuses."""
        found = self._sound(lambda: self._found(keys))
        return [found[key] for key in keys if key in found], [key for key in keys if key not in found]

    def _found(self, keys: Sequence[Key]) -> dict[Key, Stored]:
        wanted, found, contents = set(keys), dict[Key, Stored](), self._held()
        for part in contents.parts(keys):
            row = contents.column(part, "crc, messages")
            for stored in unpack(*row) if row else ():
                if stored.key in wanted and contents.index.find(stored.key) == part:  # else it is forgotten here
                    found[stored.key] = stored
        return found

    def readings_of(self, keys: Sequence[Key]) -> int:
        """Readings in messages that cannot be read, as far as the heads of their rows tell. Raises OutboxFailed."""
        return self._sound(lambda: self._readings_of(set(keys)))

    def _readings_of(self, keys: set[Key]) -> int:
        contents = self._held()
        rows = (contents.column(part, "head") for part in contents.parts(keys))
        heads = (unpack_head(row[0]) for row in rows if row)
        return sum(readings_of(head, keys) for head in heads if head is not None)

    def _sound(self, call: Callable[[], T]) -> T:
        """What the call gives; where it meets damage, what it gives of the file that was renewed. Raises OutboxFailed."""
        try:
            return call()
        except Failed as error:
            if not is_damage(error):
                raise OutboxFailed(str(error)) from error
        self._give_up()
        try:
            return call()
        except Failed as error:
            self._give_up()
            raise OutboxFailed(str(error)) from error

    def close(self) -> None:
        """Closes the file."""
        self._is_doubtful = False
        if self._database is not None:
            self._database.close()
            self._database = self._contents = None

    def _give_up(self) -> None:
        """After a failed write nothing that was known of the file is believed: the next call reads it again."""
        self.close()
        self._is_doubtful = True

    def _open_database(self) -> sqlite3.Connection:
        if self._database is None and self._is_doubtful:
            try:
                known, opened = self._aside, self.open()
                if self._is_unread:
                    self._opened_late, self._is_unread = opened, False
                elif opened.set_aside != known:
                    self._renewed = opened.set_aside
            except (*Failed, OutboxFailed) as error:
                self._give_up()
                raise OutboxFailed(str(error)) from error
        if self._database is None:
            raise OutboxFailed("the outbox is closed")
        return self._database

    def _held(self) -> Generations:
        self._open_database()
        if self._contents is None:
            raise OutboxFailed("the outbox is closed")
        return self._contents

    def _load(self) -> Opened:
        if is_cut_short(self.path):
            raise damage()
        database = self._database = notes.connect(self.path)
        if self.path.stat().st_mode & 0o077:
            self.path.chmod(0o600)
        try:
            version = notes.version_of(database, self.path)
        except ProblemError:
            self.close()
            raise
        for pragma in ("journal_mode=WAL", "synchronous=FULL", f"wal_autocheckpoint={WAL_PAGES}", "secure_delete=OFF"):
            database.execute(f"PRAGMA {pragma}").fetchall()
        settle(database, self.path)
        if database.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise damage()
        notes.prepare(database, version)
        known = notes.read_notes(database)
        if known.damaged:
            raise damage()
        self._aside = known.aside
        return self._read(database, known)

    def _read(self, database: sqlite3.Connection, known: notes.Notes) -> Opened:
        contents = Generations(database)
        stored: list[Stored] = []
        lost: list[Lost] = []
        shelves: dict[tuple[str, Lane], Shelves] = {}
        loaded, damaged, unknown = 0, 0, 0
        for row, gone in contents.rows():
            head, is_whole = row.unpacked_head(), row.is_sound()
            damaged += not is_whole
            messages: list[Stored] = []
            if is_whole and (head is None or head.loose or gone or loaded < OPEN_BYTES):
                messages = [message for message in row.unpacked() if message.key not in gone]
                head = head_of(messages)
            is_loaded = loaded < OPEN_BYTES and is_whole
            shelved = [] if is_loaded or head is None else without(head.shelves, () if messages else gone)
            told = [] if is_whole or head is None else [each for each in lost_of(head) if each.key not in gone]
            unknown += not is_whole and head is None
            if not messages and not shelved and not told:
                contents.leave_blank(row.id)
                continue
            kept = [message for message in messages if is_loaded or is_loose(message)]
            loaded += sum(len(message.body) + MEMORY_BYTES for message in kept)
            stored += kept
            for shelf in shelved:
                shelves.setdefault(shelf.key[:2], Shelves()).put(shelf)
            lost += told
            keys = [message.key for message in messages] or [each.key for each in told]
            contents.hold(row.id, [*spans_of(keys), *(() if messages else (shelf.span for shelf in shelved))])
        self._contents, self._is_doubtful = contents, False
        epochs = contents.index.epochs()
        anchors = tuple(anchor for anchor in known.anchors() if anchor.epoch in epochs)
        found = tuple(shelf for each in shelves.values() for shelf in each.each)
        return Opened(tuple(stored), known.aside, damaged, anchors, found, tuple(lost), unknown, tuple(known.runs(self._gateway)))


def _count_of(epoch: str) -> int:
    """The start counter in an epoch."""
    count = epoch.partition("-")[0]
    return int(count) if count.isdecimal() and len(count) < 16 else 0
