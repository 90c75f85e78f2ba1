"""Does I/O: makes sure that what is read from an SQLite database in WAL mode is on the medium, not only in the kernel's memory.

After kill -9, or after a sync that failed, the kernel may still show a WAL whose last commits never reached the medium. SQLite
takes them for good when it opens the file; whoever then tells others of them (a receipt) is wrong as soon as the power fails. Pages
of a failed sync count as clean, so that no later sync brings them either. Both are mended by writing the same bytes once more.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

_CHUNK_BYTES = 1 << 20


def settle(database: sqlite3.Connection, path: Path) -> None:
    """Everything that `database`, open on `path`, believes is durable on return. Raises sqlite3.Error, also for I/O of our own."""
    wal = path.with_name(f"{path.name}-wal")
    database.execute("BEGIN IMMEDIATE")  # nobody else writes the WAL meanwhile
    try:
        _write_again(wal)
    except FileNotFoundError:
        return
    except OSError as error:
        raise sqlite3.OperationalError(f"disk I/O error: {error.strerror or error}") from error
    finally:
        database.execute("ROLLBACK")


def _write_again(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        at = 0
        while chunk := os.pread(descriptor, _CHUNK_BYTES, at):
            at += os.pwrite(descriptor, chunk, at)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
