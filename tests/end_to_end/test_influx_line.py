"""The collector with InfluxDB as its store: every reading there once with its tags, whatever happens to the server meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from collector.io.status_file import Status
from tests.support.collector_program import CollectorProgram
from tests.support.influx_front import TOKEN, InfluxServer, front
from tests.support.ports import wait_until
from tests.support.scripted_agent import ScriptedAgent

pytestmark = [pytest.mark.programs, pytest.mark.influxdb, pytest.mark.timeout(600)]

BATCHES = 300
AHEAD = 100
"""More than the scripted agent has under way: so many further receipts are about batches sent afterwards."""
MINUTE_MS = 60_000
Tags = tuple[tuple[str, str], ...]
Rows = dict[int, tuple[float | None, str | None, int | None]]
"""Time ms UTC: value, text, quality."""

QUIET = """time: {column: t, format: unix-ms}
series:
  - {column: ntu, device: panel, point: turbidity, unit: NTU, role: water.turbidity}
  - {column: open, device: valve, point: open, kind: bool}
  - {column: state, device: valve, point: state, kind: text}
"""
SOUR = """time: {column: t, format: unix-ms}
series:
  - {column: ph, device: panel, point: ph, unit: pH, role: water.ph, period: 60s}
"""


def test_a_server_that_dies_delays_charts_and_nothing_else(tmp_path: Path) -> None:
    server = InfluxServer(tmp_path)
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    now_ms = time.time_ns() // 1_000_000 // MINUTE_MS * MINUTE_MS
    with front(forward=server.url) as v2:
        store = f"{{influx: {{url: '{v2.url}', org: county, bucket: waterworks, token_file: token}}}}"
        with CollectorProgram(tmp_path, more=f"store: {store}\n") as program:
            quiet = [(now_ms - (300 - n) * MINUTE_MS, n / 100 if n % 5 else "", n % 2, f'a "{n}"') for n in range(300)]
            replay(program, "s/g-quiet", QUIET, "t,ntu,open,state", quiet)
            wait_until(lambda: settled(program), 180, "the replay is in InfluxDB")

            agent = ScriptedAgent(program.broker_port, BATCHES, t0=now_ms - 3_600_000)
            try:
                agent.run_until(30)
                server.kill()
                agent.run_until(agent.covered + AHEAD)
                wait_until(lambda: "COL402" in problems(program), 120, "the collector says that its store is away")
                chart = f"/api/v1/readings?site=s&gateway=g&device=meter&point=count&from={now_ms}&to={now_ms + 1}"
                assert ask(program, chart).status_code >= 400, "a chart without a store is refused, not empty"
                newest_ms = time.time_ns() // 1_000_000 - 1000
                sour = [(newest_ms - (59 - n) * MINUTE_MS, 9.4) for n in range(60)]
                replay(program, "sour/g", SOUR, "t,ph", sour)
                wait_until(lambda: warnings(program) == [("sour", "water-ph-out", "g/panel.ph", "raised")], 120, "the warning")
                status = current(program)
                assert status.stored < status.judged == status.log_last

                server.start()
                agent.run_until(BATCHES)
            finally:
                agent.close()
            wait_until(lambda: settled(program), 180, "the store has caught up")
            assert problems(program) == []
            assert program.end() == 0, program.output()
        assert v2.malformed == []
    found = everything(server)
    server.close()
    assert found == expected(quiet, sour, agent)


def expected(quiet: list[Any], sour: list[Any], agent: ScriptedAgent) -> dict[Tags, Rows]:
    """Every reading that was given, as InfluxDB shall hold it."""
    counts = range(agent.count * agent.rows)
    return {
        tags("panel", "g-quiet", "turbidity", "water.turbidity", "NTU"): {t: (n, None, 0) for t, n, _, _ in quiet if n != ""},
        tags("valve", "g-quiet", "open"): {t: (float(on), None, 0) for t, _, on, _ in quiet},
        tags("valve", "g-quiet", "state"): {t: (None, text, 0) for t, _, _, text in quiet},
        tags("panel", "g", "ph", "water.ph", "pH", site="sour"): {t: (ph, None, 0) for t, ph in sour},
        tags("meter", "g", "count", "outlet.total", "m3"): {agent.t0 + 1000 * n: (float(n), None, 0) for n in counts},
        tags("meter", "g", "level", "tank.level", "m"): {agent.t0 + 1000 * n: (2.5, None, 0) for n in counts},
    }


def tags(device: str, gateway: str, point: str, role: str = "", unit: str = "", site: str = "s") -> Tags:
    return (("device", device), ("gateway", gateway), ("point", point), ("role", role), ("site", site), ("unit", unit))


def everything(server: InfluxServer) -> dict[Tags, Rows]:
    """All points of all measurements, asked from the server itself."""
    query = {"db": "waterworks", "q": "SELECT value, text, quality FROM /.*/ GROUP BY *", "epoch": "ms"}
    answer = httpx.get(f"{server.url}/query", params=query, timeout=30).json()
    found: dict[Tags, Rows] = {}
    for series in answer["results"][0]["series"]:
        assert series["name"] == "reading"
        key = tuple(sorted(series["tags"].items()))
        assert key not in found
        found[key] = {at_ms: (value, text, quality) for at_ms, value, text, quality in series["values"]}
        assert len(found[key]) == len(series["values"])
    return found


def replay(program: CollectorProgram, place: str, mapping: str, header: str, rows: list[Any]) -> None:
    """place: site/gateway."""
    folder = program.config.parent
    site, gateway = place.split("/")
    (folder / f"{gateway}.yaml").write_text(mapping)
    lines = [header, *(",".join('"' + str(cell).replace('"', '""') + '"' for cell in row) for row in rows)]
    (folder / f"{gateway}.csv").write_text("\n".join(lines))
    where = ["--site", site, "--gateway", gateway, "--map", f"{gateway}.yaml", "--config", str(program.config), "--json"]
    command = [sys.executable, "-m", "collector", "replay", f"{gateway}.csv", *where]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == len(rows)


def current(program: CollectorProgram) -> Status:
    status = program.status()
    assert status is not None
    return status


def settled(program: CollectorProgram) -> bool:
    status = current(program)
    return status.stored == status.log_last == status.judged > 0


def problems(program: CollectorProgram) -> list[str]:
    return [problem.code for problem in current(program).problems]


def ask(program: CollectorProgram, path: str) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{program.page_port}{path}", timeout=40, trust_env=False)


def warnings(program: CollectorProgram) -> list[tuple[str, ...]]:
    found = ask(program, "/api/v1/warnings").json()["warnings"]
    return [tuple(warning[name] for name in ("site", "rule", "subject", "state")) for warning in found]
