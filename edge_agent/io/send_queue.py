"""Pure. What a session still has to hand to its socket: the urgent first, each message once, QoS 1 within the broker's window.

The socket is given only what it takes (mqtt_session.py), so on a slow link what is urgent waits behind one message, not behind
everything that was sent before it. A message that waits here, or has no PUBACK yet, is not queued a second time.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from edge_agent.contract.message import URGENT
from edge_agent.contract.topics import Kind
from edge_agent.delivery.machine import Key


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message. key: of a sequenced message; None for everything else."""

    kind: Kind
    payload: bytes
    qos: int = 1
    key: Key | None = None

    @property
    def is_urgent(self) -> bool:
        """Everything but data of the normal lane."""
        return self.kind is not Kind.DATA or (self.key is not None and self.key.lane == URGENT)


class SendQueue:
    """Any thread may call it. most: messages that may wait."""

    def __init__(self, allowed: int, most: int) -> None:
        self._allowed = allowed
        self._most = most
        self._urgent: deque[Outgoing] = deque()
        self._normal: deque[Outgoing] = deque()
        self._known: set[tuple[Kind, Key]] = set()
        """Waiting, or without PUBACK."""
        self._outstanding = 0
        """QoS 1, sent without PUBACK."""
        self._lock = threading.Lock()

    def allow(self, most: int) -> None:
        """The broker's Receive Maximum."""
        with self._lock:
            self._allowed = min(self._allowed, most)

    def offer(self, out: Outgoing) -> bool:
        """Queues a message; False when too many wait. True too when it waits already."""
        with self._lock:
            if out.key is not None and (out.kind, out.key) in self._known:
                return True
            if len(self._urgent) + len(self._normal) >= self._most:
                return False
            (self._urgent if out.is_urgent else self._normal).append(out)
            if out.key is not None:
                self._known.add((out.kind, out.key))
            return True

    def has_next(self) -> bool:
        """True while `take` would give one."""
        with self._lock:
            return self._open() is not None

    def take(self) -> Outgoing | None:
        """The next message to send. One of QoS 1 is outstanding until `done`; one of QoS 0 is known no more."""
        with self._lock:
            queue = self._open()
            if queue is None:
                return None
            out = queue.popleft()
            if out.qos:
                self._outstanding += 1
            elif out.key is not None:
                self._known.discard((out.kind, out.key))
            return out

    def count(self) -> None:
        """A message of QoS 1 goes out that did not wait here."""
        with self._lock:
            self._outstanding += 1

    def done(self, out: Outgoing | None) -> None:
        """The PUBACK of a message came."""
        with self._lock:
            self._outstanding = max(0, self._outstanding - 1)
            if out is not None and out.key is not None:
                self._known.discard((out.kind, out.key))

    def _open(self) -> deque[Outgoing] | None:
        for queue in (self._urgent, self._normal):
            if queue and (queue[0].qos == 0 or self._outstanding < self._allowed):
                return queue
        return None
