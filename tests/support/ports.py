"""Does I/O: free TCP ports on loopback and waiting for conditions with a deadline."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from itertools import cycle
from random import Random

_BELOW_EPHEMERAL = (20_000, 32_000)
"""Not from the range that the kernel takes the source ports of connections from: a server that is killed finds its port free."""
_candidates = cycle(Random().sample(range(*_BELOW_EPHEMERAL), 12_000))


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on, and that this process has not given before."""
    for port in _candidates:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no free port")


def listens(port: int) -> bool:
    """True if something accepts connections on 127.0.0.1:port."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition: Callable[[], object], timeout_s: float = 10.0, what: str = "condition") -> None:
    """Returns as soon as `condition()` is true; raises AssertionError after timeout_s."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout_s} s")
        time.sleep(0.01)
