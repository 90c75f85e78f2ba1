"""Does I/O: what follows the log: a thread with its own cursor, woken as soon as the log grows.

What a consumer has done is durable with its cursor, so a restart goes on where the last run stopped; one that cannot go on holds
its data and says why, and the other consumer does not notice.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable

from collector.following import Following
from collector.seams import Log, StorageFailed, StoreAway, StoreRefused
from edge_agent.common.clock import Clock
from edge_agent.common.problem import Problem
from edge_agent.common.thread_name import name_thread

_log = logging.getLogger(__name__)
GIVE_UP_MS = 7 * 86_400_000
"""How long a batch waits for its birth."""


class Appended:
    """Tells consumers at once that the log has grown."""

    def __init__(self, last: int) -> None:
        self._last = last
        self._changed = threading.Condition()

    def announce(self, last: int) -> None:
        """The log's last offset is `last`."""
        with self._changed:
            self._last = max(self._last, last)
            self._changed.notify_all()

    def wait_beyond(self, offset: int, timeout_s: float, stopping: threading.Event) -> None:
        """Returns when the log reaches beyond `offset`, at the end, or after timeout_s."""
        with self._changed:
            self._changed.wait_for(lambda: self._last > offset or stopping.is_set(), timeout_s)

    def wake(self) -> None:
        """Lets everybody look again."""
        with self._changed:
            self._changed.notify_all()


class Consumer(ABC):
    """A thread that follows the log. `problem`, `position` and `safe` may be asked from any thread."""

    def __init__(self, name: str, log: Log, appended: Appended, clock: Clock, beat: Callable[[str], None]) -> None:
        self.name = name
        self.problem: Problem | None = None
        self._log = log
        self._appended = appended
        self._clock = clock
        self._beat = beat
        self._stopping = threading.Event()
        self._following: Following | None = None
        self._done = (0, 0)
        """Position and safe offset after the last turn that was carried out to its end."""
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def position(self) -> int:
        """Up to this offset everything was carried out; what is being tried is not."""
        return self._done[0]

    @property
    def safe(self) -> int:
        """The log must keep everything above this offset for this consumer."""
        return self._done[1]

    @property
    def alive(self) -> bool:
        """False if the thread has ended."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begins to read."""
        self._following = self._begin()
        self._done = (self._following.position, self._following.safe)
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Ends after the turn at hand."""
        self._stopping.set()
        self._appended.wake()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    @abstractmethod
    def _begin(self) -> Following:
        """Where the last run stopped."""

    @abstractmethod
    def _turn(self, following: Following) -> float:
        """Does what there is to do; gives how long to wait for more, in s (0: not at all)."""

    def _run(self) -> None:
        name_thread()
        following = self._following
        while following is not None and not self._stopping.is_set():
            self._beat(self.name)
            try:
                wait_s = self._turn(following)
            except StorageFailed as failed:  # the log cannot be read: nothing was taken from it
                self._trouble(_disk_problem(self.name, failed))
                self._stopping.wait(2.0)
                continue
            if not self._stopping.is_set():
                self._done = (following.position, following.safe)
            if wait_s:
                self._appended.wait_beyond(following.position, wait_s, self._stopping)

    def _until_done(self, attempt: Callable[[], None]) -> bool:
        """Tries again until it succeeds; False if the end came before. Data is held meanwhile, never dropped."""
        while not self._stopping.is_set():
            self._beat(self.name)
            try:
                attempt()
            except StoreAway as away:
                wait_s = min(max(away.retry_after_s, 0.1), 30.0)
                self._trouble(
                    Problem(
                        "COL402",
                        self.name,
                        f"The store is away: {away}. The log holds the data.",
                        "start it, or check its address.",
                    )
                )
            except StoreRefused as refused:
                wait_s = 5.0
                self._trouble(
                    Problem(
                        "COL403",
                        self.name,
                        f"The store refuses: {refused}. The log holds the data.",
                        "mend rights, bucket or token.",
                    )
                )
            except StorageFailed as failed:
                wait_s = 2.0
                self._trouble(_disk_problem(self.name, failed))
            else:
                if self.problem is not None:
                    _log.warning("%s: works again", self.name)
                self.problem = None
                return True
            self._stopping.wait(wait_s)
        return False

    def _trouble(self, problem: Problem) -> None:
        if self.problem is None or self.problem.code != problem.code:
            _log.error("%s", problem.what)
        self.problem = problem


def _disk_problem(name: str, failed: StorageFailed) -> Problem:
    return Problem("COL404", name, f"The disk refuses: {failed}.", "free space, or check the disk: `dmesg`, `df -h`.")
