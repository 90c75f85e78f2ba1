"""Does I/O: records what the code under test does to a folder's files, in order, and makes the n-th call fail where asked.

SQLite's calls come through vfs.py. What Python code does itself comes through the functions of `os` that change files by descriptor
(`_OS`), which call the real ones, and through audit events for names (made, renamed, removed).
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from tests.torture import vfs
from tests.torture.disk import Call, Disk

Fault = Callable[[int, str], int]
"""(number of the call, its kind) -> vfs.OK or the error it answers."""


def no_fault(number: int, kind: str) -> int:
    """A sound medium."""
    return vfs.OK


class Recorder:
    """Watches one folder. disk: as it is after the calls so far."""

    def __init__(self, root: Path, disk: Disk | None = None, fault: Fault = no_fault, seed: int = 0) -> None:
        self.root = root
        self.calls: list[Call] = []
        self.disk = disk or Disk()
        self.asked = 0
        self._fault = fault
        self._random = Random(seed)
        self._paused = False

    def ask(self, kind: str, path: str, offset: int, content: bytes) -> int:
        name = self._name(path)
        if name is None:
            return vfs.OK
        self.asked += 1
        code = self._fault(self.asked, kind)
        if code and kind == "sync":
            self._note(Call("lost", name))
        return code

    def tell(self, kind: str, path: str, offset: int, content: bytes) -> None:
        name = self._name(path)
        if name is not None:
            self._note(Call(kind, name, offset, content))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What happens meanwhile is none of our business."""
        self._paused = True
        try:
            yield
        finally:
            self._paused = False

    def audit(self, event: str, arguments: tuple[object, ...]) -> None:
        """Python's own changes of names."""
        if event == "open":
            name = self._name(arguments[0])
            flags = arguments[2]
            if name is not None and isinstance(flags, int) and flags & os.O_CREAT and name not in self.disk.files:
                self._note(Call("create", name))
        elif event == "os.rename":
            name, new = self._name(arguments[0]), self._name(arguments[1])
            if name is not None and new is not None and name in self.disk.files:
                self._note(Call("rename", name, 0, new.encode()))
        elif event == "os.remove":
            name = self._name(arguments[0])
            if name is not None and name in self.disk.files:
                self._note(Call("delete", name))

    def watches(self, path: str) -> bool:
        """True for a path of the folder."""
        return self._name(path) is not None

    def _name(self, path: object) -> str | None:
        if self._paused or not isinstance(path, str | Path):
            return None
        text = str(path)
        prefix = f"{self.root}/"
        name = text.removeprefix(prefix)
        return name if text.startswith(prefix) and not name.endswith("-shm") else None

    def _note(self, call: Call) -> None:
        self.calls.append(call)
        self.disk.apply(call, self._random)


def _path_of(descriptor: int) -> str:
    try:
        return str(Path(f"/proc/self/fd/{descriptor}").readlink())
    except OSError:
        return ""


_real = {name: getattr(os, name) for name in ("write", "pwrite", "writev", "fsync", "fdatasync", "ftruncate", "pread")}


class _Os:
    """Functions of `os`, seen by a recorder and refused with EIO where it says so."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def _ask(self, kind: str, path: str) -> None:
        if self._recorder.ask(kind, path, 0, b""):
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    def pwrite(self, descriptor: int, content: bytes, offset: int) -> int:
        path = _path_of(descriptor)
        try:
            self._ask("write", path)
        except OSError:
            half = bytes(content)[: len(content) // 2]
            _real["pwrite"](descriptor, half, offset)
            self._recorder.tell("write", path, offset, half)
            raise
        count: int = _real["pwrite"](descriptor, content, offset)
        self._recorder.tell("write", path, offset, bytes(content)[:count])
        return count

    def write(self, descriptor: int, content: bytes) -> int:
        path = _path_of(descriptor)
        if self._recorder.watches(path):
            self._ask("write", path)
        appends = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_APPEND if self._recorder.watches(path) else 0
        before = os.fstat(descriptor).st_size if appends else 0
        count: int = _real["write"](descriptor, content)
        if self._recorder.watches(path):
            at = before if appends else os.lseek(descriptor, 0, os.SEEK_CUR) - count
            self._recorder.tell("write", path, at, bytes(content)[:count])
        return count

    def writev(self, descriptor: int, parts: list[bytes]) -> int:
        return self.write(descriptor, b"".join(parts))

    def fsync(self, descriptor: int) -> None:
        path = _path_of(descriptor)
        if Path(path).is_dir():
            _real["fsync"](descriptor)
            self._recorder.tell("folder", f"{path}/", 0, b"")
            return
        self._ask("sync", path)
        _real["fsync"](descriptor)
        self._recorder.tell("sync", path, 0, b"")

    def ftruncate(self, descriptor: int, size: int) -> None:
        path = _path_of(descriptor)
        self._ask("truncate", path)
        _real["ftruncate"](descriptor, size)
        self._recorder.tell("truncate", path, size, b"")

    def pread(self, descriptor: int, count: int, offset: int) -> bytes:
        self._ask("read", _path_of(descriptor))
        content: bytes = _real["pread"](descriptor, count, offset)
        return content

    def stand_in(self) -> None:
        """From now on everybody's `os` is seen."""
        for name in _real:
            setattr(os, name, getattr(self, "fsync" if name == "fdatasync" else name))

    @staticmethod
    def step_back() -> None:
        """The real functions again."""
        for name, function in _real.items():
            setattr(os, name, function)


class _Audit:
    hooked = False
    recorder: Recorder | None = None

    @classmethod
    def hook(cls, event: str, arguments: tuple[object, ...]) -> None:
        if cls.recorder is not None and event in {"open", "os.rename", "os.remove"}:
            cls.recorder.audit(event, arguments)


@contextmanager
def recording(recorder: Recorder) -> Iterator[Recorder]:
    """Everything under the recorder's root is recorded."""
    if not _Audit.hooked:
        sys.addaudithook(_Audit.hook)
        _Audit.hooked = True
    vfs.watch(recorder)
    _Audit.recorder = recorder
    _Os(recorder).stand_in()
    try:
        yield recorder
    finally:
        _Os.step_back()
        _Audit.recorder = None
        vfs.watch(vfs.QUIET)


def lay_out(files: dict[str, bytes], folder: Path) -> None:
    """Makes `folder` hold exactly these files."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
