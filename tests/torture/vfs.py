"""Does I/O: a file system layer under Python's own sqlite3 that shows, and can refuse, every call SQLite makes on its files.

SQLite asks a VFS for its files. `install` registers one that is the default "unix" VFS but for xOpen and xDelete; a file that it
opens gets a copy of its methods in which read, write, truncate, sync and close go through `watcher` first. Everything else (locks,
shared memory of the WAL index, sizes) stays SQLite's own, so the code under test does not know that it is watched. It works because
_sqlite3 and ctypes share one libsqlite3.so.0; `install` says whether that is so.
"""

from __future__ import annotations

import ctypes as c
import sqlite3
import tempfile
from pathlib import Path
from typing import Any, Protocol

OK, FULL, CANTOPEN = 0, 13, 14
IOERR_READ, IOERR_WRITE, IOERR_FSYNC, IOERR_TRUNCATE, IOERR_DELETE = 266, 778, 1034, 1546, 2570
OPEN_CREATE = 4
OPEN_JOURNAL = 0x800 | 0x4000 | 0x80000
"""Kinds of file with whose first sync the unix VFS syncs the folder too: rollback journal, super-journal, WAL."""
_P, _I, _L = c.c_void_p, c.c_int, c.c_int64


class Watcher(Protocol):
    """Sees each call on a file that has a name. `ask` comes before it and gives OK or the error to answer; `tell` after success."""

    def ask(self, kind: str, path: str, offset: int, content: bytes) -> int: ...

    def tell(self, kind: str, path: str, offset: int, content: bytes) -> None: ...


class _Quiet:
    def ask(self, kind: str, path: str, offset: int, content: bytes) -> int:
        return OK

    def tell(self, kind: str, path: str, offset: int, content: bytes) -> None: ...


QUIET: Watcher = _Quiet()
watcher: Watcher = QUIET
"""Who watches at present; one at a time."""


class _Methods(c.Structure):
    _fields_ = [("iVersion", _I)] + [
        (name, _P)
        for name in (
            "xClose", "xRead", "xWrite", "xTruncate", "xSync", "xFileSize", "xLock", "xUnlock", "xCheckReservedLock",
            "xFileControl", "xSectorSize", "xDeviceCharacteristics", "xShmMap", "xShmLock", "xShmBarrier", "xShmUnmap",
            "xFetch", "xUnfetch",
        )
    ]  # fmt: skip


class _Vfs(c.Structure):
    _fields_ = [("iVersion", _I), ("szOsFile", _I), ("mxPathname", _I), ("pNext", _P), ("zName", c.c_char_p)] + [
        (name, _P)
        for name in (
            "pAppData", "xOpen", "xDelete", "xAccess", "xFullPathname", "xDlOpen", "xDlError", "xDlSym", "xDlClose", "xRandomness",
            "xSleep", "xCurrentTime", "xGetLastError", "xCurrentTimeInt64", "xSetSystemCall", "xGetSystemCall", "xNextSystemCall",
        )
    ]  # fmt: skip


_CLOSE = c.CFUNCTYPE(_I, _P)
_MOVE = c.CFUNCTYPE(_I, _P, _P, _I, _L)
_TRUNCATE = c.CFUNCTYPE(_I, _P, _L)
_SYNC = c.CFUNCTYPE(_I, _P, _I)
_OPEN = c.CFUNCTYPE(_I, _P, _P, _P, _I, _P)  # names stay pointers: SQLite keeps them, and parameters stand behind them
_DELETE = c.CFUNCTYPE(_I, _P, _P, _I)
_kept: list[Any] = []
"""C keeps pointers into these."""
_names: dict[int, str] = {}
"""Address of an open sqlite3_file, and its path."""
_brings_folder: set[int] = set()
"""Files whose next sync is one of their folder too."""
_watched: dict[int, _Methods] = {}
"""Address of the unix VFS's methods, and our copy."""


def _methods_of(original_at: int) -> _Methods:
    if original_at in _watched:
        return _watched[original_at]
    original = _Methods.from_address(original_at)
    real_close, real_read, real_write = _CLOSE(original.xClose), _MOVE(original.xRead), _MOVE(original.xWrite)
    real_truncate, real_sync = _TRUNCATE(original.xTruncate), _SYNC(original.xSync)

    def close(file: int) -> int:
        _names.pop(file, None)
        _brings_folder.discard(file)
        return real_close(file)

    def read(file: int, buffer: int, amount: int, offset: int) -> int:
        return watcher.ask("read", _names[file], offset, b"") or real_read(file, buffer, amount, offset)

    def write(file: int, buffer: int, amount: int, offset: int) -> int:
        content, path = c.string_at(buffer, amount), _names[file]
        if code := watcher.ask("write", path, offset, content):
            half = amount // 2  # an interrupted write leaves a part
            if half and real_write(file, buffer, half, offset) == OK:
                watcher.tell("write", path, offset, content[:half])
            return code
        code = real_write(file, buffer, amount, offset)
        if code == OK:
            watcher.tell("write", path, offset, content)
        return code

    def truncate(file: int, size: int) -> int:
        code = watcher.ask("truncate", _names[file], size, b"") or real_truncate(file, size)
        if code == OK:
            watcher.tell("truncate", _names[file], size, b"")
        return code

    def sync(file: int, flags: int) -> int:
        code = watcher.ask("sync", _names[file], 0, b"") or real_sync(file, flags)
        if code == OK:
            watcher.tell("sync", _names[file], 0, b"")
            if file in _brings_folder:
                _brings_folder.discard(file)
                watcher.tell("folder", _names[file], 0, b"")
        return code

    copy = _Methods.from_buffer_copy(original)
    made = {
        "xClose": _CLOSE(close),
        "xRead": _MOVE(read),
        "xWrite": _MOVE(write),
        "xTruncate": _TRUNCATE(truncate),
        "xSync": _SYNC(sync),
    }
    for name, function in made.items():
        setattr(copy, name, c.cast(function, _P))
    _kept.append((made, real_close, real_read, real_write, real_truncate, real_sync))
    _watched[original_at] = copy
    return copy


def _register(library: c.CDLL) -> None:
    library.sqlite3_vfs_find.restype, library.sqlite3_vfs_find.argtypes = _P, [c.c_char_p]
    library.sqlite3_vfs_register.argtypes = [_P, _I]
    original = _Vfs.from_address(library.sqlite3_vfs_find(b"unix"))
    real_open, real_delete = _OPEN(original.xOpen), _DELETE(original.xDelete)

    def open_file(vfs: int, name: int | None, file: int, flags: int, out_flags: int) -> int:
        path = c.string_at(name).decode() if name else ""
        is_new = bool(path and flags & OPEN_CREATE and not Path(path).exists())
        code = (watcher.ask("open", path, 0, b"") if path else OK) or real_open(vfs, name, file, flags, out_flags)
        methods_at = c.c_void_p.from_address(file)
        if code != OK:
            methods_at.value = None
        elif path and methods_at.value:
            _names[file] = path
            methods_at.value = c.addressof(_methods_of(methods_at.value))
            if flags & OPEN_CREATE and flags & OPEN_JOURNAL:
                _brings_folder.add(file)
            if is_new:
                watcher.tell("create", path, 0, b"")
        return code

    def delete(vfs: int, name: int, sync_folder: int) -> int:
        path = c.string_at(name).decode()
        code = watcher.ask("delete", path, 0, b"") or real_delete(vfs, name, sync_folder)
        if code == OK:
            watcher.tell("delete", path, sync_folder, b"")
        return code

    copy = _Vfs.from_buffer_copy(original)
    opener, deleter = _OPEN(open_file), _DELETE(delete)
    copy.zName, copy.xOpen, copy.xDelete = b"watched", c.cast(opener, _P), c.cast(deleter, _P)
    _kept.append((copy, opener, deleter, real_open, real_delete))
    library.sqlite3_vfs_register(c.addressof(copy), 1)


class _Once:
    """Whether the layer is in place; None until tried."""

    done: bool | None = None


def install() -> bool:
    """Puts the layer under every connection opened from now on; False where Python's sqlite3 does not share the library."""
    if _Once.done is None:
        try:
            _register(c.CDLL("libsqlite3.so.0"))
        except OSError:
            _Once.done = False
            return False
        _Once.done = _is_seen()
    return _Once.done


def _is_seen() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        connection = sqlite3.connect(Path(folder) / "probe.db")
        try:
            connection.execute("CREATE TABLE t(x)")
            return any(path.endswith("probe.db") for path in _names.values())
        finally:
            connection.close()


def watch(who: Watcher) -> None:
    """`who` sees every call from now on."""
    global watcher  # noqa: PLW0603 - C calls back without an object of ours
    watcher = who
