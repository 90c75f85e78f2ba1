"""Does I/O: the thread that sends what has to be told, and writes down what came of it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from collector.seams import Notice, Notifier, Outcome, StorageFailed
from edge_agent.common.clock import Clock
from edge_agent.common.hazard import hazard

_log = logging.getLogger(__name__)
IDLE_S = 1.0
"""How often the outbox of notices is looked at when nobody wakes the dispatcher."""


class Due(Protocol):
    """One notice that has to be sent now."""

    @property
    def notice(self) -> Notice:
        """What is told."""
        ...

    @property
    def channel(self) -> str:
        """By which notifier."""
        ...

    @property
    def attempt(self) -> int:
        """Counts from 1."""
        ...


class Outbox(Protocol):
    """`collector.io.operations.SqliteOperations`, as far as it is needed here."""

    def due(self, now_ms: int, limit: int = 20) -> Sequence[Due]:
        """Takes what has to be sent now."""
        ...

    def sent(self, notice_id: str, outcome: Outcome, now_ms: int) -> None:
        """Writes down what came of it."""
        ...


class Dispatcher:
    """Sends notices one after another. `wake` after a commit that made some; `run` until `stop` is set."""

    def __init__(
        self, operations: Outbox, notifiers: Mapping[str, Notifier], clock: Clock, beat: Callable[[], None] | None = None
    ) -> None:
        """notifiers: by the name of their channel. beat: called in every round, for the watchdog."""
        self._operations = operations
        self._notifiers = notifiers
        self._clock = clock
        self._beat = beat
        self._woken = threading.Event()

    def wake(self) -> None:
        """There is something to send. From any thread."""
        self._woken.set()

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set (call `wake` too, to end at once). A medium that refuses is tried again."""
        failing = False
        while not stop.is_set():
            if self._beat is not None:
                self._beat()
            try:
                busy = self.round(stop)
                failing = False
            except StorageFailed as error:
                busy = False
                if not failing:
                    _log.error("notices wait: %s", error)
                failing = True
            if not busy and not stop.is_set():
                self._woken.wait(IDLE_S)
                self._woken.clear()

    def round(self, stop: threading.Event | None = None) -> bool:
        """Sends what is due. True if there was something. Raises StorageFailed."""
        busy = False
        while not (stop is not None and stop.is_set()) and (batch := self._operations.due(self._clock.utc_ms(), limit=1)):
            busy = True
            for due in batch:
                self._send(due)
        return busy

    def _send(self, due: Due) -> None:
        notifier = self._notifiers.get(due.channel)
        if notifier is None:
            outcome = Outcome(ok=False, retry=False, detail=f'there is no notifier "{due.channel}" any more')
        else:
            hazard("notice.send.before")
            outcome = notifier.send(due.notice)
            hazard("notice.send.after")
        if not outcome.ok:
            _log.warning(
                "notice %s, attempt %d: %s%s", due.notice.id, due.attempt, outcome.detail, "" if outcome.retry else "; given up"
            )
        self._operations.sent(due.notice.id, outcome, self._clock.utc_ms())
