"""Does I/O: `edge-agent run` - the agent itself, as a service or in a terminal."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_agent.cli.output import ProfileDirs, SiteFile

if TYPE_CHECKING:
    from edge_agent.agent import Wish

CRASHED = 70
"""Exit code after a defect; systemd starts the agent again, the outbox holds what was not delivered."""


class LogFormat(StrEnum):
    """Forms of the log."""

    AUTO = "auto"
    TEXT = "text"
    JSON = "json"


StateDir = Annotated[Path | None, typer.Option("--state-dir", help="Where the outbox lives. Default: systemd's, or XDG's.")]
RuntimeDir = Annotated[Path | None, typer.Option("--runtime-dir", help="Where the status file lives.")]


def register(app: typer.Typer) -> None:
    """Adds `run`."""

    @app.command(epilog="Example: edge-agent run /etc/edge-agent/site.yaml")
    def run(
        site: SiteFile,
        profiles: ProfileDirs = None,
        state_dir: StateDir = None,
        runtime_dir: RuntimeDir = None,
        log_format: Annotated[
            LogFormat, typer.Option("--log-format", help="auto: without time under journald; json: an object a line.")
        ] = LogFormat.AUTO,
        trust_clock: Annotated[
            bool,
            typer.Option("--trust-clock", help="Take this machine's clock as right: containers and guests whose host keeps it."),
        ] = False,
    ) -> None:
        """Read the buses and deliver every reading, until stopped. SIGHUP reads the site file again.

        Without --trust-clock readings wait until UTC is known: from NTP, from the collector's answer, or from an RTC.
        """
        from edge_agent.agent import Agent, Folders, Machine
        from edge_agent.bus import BusRunner
        from edge_agent.common.clock import SystemClock
        from edge_agent.config.load import load_site
        from edge_agent.io.kernel_clock import KernelClock
        from edge_agent.io.logs import start_logs
        from edge_agent.io.service import Systemd, runtime_folder, state_folder

        load = partial(load_site, site, profiles)
        loaded = load()
        start_logs(log_format.value, os.environ)
        threading.excepthook = _crash
        machine = Machine(
            SystemClock(),
            KernelClock(),
            Systemd(os.environ),
            lambda bus, clock, taken, happened: BusRunner(bus, clock, taken, happened, int.from_bytes(os.urandom(4), "big")),
            load,
            trust_clock,
        )
        folders = Folders(state_folder(state_dir, os.environ), runtime_folder(runtime_dir, os.environ))
        Agent(loaded, folders, machine).run(_signals())


def _signals() -> Callable[[float], Wish | None]:
    """Waits for SIGTERM, SIGINT and SIGHUP, which are blocked in every thread, so that they are taken here and nowhere else."""
    from edge_agent.agent import Wish

    wanted = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
    signal.pthread_sigmask(signal.SIG_BLOCK, wanted)

    def wait(seconds: float) -> Wish | None:
        came = signal.sigtimedwait(wanted, seconds)
        if came is None:
            return None
        return Wish.RELOAD if came.si_signo == signal.SIGHUP else Wish.STOP

    return wait


def _crash(thrown: threading.ExceptHookArgs) -> None:
    """A defect in any thread ends the program: half an agent is worse than a restart."""
    from edge_agent.io.logs import logger, say

    log = logger("agent")
    error = thrown.exc_value
    if error is not None:
        log.critical("%s in thread %s", error, thrown.thread.name if thrown.thread else "?", exc_info=error)
    say(log, logging.CRITICAL, "agent.crash", "a defect; the outbox holds what was not delivered")
    sys.stderr.flush()
    os._exit(CRASHED)
