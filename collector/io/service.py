"""Does I/O: speaks to systemd (sd_notify) and counts real progress for its watchdog. Without systemd it does nothing."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Mapping


class Service:
    """The notify socket. Safe from any thread."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        microseconds = environment.get("WATCHDOG_USEC", "")
        self.watchdog_s: float | None = int(microseconds) / 1e6 if microseconds.isdigit() and int(microseconds) else None
        """Within this time the watchdog wants a sign of life."""

    def ready(self, status: str) -> None:
        """The start is complete."""
        self._tell(f"READY=1\nSTATUS={status}")

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._tell(f"STATUS={text}")

    def stopping(self) -> None:
        """The end has begun."""
        self._tell("STOPPING=1")

    def alive(self) -> None:
        """One sign of life."""
        self._tell("WATCHDOG=1")

    def _tell(self, text: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            try:
                notify.sendto(text.encode(), self._address)
            except OSError:
                return  # nobody listens any more; there is nobody to tell


class Heartbeats:
    """Signs of life of the threads that matter: each must pass within its time, or the watchdog gets no sign."""

    def __init__(self, now_ms: Callable[[], int], limit_ms: int = 60_000) -> None:
        self._now_ms = now_ms
        self._limit_ms = limit_ms
        self._beats: dict[str, int] = {}
        self._lock = threading.Lock()

    def beat(self, name: str) -> None:
        """The thread of this name went once around its loop."""
        with self._lock:
            self._beats[name] = self._now_ms()

    def stuck(self) -> list[str]:
        """The threads that have not come round in time."""
        now_ms = self._now_ms()
        with self._lock:
            return [name for name, beat_ms in self._beats.items() if now_ms - beat_ms > self._limit_ms]
