"""Does I/O: a Mosquitto broker (MQTT 5 and 3.1.1, anonymous, loopback) on a free port, for tests marked `mosquitto`.

    pytestmark = pytest.mark.mosquitto

    def test_x(tmp_path):
        with Mosquitto(tmp_path) as broker: ...

Without Mosquitto on the machine `Mosquitto(...)` skips the test; with CI=true it fails it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType

import pytest

from tests.support.ports import free_port, listens, wait_until


def mosquitto_program() -> str:
    """Path of the broker's program; skips the test where there is none (fails it with CI=true)."""
    found = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("Mosquitto is missing: apt-get install mosquitto")
        pytest.skip("Mosquitto is missing: apt-get install mosquitto")
    return found


class Mosquitto:
    """One broker on a free port, kept over restarts. extra: further lines of mosquitto.conf."""

    host = "127.0.0.1"
    version = "5"

    def __init__(self, folder: Path, extra: str = "", port: int | None = None) -> None:
        self._program = mosquitto_program()
        self.port = port or free_port()
        self._folder = folder
        self._config = folder / f"mosquitto-{self.port}.conf"
        self._config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\n{extra}\n")
        self.log = folder / f"mosquitto-{self.port}.log"
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it and waits until it accepts connections."""
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                [self._program, "-c", str(self._config), "-v"], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait_until(lambda: listens(self.port), 10.0, "Mosquitto listens")

    def kill(self) -> None:
        """kill -9."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None

    def stop(self) -> None:
        """SIGTERM, waits for the end."""
        if self._child is not None:
            self._child.terminate()
            self._child.wait(10)
            self._child = None

    def restart(self) -> None:
        """kill -9 and up again on the same port."""
        self.kill()
        self.start()

    def __enter__(self) -> Mosquitto:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()
