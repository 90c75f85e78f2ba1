"""Does I/O: puts a new SQLite database in the place of a damaged one, so that a kill at any moment costs nothing.

A new file is made beside it from what can be read (`readable`). When that is whole and on the medium it takes the name `.rescued`:
from then on it is what is believed. `finish`, now or at the next start, sets the damaged one aside for inspection and gives the new
one its name. A crash on the way leaves either the damaged file, or a whole new one. What was set aside stays, and is told of
(`asides`), until a person moves it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from edge_agent.common.durable import sync_folder
from edge_agent.common.hazard import hazard
from edge_agent.common.wal import DAMAGED

T = TypeVar("T")
_BESIDE = ("-shm", "-journal", DAMAGED, "-wal")
"""What belongs to a database and goes with it. The log last: beside another file SQLite would believe it."""
_WORDS = (
    "malformed", "not a database", "user-defined function", "unsupported file format", "too big",
    "no such table", "no such column", "already exists",
)  # fmt: skip
"""Of SQLite, where the file itself is wrong; the later ones where a name has changed."""
Failed = (sqlite3.Error, OSError, UnicodeDecodeError)
"""What a call on a file raises; the last where SQLite's own words hold what stands in a damaged page."""


def damage(words: str = "database disk image is malformed") -> sqlite3.DatabaseError:
    """For what is damaged by our own rules: said in the words of SQLite."""
    return sqlite3.DatabaseError(words)


def is_damage(error: BaseException | None) -> bool:
    """True if the file itself is wrong, not the medium or its free space."""
    if isinstance(error, sqlite3.Error):
        return any(words in str(error) for words in _WORDS)
    return isinstance(error, UnicodeDecodeError)


def readable(rows: Callable[[], Iterable[T]]) -> Iterator[T]:
    """As many as can be read of a damaged file. Raises where the medium refuses: nothing may be given up for that."""
    try:
        yield from rows()
    except Failed as error:
        if not is_damage(error):
            raise


def replace_damaged(path: Path, build: Callable[[Path], object]) -> None:
    """Puts a new database in the place of a damaged one. Raises sqlite3.Error, OSError.

    build: makes the new file under the name given, from what it can read at `path`, and closes it.
    """
    part = path.with_name(f"{path.name}.part")
    for suffix in ("", *_BESIDE):
        part.with_name(part.name + suffix).unlink(missing_ok=True)
    part.touch(mode=0o600)
    build(part)
    with closing(sqlite3.connect(part)) as database:
        if database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            raise sqlite3.OperationalError("the new database is in use")
    _sync(part)
    hazard("rescue.commit.before")
    part.rename(_ready(path))
    sync_folder(path.parent)
    hazard("rescue.commit.after")
    finish(path)


def finish(path: Path) -> None:
    """Ends what `replace_damaged` began; nothing where nothing was begun. Raises OSError."""
    ready = _ready(path)
    if not ready.exists():
        return
    aside = aside_of(path)
    for suffix in (*_BESIDE, ""):  # the database last: as long as it is there its number is free
        source = path.with_name(path.name + suffix)
        if source.exists():
            source.rename(aside.with_name(aside.name + suffix))
            hazard("rescue.move")
    sync_folder(path.parent)  # a WAL that came back would be taken for the new one's
    ready.rename(path)
    sync_folder(path.parent)
    hazard("rescue.end")


def aside_of(path: Path) -> Path:
    """Where a damaged file goes next."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    return aside


def asides(path: Path) -> list[Path]:
    """The damaged databases that were set aside and are there still, oldest first."""
    return sorted(
        (file for file in path.parent.glob(f"{path.name}.damaged-*") if not file.name.endswith(_BESIDE)),
        key=lambda file: (len(file.name), file.name),
    )


def _ready(path: Path) -> Path:
    return path.with_name(f"{path.name}.rescued")


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
