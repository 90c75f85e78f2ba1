"""Does I/O: the intake's thread: hands messages to the intake machine, carries out its commits, sends its receipts.

All messages that wait when a commit begins go into it together (group commit). Whoever drops a message drops nothing for good:
without a receipt the agent sends it again.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence

from collector.consumer import Appended
from collector.domain.identity import GatewayId
from collector.domain.pulse import GatewayPulse
from collector.intake.core import Intake
from collector.intake.foreign import SENDER
from collector.intake.machine import (
    Action,
    Append,
    Arrived,
    CommitFailed,
    Committed,
    Connected,
    Disconnected,
    Event,
    Foreign,
    Publish,
    Start,
    Tick,
    WakeAt,
)
from collector.intake.records import Poison, Refusals
from collector.io.disk_guard import DiskGuard
from collector.seams import Log, Message, StorageFailed, Subscriber
from edge_agent.common.clock import Clock
from edge_agent.common.problem import Problem
from edge_agent.common.thread_name import name_thread

_log = logging.getLogger(__name__)
NAME = "intake"
MAX_WAITING_BYTES = 128 << 20
"""Messages that wait for the intake; beyond it new ones are let go."""
TURN_EVENTS = 2000
TURN_S = 0.5
PULSE_MS = 500
REFUSALS_TOLD_MS = 60_000
"""Refused messages are told in the log at most this often."""


class Receiver:
    """Owns the intake machine and every write to the log. `pulses`, `problem` and `submit` may be called from any thread."""

    def __init__(
        self,
        log: Log,
        births: frozenset[tuple[GatewayId, str]],
        subscriber: Subscriber,
        appended: Appended,
        clock: Clock,
        disk: DiskGuard,
        beat: Callable[[str], None],
    ) -> None:
        self._log = log
        self._subscriber = subscriber
        self._appended = appended
        self._clock = clock
        self._disk = disk
        self._beat = beat
        self._intake = Intake()
        self._events: deque[Event] = deque([Start(log.log_id, log.lanes(), births)])
        self._jobs: deque[Callable[[], None]] = deque()
        self._waiting_bytes = 0
        self._changed = threading.Condition()
        self._stopping = False
        self._wake_ms: int | None = None
        self._append: Append | None = None
        self._pulses: Sequence[GatewayPulse] = ()
        self._pulsed_ms = 0
        self._refusals = Refusals()
        self._refused_told = 0
        self._refused_told_ms: int | None = None
        self._failed = ""
        self.connected = False
        self.let_go = 0
        """Messages not taken because too many waited."""
        self.poison = 0
        """Messages quarantined since the start."""
        self._thread = threading.Thread(target=self._run, name=NAME, daemon=True)

    def start(self) -> None:
        """Begins to work, then to listen."""
        self._thread.start()
        self._subscriber.start(self._on_message, self._on_connected)

    def stop(self, timeout_s: float = 5.0) -> None:
        """Takes no more messages, commits what is here, sends the last receipts."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        self._subscriber.stop()

    def pulses(self) -> Sequence[GatewayPulse]:
        """Every gateway, at most half a second old."""
        return self._pulses

    def refusals(self) -> Refusals:
        """What was refused since the start, at most half a second old."""
        return self._refusals

    def problem(self) -> Problem | None:
        """Why nothing is received at this moment."""
        if not self._failed:
            return None
        do = "free space, or check the disk: `df -h`, `dmesg`."
        return Problem("COL401", "log", f"Nothing can be written to the log: {self._failed}. The gateways keep their data.", do)

    def submit(self, job: Callable[[], None]) -> None:
        """Lets a job run on the thread that owns the log's writes."""
        with self._changed:
            self._jobs.append(job)
            self._changed.notify_all()

    # --- the threads of the subscriber and of the broker ---

    def hear_foreign(self, event: Foreign) -> None:
        """The embedded broker kept messages away."""
        self._hear(event)

    def _on_message(self, message: Message) -> None:
        self._hear(Arrived(message.topic, message.gateway, message.kind, message.payload, message.retained))

    def _hear(self, event: Arrived | Foreign) -> None:
        with self._changed:
            if self._waiting_bytes > MAX_WAITING_BYTES:
                self.let_go += 1
                return
            self._waiting_bytes += len(event.payload) + 200
            self._events.append(event)
            self._changed.notify_all()

    def _on_connected(self, up: bool) -> None:
        self.connected = up
        with self._changed:
            self._events.append(Connected() if up else Disconnected())
            self._changed.notify_all()

    # --- the intake's thread ---

    def _run(self) -> None:
        name_thread()
        while True:
            self._beat(NAME)
            events, jobs, last = self._take()
            for event in events:
                self._do(self._intake.step(self._clock.utc_ms(), event))
            self._commit()
            for job in jobs:
                job()
            self._note()
            if last:
                return

    def _take(self) -> tuple[list[Event], list[Callable[[], None]], bool]:
        with self._changed:
            if not (self._events or self._jobs or self._stopping):
                self._changed.wait(self._wait_s())
            count = min(len(self._events), TURN_EVENTS)
            events = [self._events.popleft() for _ in range(count)]
            self._waiting_bytes -= sum(len(event.payload) + 200 for event in events if isinstance(event, Arrived | Foreign))
            jobs, self._jobs = list(self._jobs), deque()
            last = self._stopping and not self._events
        if self._wake_ms is not None and self._clock.utc_ms() >= self._wake_ms:
            self._wake_ms = None
            events.append(Tick())
        return events, jobs, last

    def _wait_s(self) -> float:
        if self._wake_ms is None:
            return TURN_S
        return min(TURN_S, max(0.0, (self._wake_ms - self._clock.utc_ms()) / 1000))

    def _do(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case Append():
                    self._append = action
                case Publish():
                    self._subscriber.publish(action.gateway, action.kind, action.payload)
                case WakeAt():
                    self._wake_ms = action.ms

    def _commit(self) -> None:
        """Carries out the commit asked for, and the one that gathered meanwhile."""
        while self._append is not None:
            append, self._append = self._append, None
            self._do(self._intake.step(self._clock.utc_ms(), self._written(append)))

    def _written(self, append: Append) -> Committed | CommitFailed:
        reason = "less than 3 % of the disk is free" if self._disk.is_low() else ""
        if not reason:
            try:
                self._appended.announce(self._log.append(append.records, append.lanes, append.poison))
                self.poison += len(append.poison)
                _tell_foreign(append.poison)
            except StorageFailed as failed:
                reason = str(failed)
        if reason and not self._failed:
            _log.error("the log cannot be written: %s", reason)
        self._failed = reason
        return CommitFailed(append.token, reason) if reason else Committed(append.token)

    def _note(self) -> None:
        now_ms = self._clock.monotonic_ms()
        if now_ms - self._pulsed_ms >= PULSE_MS:
            self._pulsed_ms = now_ms
            self._pulses = tuple(self._intake.pulses())
            self._refusals = self._intake.refusals()
            self._tell_refusals(now_ms)

    def _tell_refusals(self, now_ms: int) -> None:
        total = sum(count for reason, count in self._refusals.counts.items() if reason != SENDER)  # it has a line of its own
        new = total - self._refused_told
        if not new or (self._refused_told_ms is not None and now_ms - self._refused_told_ms < REFUSALS_TOLD_MS):
            return
        self._refused_told, self._refused_told_ms = total, now_ms
        _log.warning("%d messages refused; the last on topic %s: %s", new, self._refusals.topic or "?", self._refusals.reason)


def _tell_foreign(poison: Sequence[Poison]) -> None:
    """A line for each sender, as seldom as something of it is kept."""
    for one in poison:
        if one.reason == SENDER:
            topic = "".join(c if c.isprintable() else "?" for c in one.topic)
            _log.warning("refused a message on %s: %s; see `collector quarantine list`", topic, one.detail)
