"""Does I/O: lays a backup into a state folder: unpacked beside, checked, given a new log id, and only then moved to its place.

The new log id makes every agent send again what it still holds. While `.restoring` is there the collector does not start: a restore
that was interrupted is done again from its beginning.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import msgspec

from collector.io.backup import LOG, MANIFEST, SCHEMA, Manifest, Say
from collector.io.log_schema import SCHEMA as LOG_SCHEMA
from collector.io.log_schema import put_log_id
from collector.io.state_folder import LOCK, RESTORING, StateFolder
from edge_agent.common.durable import sync_folder
from edge_agent.common.hazard import hazard
from edge_agent.common.problem import Problem, ProblemError
from edge_agent.common.words import stored

_MAX_MANIFEST = 16 << 20
_CHUNK = 1 << 20
CONFIGURATION = "configuration"
"""Folder of the backup's configuration files; they are laid down for comparison and are not used."""


class Restored(NamedTuple):
    """What was done. aside: where the state of before lies; empty where there was none."""

    manifest: Manifest
    log_id: str
    aside: str


def restore(file: Path, state: Path, stamp: str, replace: bool, say: Say) -> Restored:
    """Makes `state` what it was. stamp: for the name of what is moved aside. Raises ProblemError (BAK804-807, COL405, COL406)."""
    with StateFolder(state):
        there = [entry for entry in state.iterdir() if entry.name not in (LOCK, RESTORING)]
        if there and not replace:
            do = "add --replace: it moves what is there aside, into a folder beside it."
            raise ProblemError(Problem("BAK804", str(state), "The state directory is not empty.", do))
        fresh = state / RESTORING
        try:
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(mode=0o700)
            with _removed_on_failure(fresh):
                manifest = _unpack(file, fresh, say)
                log_id = _new_log_id(fresh / LOG)
                _sync(fresh)
                _give_to_owner(state, fresh)
            hazard("restore.commit.before")
            aside = _move_aside(there, state, stamp)
            for entry in sorted(fresh.iterdir()):
                entry.rename(state / entry.name)
                hazard("restore.move")
            sync_folder(state)
            fresh.rmdir()
            sync_folder(state)
            hazard("restore.commit.after")
        except (OSError, sqlite3.Error, tarfile.TarError) as error:
            what = f"The backup cannot be restored: {error}."
            raise ProblemError(Problem("BAK807", str(file), what, "free space or mend the file, and restore again.")) from error
    return Restored(manifest, log_id, aside)


def read_manifest(file: Path) -> Manifest:
    """What a backup says it holds. Raises ProblemError (BAK805, BAK806)."""
    try:
        with tarfile.open(file) as archive:
            found = archive.extractfile(MANIFEST)
            body = found.read(_MAX_MANIFEST) if found is not None else b""
        manifest = msgspec.json.decode(body, type=Manifest)
    except (OSError, KeyError, tarfile.TarError, msgspec.MsgspecError) as error:
        raise _damaged(file, f"it is no whole backup: {error}") from error
    if manifest.schema != SCHEMA:
        what = f"The backup is of form {manifest.schema}; this program knows {SCHEMA}."
        raise ProblemError(Problem("BAK806", str(file), what, "restore it with the version that made it, or a newer one."))
    return manifest


def _unpack(file: Path, folder: Path, say: Say) -> Manifest:
    manifest = read_manifest(file)
    expected = {entry.name: entry for entry in manifest.files}
    needed, free = sum(entry.bytes for entry in manifest.files), shutil.disk_usage(folder).free
    if free < needed + (16 << 20):
        raise OSError(f"it needs {stored(needed)}, {stored(free)} are free")
    with tarfile.open(file) as archive:
        for number, member in enumerate(archive, 1):
            if member.name == MANIFEST:
                continue
            entry = expected.pop(member.name, None)
            content = archive.extractfile(member)
            if entry is None or content is None or not _is_plain(member.name):
                raise _damaged(file, f"`{member.name[:100]}` does not belong into it")
            target = folder / member.name
            target.parent.mkdir(mode=0o700, exist_ok=True)
            summed, size = hashlib.sha256(), 0
            with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as out:
                while chunk := content.read(_CHUNK):
                    summed.update(chunk)
                    size += len(chunk)
                    out.write(chunk)
            if (size, summed.hexdigest()) != (entry.bytes, entry.sha256):
                raise _damaged(file, f"`{entry.name}` is not as it was written")
            say(f"file {number} of {len(manifest.files)}")
    if expected or not (folder / LOG).exists():
        raise _damaged(file, f"{', '.join(sorted(expected)[:3]) or LOG} is missing")
    return manifest


@contextmanager
def _removed_on_failure(folder: Path) -> Iterator[None]:
    """Until here the state is as it was: what refuses leaves nothing behind."""
    try:
        yield
    except Exception:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _new_log_id(path: Path) -> str:
    """Agents that hear it send again what they hold. Raises ProblemError (BAK806)."""
    log_id = secrets.token_hex(8)
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        version = int(database.execute("PRAGMA user_version").fetchone()[0])
        if version > LOG_SCHEMA:
            what = f"The backup holds a log of schema {version}; this program knows {LOG_SCHEMA}."
            raise ProblemError(Problem("BAK806", str(path), what, "restore it with the version that made it, or a newer one."))
        put_log_id(database, log_id)
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return log_id


def _move_aside(there: list[Path], state: Path, stamp: str) -> str:
    if not there:
        return ""
    aside = state / f"replaced-{stamp}"
    aside.mkdir(mode=0o700)
    for entry in there:
        if not entry.name.startswith("replaced-"):
            entry.rename(aside / entry.name)
            hazard("restore.move")
    return str(aside)


def _give_to_owner(state: Path, fresh: Path) -> None:
    """Restored by root: what was unpacked belongs to the user of the state folder all the same."""
    if os.geteuid() != 0:
        return
    owner = state.stat()
    for entry in (state / LOCK, fresh, *fresh.rglob("*")):
        os.chown(entry, owner.st_uid, owner.st_gid)


def _sync(folder: Path) -> None:
    """All of it is on the medium."""
    for entry in sorted(folder.rglob("*")):
        if entry.is_dir():
            sync_folder(entry)
        else:
            with entry.open("rb") as file:
                os.fsync(file.fileno())
    sync_folder(folder)


def _is_plain(name: str) -> bool:
    """A file in the folder itself or one below it."""
    parts = PurePosixPath(name).parts
    return (
        1 <= len(parts) <= 2 and not name.startswith("/") and not any(part in ("..", ".") or part.startswith(".") for part in parts)
    )


def _damaged(file: Path, why: str) -> ProblemError:
    do = "take another backup; nothing was changed."
    return ProblemError(Problem("BAK805", str(file), f"The backup cannot be used: {why}.", do))
