"""Does I/O: a backup of a state folder, made while the collector runs: one tar file with a manifest.

Everything is looked at in one moment and copied afterwards: a read transaction is opened on each database, the log's last, and held
until it is copied; every segment is opened. So nobody waits for the copy (WAL), and it is of one piece:

- Every cursor of store, warning engine and account is at most the log's end: they were looked at before it.
- Everything above the cursors is there: had the log been trimmed meanwhile, all is looked at once more. Segments never change below
  their committed end, and an open file outlives its name.
"""

from __future__ import annotations

import hashlib
import io
import os
import resource
import shutil
import sqlite3
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from collector.io.log_reading import Segment
from collector.io.log_schema import SCHEMA as LOG_SCHEMA
from collector.io.log_schema import SEGMENTS, checked, get_state, segment_folder
from edge_agent.common.durable import sync_folder
from edge_agent.common.hazard import hazard
from edge_agent.common.problem import Problem, ProblemError
from edge_agent.common.words import stored

LOG, SEGMENT_FOLDER, MANIFEST = "log.sqlite", "log.segments", "manifest.json"
SCHEMA = "collector-backup/1"
CURSORS = {
    "operations.sqlite": "SELECT cursor FROM engine",
    "store.sqlite": "SELECT value FROM meta WHERE name = 'cursor'",
    "influx.sqlite": "SELECT value FROM meta WHERE name = 'cursor'",
    "account.sqlite": "SELECT cursor FROM meta",
}
_PAGES = 1000
_ATTEMPTS = 5
_DAY_S = 86_400

Say = Callable[[str], None]
"""A line on how far it is."""


class Entry(msgspec.Struct, frozen=True):
    """One file of a backup."""

    name: str
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """What a backup holds: the last file in it. Times ms UTC; offsets of the log."""

    version: str
    """Of the collector."""
    made_ms: int
    log_id: str
    first: int
    """The lowest offset whose data the log keeps."""
    last: int
    cursors: dict[str, int]
    """By database: up to which offset it has everything."""
    files: list[Entry]
    damaged: list[str] = []
    """Segments that were gone or cut already when the backup was made."""
    schema: str = SCHEMA


def back_up(state: Path, target: Path, extra: Mapping[str, bytes], version: str, now_ms: int, say: Say) -> Manifest:
    """Writes the file `target`; there is either all of it or none. Raises ProblemError (BAK801, BAK802, BAK803)."""
    if not (state / LOG).is_file():
        raise ProblemError(
            Problem("BAK801", str(state), "There is no log to back up.", "start the collector once, or check --config.")
        )
    if target.exists():
        raise ProblemError(Problem("BAK802", str(target), "This file is there already.", "name another file, or a folder."))
    _check_schema(state / LOG)
    part = target.parent / f".{target.name}.part"
    try:
        _remove_stale(target.parent)
        _check_space(state, target.parent)
        with ExitStack() as ending:
            ending.callback(part.unlink, missing_ok=True)
            with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
                with tarfile.open(fileobj=file, mode="w") as archive:
                    manifest = _Backup(state, archive, target.parent, say).write(extra, version, now_ms)
                file.flush()
                os.fsync(file.fileno())
            hazard("backup.commit.before")
            os.link(part, target)  # refuses a file that came meanwhile
            sync_folder(target.parent)
            hazard("backup.commit.after")
    except FileExistsError as error:
        raise ProblemError(Problem("BAK802", str(target), "This file is there already.", "name another file.")) from error
    except (OSError, sqlite3.Error) as error:
        what = f"The backup cannot be made: {error}. Nothing is left of it."
        raise ProblemError(Problem("BAK803", str(target), what, "free space, or name another place.")) from error
    return manifest


def rotate(folder: Path, pattern: str, keep: int) -> list[Path]:
    """Deletes all but the newest `keep` files (by name) of this pattern; gives what went."""
    gone = sorted(folder.glob(pattern))[:-keep]
    for file in gone:
        with suppress(FileNotFoundError):
            file.unlink()
    return gone


class _Backup:
    """One run."""

    def __init__(self, state: Path, archive: tarfile.TarFile, scratch: Path, say: Say) -> None:
        self._state, self._archive, self._scratch, self._say = state, archive, scratch, say
        self._files: list[Entry] = []

    def write(self, extra: Mapping[str, bytes], version: str, now_ms: int) -> Manifest:
        with ExitStack() as held:
            seen = self._look(held)
            damaged = list(seen.missing)
            for number, (segment, file) in enumerate(seen.segments, 1):
                self._segment(segment, file, damaged)
                self._say(f"segment {number} of {len(seen.segments)}")
            for name, database in seen.databases.items():
                self._database(name, database)
        for name, content in extra.items():
            self._add(name, io.BytesIO(content), len(content))
        manifest = Manifest(version, now_ms, seen.log_id, seen.first, seen.last, seen.cursors, list(self._files), damaged)
        body = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
        self._add(MANIFEST, io.BytesIO(body), len(body))
        return manifest

    def _look(self, held: ExitStack) -> _Seen:
        """Everything at one moment; again where the log was trimmed under it."""
        for _ in range(_ATTEMPTS):
            with ExitStack() as attempt:
                before = _low(self._state / LOG)
                seen = _look_once(self._state, attempt)
                if _low(self._state / LOG) == before == seen.first:
                    held.push(attempt.pop_all())
                    return seen
        raise OSError("the log is trimmed again and again")

    def _segment(self, segment: Segment, file: IO[bytes], damaged: list[str]) -> None:
        there = os.fstat(file.fileno()).st_size
        if there < segment.length:
            damaged.append(segment.name)
        self._add(f"{SEGMENT_FOLDER}/{segment.name}", file, min(there, segment.length))

    def _database(self, name: str, source: sqlite3.Connection) -> None:
        copy = self._scratch / f".{name}.backup-part"
        told = [0]

        def progress(_status: int, left: int, whole: int) -> None:
            tenth = (whole - left) * 10 // max(whole, 1)
            if tenth > told[0]:
                told[0] = tenth
                self._say(f"{name} {tenth * 10} %")

        try:
            copy.unlink(missing_ok=True)
            copy.touch(mode=0o600)
            with closing(sqlite3.connect(copy)) as target:
                target.execute("PRAGMA synchronous = OFF")  # the whole backup is synced at its end
                source.backup(target, pages=_PAGES, progress=progress, sleep=0)
            source.rollback()
            with copy.open("rb") as file:
                self._add(name, file, copy.stat().st_size)
        finally:
            copy.unlink(missing_ok=True)

    def _add(self, name: str, content: IO[bytes], size: int) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = size, 0o600
        reader = _Hashing(content, size)
        self._archive.addfile(member, reader)  # type: ignore[arg-type]
        self._files.append(Entry(name, size, reader.digest()))


class _Hashing:
    """What is read through it is summed up."""

    def __init__(self, content: IO[bytes], size: int) -> None:
        self._content, self._left, self._sum = content, size, hashlib.sha256()

    def read(self, count: int) -> bytes:
        chunk = self._content.read(min(count, self._left))
        self._left -= len(chunk)
        self._sum.update(chunk)
        return chunk

    def digest(self) -> str:
        return self._sum.hexdigest()


@dataclass(frozen=True, slots=True)
class _Seen:
    """One moment of a state folder. The log is the last of the databases."""

    databases: Mapping[str, sqlite3.Connection]
    segments: Sequence[tuple[Segment, IO[bytes]]]
    missing: Sequence[str]
    log_id: str
    first: int
    last: int
    cursors: dict[str, int]


def _look_once(state: Path, held: ExitStack) -> _Seen:
    names = [*sorted(file.name for file in state.glob("*.sqlite") if file.name != LOG), LOG]
    databases = {name: held.enter_context(_snapshot(state / name)) for name in names}
    log = databases[LOG]
    segments, missing = [], []
    rows = [Segment(*checked(row)) for row in log.execute(f"{SEGMENTS} WHERE records > 0 ORDER BY first")]
    _allow_open_files(len(rows))
    for segment in rows:
        try:
            segments.append((segment, held.enter_context((segment_folder(state / LOG) / segment.name).open("rb"))))
        except FileNotFoundError:
            missing.append(segment.name)
    log_id = log.execute("SELECT value FROM meta WHERE name = 'log_id'").fetchone()[0]
    last, first = get_state(log)
    cursors = {name: _cursor(databases[name], name) for name in names if name in CURSORS}
    return _Seen(databases, segments, missing, log_id, first, last, cursors)


def _low(path: Path) -> int:
    with closing(sqlite3.connect(path, timeout=30.0)) as database:
        return get_state(database)[1]


def _allow_open_files(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + 200
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


@contextmanager
def _snapshot(path: Path) -> Iterator[sqlite3.Connection]:
    """The database as it is at this moment."""
    with closing(sqlite3.connect(path, timeout=30.0, isolation_level=None)) as database:
        database.execute("BEGIN")
        database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        yield database


def _cursor(database: sqlite3.Connection, name: str) -> int:
    row = database.execute(CURSORS[name]).fetchone()
    return int(row[0]) if row else 0


def _check_space(state: Path, folder: Path) -> None:
    sizes = [file.stat().st_size for file in state.glob("*.sqlite*")]
    segments = sum(file.stat().st_size for file in segment_folder(state / LOG).glob("*.seg"))
    needed = sum(sizes) + max(sizes) + segments + (16 << 20)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(f"it needs {stored(needed)}, {stored(free)} are free")


def _check_schema(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        found = int(database.execute("PRAGMA user_version").fetchone()[0])
    if found != LOG_SCHEMA:
        what = f"The log is of schema {found}; this program backs up {LOG_SCHEMA}."
        raise ProblemError(
            Problem(
                "LOG404",
                str(path),
                what,
                "start the collector once with this version: it takes the log over. Then call this again.",
            )
        )


def _remove_stale(folder: Path) -> None:
    """Parts of backups that were killed long ago."""
    for part in folder.glob(".*.part"):
        if part.name.startswith(".collector-backup-") and time.time() - part.stat().st_mtime > _DAY_S:
            part.unlink(missing_ok=True)
