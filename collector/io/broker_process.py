"""Does I/O: keeps the embedded broker running as a child process and says where it listens."""

from __future__ import annotations

import dataclasses
import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

import msgspec

from collector.io.broker_refusals import RefusedPublish, parse_line
from edge_agent.common.problem import Problem, ProblemError

_log = logging.getLogger(__name__)
_BACKOFF_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_PATIENCE_S = 10.0
"""How long a child may take until it listens."""
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class BrokerPlan:
    """Where and for whom the embedded broker listens. port 0: a free one, kept over restarts of the child."""

    root: str
    host: str = "127.0.0.1"
    port: int = 1883
    users_file: str = ""
    certificate: str = ""
    key: str = ""
    collector_secret: str = dataclasses.field(default="", repr=False)


def check_plan(plan: BrokerPlan) -> Problem | None:
    """What speaks against listening like this: beyond loopback only with TLS and credentials."""
    if plan.host in _LOOPBACK or (plan.users_file and plan.certificate and plan.key):
        return None
    return Problem(
        "BRK801",
        f"embedded broker at {plan.host}:{plan.port}",
        "Beyond this machine the embedded broker listens only with TLS and a users file.",
        "set mqtt.embedded.certificate, key and users_file, or listen on 127.0.0.1, or use Mosquitto (`collector broker-config`).",
    )


class BrokerProcess:
    """The child and the thread that starts it again. All methods may be called from any thread."""

    def __init__(self, plan: BrokerPlan) -> None:
        problem = check_plan(plan)
        if problem is not None:
            raise ProblemError(problem)
        self._plan = plan
        self._port = plan.port
        self._changed = threading.Condition()
        self._child: subprocess.Popen[str] | None = None
        self._ready = False
        self._stopping = False
        self._starts = 0
        self._problem: Problem | None = None
        self._reason = ""
        """Why the last child could not listen, in its own words."""
        self._on_refused: Callable[[RefusedPublish], None] = lambda _: None
        self._thread = threading.Thread(target=self._keep_running, name="broker", daemon=True)

    @property
    def port(self) -> int:
        """The port listened on, once ready."""
        return self._port

    @property
    def pid(self) -> int | None:
        """The child's process id while it runs."""
        return self._child.pid if self._child is not None else None

    @property
    def starts(self) -> int:
        """How often a child came up."""
        return self._starts

    def problem(self) -> Problem | None:
        """Why it does not run at this moment, if it does not."""
        return self._problem

    def listen(self, on_refused: Callable[[RefusedPublish], None]) -> None:
        """From now on `on_refused` hears, on the broker's thread, of messages whose topic is not their sender's."""
        self._on_refused = on_refused

    def start(self, timeout_s: float = _PATIENCE_S) -> None:
        """Starts the child and waits until it listens. Raises ProblemError (BRK802) if it does not come up in time.

        It is tried again until then: right after a kill the child of the collector before may still hold the address.
        """
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._ready, timeout_s)
            ready, problem = self._ready, self._problem
        if not ready:
            self.stop()
            raise ProblemError(problem or self._describe("it did not listen in time"))

    def stop(self) -> None:
        """Ends the child and the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
            child = self._child
        if child is not None:
            _end(child)
        if self._thread.ident is not None:
            self._thread.join(10)

    def _keep_running(self) -> None:
        failures = 0
        while not self._stopping:
            came_up = self._run_child()
            failures = 0 if came_up else failures + 1
            with self._changed:
                self._changed.wait_for(lambda: self._stopping, _BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])

    def _run_child(self) -> bool:
        child = subprocess.Popen(
            [sys.executable, "-m", "collector.io.embedded_broker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
        with self._changed:
            self._child = child
        came_up = self._wait_ready(child)
        for line in _pipe(child.stdout):
            refused = parse_line(line)
            if refused is not None:
                self._on_refused(refused)
        code = child.wait()
        _close(child)
        with self._changed:
            self._child, self._ready = None, False
            if not self._stopping:
                before, self._problem = self._problem, self._describe(self._reason or f"it ended with code {code}")
                if before is None or before.what != self._problem.what:
                    _log.warning("%s", self._problem.what)
            self._changed.notify_all()
        return came_up

    def _wait_ready(self, child: subprocess.Popen[str]) -> bool:
        settings = dataclasses.asdict(self._plan) | {"port": self._port}
        try:
            _pipe(child.stdin).write(msgspec.json.encode(settings).decode() + "\n")
            _pipe(child.stdin).flush()
        except BrokenPipeError:
            return False
        word, _, rest = _pipe(child.stdout).readline().strip().partition(" ")
        self._reason = rest if word == "failed" else ""
        if word != "ready":
            return False
        with self._changed:
            self._port, self._ready, self._problem = int(rest), True, None
            self._starts += 1
            self._changed.notify_all()
        return True

    def _describe(self, what: str) -> Problem:
        return Problem(
            "BRK802",
            f"embedded broker at {self._plan.host}:{self._port}",
            f"The embedded broker is not running: {what}. It is started again.",
            "if the address is taken, end the other broker or set mqtt.embedded.port; its own words stand in the log.",
        )


def _pipe(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise ValueError("the child was started without pipes")
    return pipe


def _close(child: subprocess.Popen[str]) -> None:
    for pipe in (child.stdin, child.stdout):
        with suppress(BrokenPipeError):
            _pipe(pipe).close()


def _end(child: subprocess.Popen[str]) -> None:
    """The end of its input ends the child; if it does not within 3 s, it is killed."""
    with suppress(BrokenPipeError):
        _pipe(child.stdin).close()
    try:
        child.wait(3)
    except subprocess.TimeoutExpired:
        child.kill()
