"""Does I/O: what SQLite leaves open about its write-ahead log: that what it shows is on the medium, and that nothing is missing.

`settle`: after kill -9, or after a sync that failed, the kernel may still show a WAL whose last commits never reached the medium.
SQLite takes them for good when it opens the file; whoever then tells others of them (a receipt) is wrong as soon as the power
fails. Pages of a failed sync count as clean, so that no later sync brings them either. Both are mended by writing the same bytes
once more.

`is_cut_short`: a log in which something has changed since it was written ends there for SQLite, with every commit behind it.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from edge_agent.common.durable import sync_folder, write_all
from edge_agent.common.wal_frames import Found, examine, rebuilt

_log = logging.getLogger(__name__)
DAMAGED = "-wal.damaged"
"""Beside a database: its log as it was found. As long as it is there the database lacks something and must be replaced."""
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


def is_cut_short(path: Path) -> bool:
    """True if commits are missing in the database at `path`, because its log was damaged. Before it is opened. Raises OSError.

    A single bit that has changed is put right, and nothing is missing. Else the log is kept for inspection, and what is sound of
    its frames stands in its place: every row must be judged by its own checksum then.
    """
    wal, kept = path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}{DAMAGED}")
    try:
        descriptor = os.open(wal, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return kept.exists()
    try:
        found = examine(lambda at, count: os.pread(descriptor, count, at), os.fstat(descriptor).st_size)
        if found.is_damaged:
            _keep(descriptor, kept)
            _replace(descriptor, wal, found)
        elif found.flips:
            for offset, bit in found.flips:
                os.pwrite(descriptor, bytes([os.pread(descriptor, 1, offset)[0] ^ 1 << bit]), offset)
            os.fsync(descriptor)
            bits = "a bit" if len(found.flips) == 1 else f"{len(found.flips)} bits"
            _log.warning("%s: %s had changed on the medium and is put right", wal, bits)
    finally:
        os.close(descriptor)
    return found.is_damaged or kept.exists()


def _keep(descriptor: int, kept: Path) -> None:
    """A copy, durable; the first one stands."""
    if kept.exists():
        return
    making = kept.with_name(f"{kept.name}-new")
    size = os.fstat(descriptor).st_size
    _write(making, (os.pread(descriptor, _CHUNK_BYTES, at) for at in range(0, size, _CHUNK_BYTES)))
    making.rename(kept)
    sync_folder(kept.parent)


def _replace(descriptor: int, wal: Path, found: Found) -> None:
    making = wal.with_name(f"{wal.name}-new")
    _write(making, rebuilt(lambda at, count: os.pread(descriptor, count, at), found))
    making.rename(wal)
    sync_folder(wal.parent)


def _write(path: Path, parts: Iterable[bytes]) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        at = 0
        for part in parts:
            at = write_all(descriptor, part, at)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
