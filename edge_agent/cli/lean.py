"""Does I/O: runs the agent without what only its start needs.

A child process reads the command line, the site file and the profiles - with typer, pydantic and PyYAML - and hands over what it
understood; so it does again at each SIGHUP. The process that stays never imports them (measured: some 13 MB).
"""

from __future__ import annotations

import gc
import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from edge_agent.common.memory import few_heaps
from edge_agent.common.problem import Problem, ProblemError
from edge_agent.common.terminal import guarded

if TYPE_CHECKING:
    from edge_agent.agent import Wish
    from edge_agent.model.loaded import LoadedSite

CRASHED = 70
"""Exit code after a defect; systemd starts the agent again, the outbox holds what was not delivered."""
HAND_OVER = "--hand-over-to"
"""Hidden option of `run`: the file descriptor that takes the orders, pickled."""


class LogFormat(StrEnum):
    """Forms of the log."""

    AUTO = "auto"
    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Orders:
    """What a command line of `run` asks for, understood."""

    loaded: LoadedSite
    state_dir: Path | None
    runtime_dir: Path | None
    log_format: LogFormat
    trust_clock: bool


def is_lean(arguments: Sequence[str]) -> bool:
    """True for a command line of `run` that is not the child's own."""
    own = [word.partition("=")[0] for word in arguments]
    return own[:1] == ["run"] and "--help" not in own and HAND_OVER not in own


def run_lean(arguments: Sequence[str]) -> int:
    """`edge-agent run ...`; gives the exit code."""
    return guarded(lambda: _run(arguments), as_json="--json" in arguments)


def hand_over(found: Orders | Sequence[Problem], descriptor: int) -> None:
    """The child's last act."""
    with os.fdopen(descriptor, "wb") as pipe:
        pickle.dump(found, pipe)


def run_agent(orders: Orders, load: Callable[[], LoadedSite]) -> None:
    """Runs the agent until it is told to stop. load: reads the site again. Raises ProblemError where it cannot start."""
    from edge_agent.agent import Agent, Folders, Machine
    from edge_agent.bus import BusRunner
    from edge_agent.common.clock import SystemClock
    from edge_agent.io.kernel_clock import KernelClock
    from edge_agent.io.logs import start_logs
    from edge_agent.io.rtc import KernelRtc
    from edge_agent.io.service import Systemd, runtime_folder, state_folder

    start_logs(orders.log_format.value, os.environ)
    threading.excepthook = _crash
    machine = Machine(
        SystemClock(),
        KernelClock(),
        Systemd(os.environ),
        lambda bus, clock, taken, happened: BusRunner(bus, clock, taken, happened, int.from_bytes(os.urandom(4), "big")),
        load,
        orders.trust_clock,
        KernelRtc(),
    )
    folders = Folders(state_folder(orders.state_dir, os.environ), runtime_folder(orders.runtime_dir, os.environ))
    agent = Agent(orders.loaded, folders, machine)
    gc.collect()
    gc.freeze()  # what is here now stays: the collector need not walk over it again
    agent.run(_signals())


def _run(arguments: Sequence[str]) -> int:
    few_heaps(1)
    found = _understand(arguments)
    if isinstance(found, int):
        return found
    run_agent(found, partial(_load, arguments))
    return 0


def _load(arguments: Sequence[str]) -> LoadedSite:
    found = _understand(arguments)
    if isinstance(found, int):
        what = f"The site could not be read again; the reader ended with code {found}."
        raise ProblemError(Problem("RUN405", "edge-agent", what, "look at the lines before this one in the log"))
    return found.loaded


def _understand(arguments: Sequence[str]) -> Orders | int:
    """The orders, or the exit code of a child that said itself what is wrong. Raises ProblemError for the site's problems."""
    ours, theirs = os.pipe()
    command = [sys.executable, "-m", "edge_agent", "run", f"{HAND_OVER}={theirs}", *arguments[1:]]
    with os.fdopen(ours, "rb") as pipe:
        try:
            child = subprocess.Popen(command, pass_fds=(theirs,), stdin=subprocess.DEVNULL)
        finally:
            os.close(theirs)
        told = pipe.read()
    code = child.wait()
    if code or not told:
        return code if code > 0 else CRASHED
    found: Orders | Sequence[Problem] = pickle.loads(told)  # noqa: S301 - our own child wrote it
    if isinstance(found, Orders):
        return found
    raise ProblemError(list(found))


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
