"""The real agent against the simulated stations: pty, RFC 2217 and Modbus TCP; every value served arrives once, faults or not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_agent.contract.message import Event
from tests.support.broker import Broker
from tests.support.fake_collector import FakeCollector
from tests.support.ports import wait_until
from tests.support.programs import REPOSITORY, AgentProgram, Stations, addresses
from tests.support.programs_account import Series, Sum, Timed, may_be_unsent, served, settle

pytestmark = pytest.mark.programs

DEVICES = {"panel", "meter", "drive", "level"}
CUT_OFF = 2
"""Exchanges, one of each bus, that the end of the agent may leave unheard."""
SPOKEN = {"MQTT__BROKERS__0__VERSION": Broker.version}


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker() as broker:
        yield broker


@pytest.fixture
def collector(broker: Broker) -> Iterator[FakeCollector]:
    with FakeCollector(broker.port) as collector:
        yield collector


@pytest.fixture
def stations(broker: Broker, tmp_path: Path) -> Iterator[Stations]:
    with Stations(tmp_path, ["shiquan", "baihe"], broker.port) as stations:
        yield stations


def arrived(collector: FakeCollector) -> dict[Series, list[Timed]]:
    """Readings of every distinct batch, by series."""
    found: dict[Series, list[Timed]] = {}
    for device, point, at_ms, value, _ in collector.rows():
        found.setdefault((device, point), []).append((at_ms, value))
    return found


def events(collector: FakeCollector, kind: str, subject: str = "") -> list[Event]:
    return [event for event in collector.events() if event.kind == kind and subject in {"", event.subject}]


def begun_and_over(collector: FakeCollector, kind: str, subject: str) -> list[bool | None]:
    return [event.on for event in events(collector, kind, subject)]


def devices_since(collector: FakeCollector, since_ms: int) -> set[str]:
    """Devices of which a value was taken after that."""
    return {device for device, _, at_ms, value, _ in collector.rows() if at_ms > since_ms and value is not None}


def ended(agent: AgentProgram, stations: Stations, collector: FakeCollector, site: str) -> tuple[Sum, dict[str, Any]]:
    """Agent, then stations end; the account, and what the agent said as it stopped."""
    assert agent.end() == 0, agent.output()
    wait_until(lambda: events(collector, "agent.stop"), what="the agent's last word")
    assert stations.end() == 0, stations.output()
    totals = events(collector, "agent.stop")[0].about
    assert totals["taken"] - totals["held_back"] == len(collector.rows()), "what the agent took and sent, and what arrived"
    environment = addresses(stations.ports[site])
    given, unsent = served(agent.file, environment, stations.folder), may_be_unsent(agent.file, environment)
    return settle(arrived(collector), given, unsent), totals


def test_on_a_pty_silence_and_a_port_that_goes(
    broker: Broker, collector: FakeCollector, stations: Stations, tmp_path: Path
) -> None:
    with AgentProgram("shiquan", stations, broker.port, tmp_path, ["--trust-clock"], **SPOKEN) as agent:
        wait_until(lambda: devices_since(collector, 0) == DEVICES, 20, "readings of every device")

        stations.fault("shiquan", "silent:level", on=True)
        wait_until(lambda: begun_and_over(collector, "device.silent", "level") == [True], 20, "level is silent")
        back_ms = stations.fault("shiquan", "silent:level", on=False)
        wait_until(lambda: begun_and_over(collector, "device.silent", "level") == [True, False], 30, "level answers")
        wait_until(lambda: "level" in devices_since(collector, back_ms), 20, "values of level")

        gone_ms = stations.fault("shiquan", "port-gone", on=True)
        wait_until(lambda: begun_and_over(collector, "bus.down", "rs485-1") == [True], 20, "the port is gone")
        wait_until(lambda: "panel" in devices_since(collector, gone_ms + 2000), 20, "the other bus goes on")
        back_ms = stations.fault("shiquan", "port-gone", on=False)
        wait_until(lambda: devices_since(collector, back_ms) == DEVICES, 40, "every device after the port is back")
        assert begun_and_over(collector, "bus.down", "rs485-1") == [True, False]
        total, _ = ended(agent, stations, collector, "shiquan")

    beside = [at_ms for at_ms in total.instants() if not gone_ms - 1000 < at_ms < gone_ms + 1000]
    assert len(beside) <= CUT_OFF, f"served and lost, of {total.served}: {beside}"
    assert total.arrived > 500
    for device in DEVICES:
        told = begun_and_over(collector, "device.silent", device)
        assert told == [True, False] * (len(told) // 2), device


def test_over_rfc2217_a_link_that_is_cut(broker: Broker, collector: FakeCollector, stations: Stations, tmp_path: Path) -> None:
    relay = stations.ports["baihe"]["broker"]
    with AgentProgram("baihe", stations, relay, tmp_path, DELIVERY__WINDOW="1 s", **SPOKEN) as agent:
        wait_until(lambda: devices_since(collector, 0) == DEVICES, 20, "readings of every device")
        cut_ms = stations.fault("baihe", "link-cut", on=True)
        wait_until(lambda: not agent.link_up, 20, "the agent sees that the link is gone")
        before, batches = agent.figure("taken"), len(collector.messages)
        wait_until(lambda: agent.figure("taken") > before + 300, 20, "it goes on reading")
        assert len(collector.messages) == batches
        shown = status(agent)
        assert shown.returncode == 1
        assert any("No connection to the broker" in line for line in json.loads(shown.stdout)["troubles"])
        stations.fault("baihe", "link-cut", on=False)
        wait_until(lambda: agent.link_up, 40, "the link is back")
        wait_until(lambda: agent.figure("delivered") > before + 300, 20, "what was taken meanwhile arrives")
        shown = status(agent)
        assert shown.returncode == 0, shown.stdout
        body = json.loads(shown.stdout)
        assert (body["schema"], body["site"], body["troubles"]) == ("status/1", "baihe", [])
        assert sum(row["taken"] for row in body["series"]) > before
        total, totals = ended(agent, stations, collector, "baihe")
    assert len(total.instants()) <= CUT_OFF + int(totals["failed"]), f"served and lost: {total.instants()}"
    assert max(at_ms for rows in arrived(collector).values() for at_ms, _ in rows) > cut_ms
    assert status(agent).returncode == 75, "none runs any more"


def status(agent: AgentProgram) -> subprocess.CompletedProcess[str]:
    return edge_agent("status", "--runtime-dir", str(agent.runtime), "--json")


def edge_agent(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge_agent", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_read_and_scan(tmp_path: Path) -> None:
    with Stations(tmp_path, ["baihe"]) as stations:
        line = f"rfc2217://127.0.0.1:{stations.ports['baihe']['rfc2217']}"
        search = ("scan", "--port", line, "--units", "1-5", "--timeout", "200", "--json")
        found = edge_agent(*search)
        assert found.returncode == 0, found.stderr
        assert [device["unit"] for device in json.loads(found.stdout)["found"]] == [1, 2, 3]
        for wrong in (("--baud", "19200"), ("--parity", "E")):
            nothing = edge_agent(*search, *wrong)
            assert (nothing.returncode, json.loads(nothing.stdout)["found"]) == (1, []), wrong

        site = str(REPOSITORY / "examples" / "demo" / "sites" / "baihe.yaml")
        environment = addresses(stations.ports["baihe"])
        once = edge_agent("read", site, "--json", **environment)
        assert once.returncode == 0, once.stdout + once.stderr
        readings = json.loads(once.stdout)["readings"]
        assert {reading["device"] for reading in readings} == DEVICES
        assert {reading["quality"] for reading in readings} == {"good"}
        shown = {(reading["device"], reading["point"]): reading["value"] for reading in readings}

        stations.fault("baihe", "silent:level", on=True)
        without = edge_agent("read", site, "level", "--json", **environment)
        assert without.returncode == 1
        assert [problem["code"] for problem in json.loads(without.stdout)["problems"]] == ["BUS102"]
        assert stations.end() == 0
    journal = served(Path(site), environment, tmp_path)
    assert shown == {series: rows[-1][1] for series, rows in journal.items()}
    scanned = ("drive", "model-code")  # by it the search knew the drive
    assert {series for series, rows in journal.items() if len(rows) > 1} <= {scanned}
