"""Does I/O: the state directory: made for this user alone, held by one collector at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from edge_agent.common.problem import Problem, ProblemError

LOCK = "lock"


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


class StateFolder:
    """The folder while it is held; `with` frees it."""

    def __init__(self, path: Path) -> None:
        """Raises ProblemError: COL405 another collector holds it, COL406 it cannot be used."""
        self.path = path
        try:
            path.mkdir(mode=0o750, parents=True, exist_ok=True)
            self._lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            do = "set state_directory to a folder that this user may write."
            raise ProblemError(
                Problem("COL406", str(path), f"The state directory cannot be used: {error.strerror}.", do)
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            do = "end the other one, or give this one another state_directory."
            raise ProblemError(Problem("COL405", str(path), "Another collector runs on this state directory.", do)) from error

    def __enter__(self) -> StateFolder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self._lock)
