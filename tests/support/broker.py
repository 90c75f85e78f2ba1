"""Does I/O: an amqtt broker (MQTT 3.1.1, anonymous, loopback) in a child process of the test.

with Broker() as broker:
    ... broker.port ...
    broker.kill()       # kill -9: sessions, queues and retained messages are gone
    broker.start()      # again, on the same port
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from types import TracebackType

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.ports import free_port, listens, wait_until


class Broker:
    """One broker on a free port, kept over restarts."""

    host = "127.0.0.1"
    version = "3.1.1"

    def __init__(self, port: int | None = None) -> None:
        self.port = port or free_port()
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it and waits until it accepts connections."""
        self._child = subprocess.Popen(
            # -P: modules of this folder hide none of Python's
            [sys.executable, "-P", str(Path(__file__).resolve()), str(self.port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(lambda: listens(self.port), 20.0, "amqtt listens")

    def kill(self) -> None:
        """kill -9."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None

    stop = kill

    def __enter__(self) -> Broker:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()


async def _serve(port: int) -> None:
    from amqtt.broker import Broker as Amqtt

    broker = Amqtt(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    await broker.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
