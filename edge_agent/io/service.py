"""Does I/O: what a service owes its machine: systemd's notifications, the boot's id, the folders for state and runtime."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Mapping
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Systemd:
    """sd_notify(3) in plain Python. Says nothing where no NOTIFY_SOCKET is set."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self.watchdog_s = _watchdog_s(environment)
        """systemd's WatchdogSec for this process; 0.0 where there is none."""

    def ready(self, status: str) -> None:
        """The service is up (also after a reload)."""
        self._tell(f"READY=1\nSTATUS={_one_line(status)}")

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._tell(f"STATUS={_one_line(text)}")

    def reloading(self) -> None:
        """A reload begins; `ready` ends it."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """The service ends."""
        self._tell("STOPPING=1")

    def alive(self) -> None:
        """Feeds the watchdog. Only to be called when work has moved on."""
        self._tell("WATCHDOG=1")

    def _tell(self, text: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as door:
            try:
                door.sendto(text.encode(), address)
            except OSError:
                return  # systemd is restarting: the next word reaches it, and a silent watchdog is its answer to the rest


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _watchdog_s(environment: Mapping[str, str]) -> float:
    micros, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not micros.isdigit() or (pid and pid != str(os.getpid())):
        return 0.0
    return int(micros) / 1e6


def boot_id(path: Path = _BOOT_ID) -> str:
    """32 hex digits that change with each boot; drawn at random where the kernel gives none."""
    try:
        found = path.read_text().strip().replace("-", "")
    except OSError:
        return secrets.token_hex(16)
    return found if len(found) == 32 else secrets.token_hex(16)


def state_folder(option: Path | None, environment: Mapping[str, str]) -> Path:
    """Where the outbox lives: option, systemd's StateDirectory, XDG_STATE_HOME, ~/.local/state."""
    if option is not None:
        return option
    given = environment.get("STATE_DIRECTORY", "").split(":")[0]
    if given:
        return Path(given)
    home = environment.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "edge-agent"


def runtime_folder(option: Path | None, environment: Mapping[str, str]) -> Path:
    """Where the status file lives: option, systemd's RuntimeDirectory, XDG_RUNTIME_DIR, below the state."""
    if option is not None:
        return option
    given = environment.get("RUNTIME_DIRECTORY", "").split(":")[0]
    if given:
        return Path(given)
    home = environment.get("XDG_RUNTIME_DIR")
    if home:
        return Path(home) / "edge-agent"
    return state_folder(None, environment) / "run"


def runtime_folders(option: Path | None, environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Where `status` looks for a running agent: the own folder first, then the service's."""
    if option is not None:
        return (option,)
    return (runtime_folder(None, environment), Path("/run/edge-agent"))
