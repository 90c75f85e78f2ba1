"""Does I/O: the real `collector run` in a child process, on free ports, with a state folder of its own."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from collector.io.status_file import Status, read_status
from tests.support.ports import free_port, wait_until


class CollectorProgram:
    """Starts, kills, starts again; the broker keeps its port."""

    def __init__(self, folder: Path, county: str = "", more: str = "", mqtt: str = "") -> None:
        """mqtt: the configuration of a broker that runs already; without it the embedded one."""
        self.state = folder / "state"
        self.broker_port, self.page_port = free_port(), free_port()
        self._config = folder / "collector.yaml"
        mqtt = mqtt or f"{{embedded: {{port: {self.broker_port}}}}}"
        self._config.write_text(f"state_directory: state\nmqtt: {mqtt}\nweb: {{port: {self.page_port}}}\n{more}")
        (folder / "county.yaml").write_text(county)
        self._output = folder / "collector.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> Path:
        return self._config

    def start(self) -> None:
        """Returns when it is connected."""
        began = self.status().started_ms if self.status() else 0  # type: ignore[union-attr]
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "collector", "run", "--config", str(self._config)], stdout=output, stderr=output
            )
        wait_until(lambda: self._is_up(began), 120, "the collector runs")

    def status(self) -> Status | None:
        return read_status(self.state)

    def broker_pid(self) -> int:
        """The embedded broker's process."""
        pids = self.broker_pids()
        assert pids, "the collector has no child"
        return pids[0]

    def broker_pids(self) -> list[int]:
        """Every process that the collector has started; none while it starts its broker anew."""
        assert self._process is not None
        pids: list[int] = []
        for thread in Path(f"/proc/{self._process.pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError):  # a thread that has ended meanwhile
                pids += map(int, (thread / "children").read_text().split())
        return pids

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def end(self) -> int:
        """SIGTERM; the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(60)

    def output(self) -> str:
        return self._output.read_text(errors="replace")

    def __enter__(self) -> CollectorProgram:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _is_up(self, began: int) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.output()
        status = self.status()
        return status is not None and status.started_ms > began and status.connected
