"""Does I/O: the real programs of the line in child processes: the simulated stations and the agent, each on free ports.

with Stations(tmp_path, ["shiquan"]) as stations:
    with AgentProgram("shiquan", stations, broker.port, tmp_path) as agent: ...
    stations.fault("shiquan", "silent:level", on=True)
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.ports import wait_until

REPOSITORY = Path(__file__).parents[2]
DEMO = REPOSITORY / "examples" / "demo"
START_S = 120.0
"""A program of this kind starts in two seconds; a machine with much else to do needs longer."""
END_S = 60.0


class Program:
    """`python -m ...` as its user starts it; what it says goes to a file. May be started again after its end."""

    def __init__(self, name: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.environment = dict(environment or {})
        self._arguments = list(arguments)
        self._output = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begins, in a session of its own."""
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *self._arguments],
                cwd=REPOSITORY,
                env={**os.environ, "NO_COLOR": "1", **self.environment},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def tell(self, line: str) -> None:
        """One line on its standard input."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        """kill -9."""
        self._over(signal.SIGKILL)

    def end(self, how: signal.Signals = signal.SIGTERM, within_s: float = END_S) -> int:
        """Asks it to end; the exit code. Raises subprocess.TimeoutExpired."""
        return self._over(how, within_s)

    def output(self) -> str:
        return self._output.read_text(encoding="utf-8", errors="replace")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process is not None:
            self.kill()

    def _over(self, how: signal.Signals, within_s: float = END_S) -> int:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.send_signal(how)
        code = self._process.wait(within_s)
        self._process.stdin.close()
        return code


class Stations(Program):
    """The simulated stations of the demo, without its script of faults. `ports` says how to reach them."""

    def __init__(self, folder: Path, names: Sequence[str], broker_port: int | None = None) -> None:
        script = folder / "stations.yaml"
        entries = [{"name": name, "seed": 17 + n, "first_row": 60 * n} for n, name in enumerate(names)]
        script.write_text(json.dumps({"record": str(DEMO / "record" / "next-day.csv.gz"), "stations": entries}))
        relay = ["--broker", f"127.0.0.1:{broker_port}"] if broker_port else []
        super().__init__("stations", ["examples.station_sim", str(script), "--run-dir", str(folder), *relay], folder)
        self.folder = folder
        self.ports: dict[str, dict[str, Any]] = {}

    def start(self) -> None:
        """Returns when everything listens."""
        super().start()
        wait_until(lambda: (self.folder / "ports.json").exists() or not self.alive, START_S, "the stations listen")
        assert self.alive, self.output()
        self.ports = json.loads((self.folder / "ports.json").read_text())

    def fault(self, station: str, fault: str, *, on: bool) -> int:
        """Begins or ends a fault; when it was so, ms UTC."""
        told = len(self._said())
        self.tell(json.dumps({"station": station, "fault": fault, "on": on}))
        wait_until(lambda: len(self._said()) > told, 10, f"{fault} {on}")
        answer = self._said()[told]
        assert "error" not in answer, answer
        return int(answer["t"])

    def _said(self) -> list[dict[str, Any]]:
        lines = self.output().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n")]


class AgentProgram(Program):
    """`edge-agent run` with a site file of the demo, against a simulated station."""

    def __init__(
        self, site: str, stations: Stations, broker_port: int, folder: Path, options: Sequence[str] = (), **settings: str
    ) -> None:
        """settings: further EDGE_AGENT_ variables, named without the prefix."""
        self.file = DEMO / "sites" / f"{site}.yaml"
        self.runtime = folder / "agent" / "run"
        self.state = folder / "agent" / "state"
        place = ["--state-dir", str(self.state), "--runtime-dir", str(self.runtime)]
        super().__init__(
            f"agent-{site}",
            ["edge_agent", "run", str(self.file), *place, *options],
            folder,
            {
                "EDGE_AGENT_MQTT__BROKERS__0__PORT": str(broker_port),
                **addresses(stations.ports[site]),
                **{f"EDGE_AGENT_{name}": value for name, value in settings.items()},
            },
        )

    def start(self) -> None:
        """Returns when it tells its status."""
        (self.runtime / "status.json").unlink(missing_ok=True)
        super().start()
        wait_until(lambda: self.status() or not self.alive, START_S, "the agent runs")
        assert self.alive, self.output()

    def status(self) -> dict[str, Any]:
        """What it said of itself last; empty before that."""
        try:
            return dict(json.loads((self.runtime / "status.json").read_text()))
        except FileNotFoundError:
            return {}

    def figure(self, name: str) -> int:
        """A figure of its delivery: taken, delivered, depth ..."""
        return int((self.status().get("delivery") or {}).get(name, 0))

    @property
    def link_up(self) -> bool:
        return bool(self.status().get("link", {}).get("up"))


def addresses(ports: Mapping[str, Any]) -> dict[str, str]:
    """Variables that lead a demo site's buses to its simulated station: shiquan by pty, baihe by RFC 2217."""
    by_pty = "shiquan" in Path(ports["pty"]).name
    serial = ("PORT", ports["pty"]) if by_pty else ("URL", f"rfc2217://127.0.0.1:{ports['rfc2217']}")
    return {"EDGE_AGENT_BUSES__0__TCP__PORT": str(ports["panel"]), f"EDGE_AGENT_BUSES__1__SERIAL__{serial[0]}": str(serial[1])}
