"""Does I/O: the state directory: made for this user alone, held by one collector at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from edge_agent.common.problem import Problem, ProblemError

LOCK = "lock"
RESTORING = ".restoring"
"""What `collector restore` works in; while it is there the state is not whole."""


def is_held(path: Path) -> bool:
    """True while a collector runs on this state directory; also when its lock may not be looked at."""
    try:
        lock = os.open(path / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def state_problem(path: Path) -> Problem | None:
    """What speaks against this state directory, without making or changing anything."""
    nearest = path
    while not os.access(nearest, os.F_OK) and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        return _unusable(path, f"{nearest} is no folder")
    return None if os.access(nearest, os.W_OK | os.X_OK) else _unusable(path, f"{nearest} may not be written by this user")


def _unusable(path: Path, why: str) -> Problem:
    do = "set state_directory to a folder that this user may write."
    return Problem("COL406", str(path), f"The state directory cannot be used: {why}.", do)


class StateFolder:
    """The folder while it is held; `with` frees it."""

    def __init__(self, path: Path) -> None:
        """Raises ProblemError: COL405 another collector holds it, COL406 it cannot be used."""
        self.path = path
        try:
            path.mkdir(mode=0o750, parents=True, exist_ok=True)
            self._lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise ProblemError(_unusable(path, error.strerror or str(error))) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            do = "end the other one, or give this one another state_directory."
            raise ProblemError(Problem("COL405", str(path), "Another collector runs on this state directory.", do)) from error

    def check_whole(self) -> None:
        """Raises ProblemError (BAK808) where a restore was interrupted."""
        if (self.path / RESTORING).exists():
            what = "A restore of this state directory was interrupted; what lies there may be half of it."
            raise ProblemError(Problem("BAK808", str(self.path), what, "do it again: `collector restore FILE --replace`."))

    def __enter__(self) -> StateFolder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self._lock)
