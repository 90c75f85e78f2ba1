"""Gateways as they are, on real sockets: that close after each request, take one connection only, or speak RTU frames."""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
import pytest

from edge_agent.bus_visit import read_once
from edge_agent.cli.main import build_app
from edge_agent.common.program import run
from edge_agent.io.status_file import write_status
from edge_agent.io.tcp_link import CLOSES
from edge_agent.model.points import Framing
from tests.edge_agent.test_bus import Running, device, registers, running, tcp_bus
from tests.support.gateways import OneConnectionGateway
from tests.support.instrument import CLOCK, Behaviour, TcpInstrument
from tests.support.ports import wait_until

TWO = (device("a", 1, 0, 0, 3), device("b", 2, 2, 0))
HOLDS = {1: registers(4), 2: registers(4)}
SITE = """
site: a
gateway: b
mqtt: {{brokers: [{{host: 127.0.0.1}}]}}
buses:
  - id: lan
    tcp: {{host: 127.0.0.1, port: {port}}}
    devices:
      - id: d
        unit: 1
        requests: {{timeout: 200 ms}}
        points: [{{id: v, table: holding, address: 0, type: u16, write: {{low: 0, high: 9999}}}}]
"""


def site(folder: Path, port: int) -> str:
    path = folder / "site.yaml"
    path.write_text(SITE.format(port=port))
    return str(path)


@pytest.mark.parametrize(("closes_after_s", "rest_s"), [(0.0, 0.0), (0.003, 0.0), (0.003, 0.03)], ids=["at once", "late", "rests"])
def test_a_gateway_that_closes_after_each_request_is_read_without_any_loss(closes_after_s: float, rest_s: float) -> None:
    with OneConnectionGateway(Behaviour(HOLDS), closes_after_s, rest_s) as gateway, running(tcp_bus(gateway.port, *TWO)) as run:
        wait_until(lambda: run.runner.figures().note == CLOSES, what="the habit")
        lost, had = gateway.lost, len(run.of(2))
        wait_until(lambda: len(run.of(2)) > had + 10, what="readings")
        figures, asked = run.runner.figures(), len(gateway.behaviour.asked)
        assert gateway.lost == lost <= 1
        assert abs(gateway.connections - asked) <= 1 + lost
    assert {reading.value for reading in run.readings} == {225.7, 226.0}
    assert run.happenings == []
    assert (figures.state, figures.timeouts, [each.timeouts for each in figures.devices]) == ("ok", 0, [0, 0])


def test_a_gateway_with_room_for_one_has_one_connection_for_all_units() -> None:
    with OneConnectionGateway(Behaviour(HOLDS)) as gateway, running(tcp_bus(gateway.port, *TWO)) as run:
        wait_until(lambda: len(run.of(0)) > 5 and len(run.of(2)) > 5, what="readings")
        assert gateway.connections == 1
        wait_until(lambda: run.runner.figures().readings > 0, what="figures")
        assert run.runner.figures().note == ""
    assert run.happenings == []


def show_status(folder: Path, bus: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the running agent's status file would say of the bus."""
    wait_until(lambda: bus.runner.figures().port != "", what="figures")
    write_status(folder, {"pid": os.getpid(), "buses": {"panel": msgspec.to_builtins(bus.runner.figures())}})
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(folder))


@pytest.mark.parametrize("refuses", [True, False], ids=["refuses", "hangs"])
def test_commands_beside_the_running_agent_say_what_to_do(
    refuses: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    behaviour = Behaviour(HOLDS)
    with OneConnectionGateway(behaviour) if refuses else TcpInstrument(behaviour) as gateway:
        with running(tcp_bus(gateway.port, *TWO)) as bus:
            wait_until(lambda: bus.of(2), what="readings")
            site_file = site(tmp_path, gateway.port)
            scan = ["scan", "--tcp", f"127.0.0.1:{gateway.port}", "--units", "1", "--timeout", "100"]
            write = ["write", site_file, "d", "v", "5", "--yes", "--state-dir", str(tmp_path)]
            assert run(build_app(), ["read", site_file]) == 1
            assert "only connection" in capsys.readouterr().err
            show_status(tmp_path, bus, monkeypatch)
            for arguments in (["read", site_file], scan, write):
                assert run(build_app(), arguments) == 1
                said = capsys.readouterr().err
                assert 'the running agent is connected there (its bus "panel")' in said
                assert "`systemctl stop edge-agent`" in said
        wait_until(lambda: run(build_app(), ["read", site_file]) == 0, what="the gateway is free")
        assert "agent is connected" not in capsys.readouterr().err.rpartition("Next:")[2]


@pytest.mark.parametrize(("framing", "spoken", "words"), [("tcp", "rtu-over-tcp", "RTU"), ("rtu-over-tcp", "tcp", "Modbus TCP")])
def test_a_gateway_that_speaks_the_other_framing_is_told_from_a_dead_one(framing: Framing, spoken: Framing, words: str) -> None:
    with TcpInstrument(Behaviour(HOLDS), framing=spoken) as gateway, running(tcp_bus(gateway.port, *TWO, framing=framing)) as run:
        wait_until(lambda: run.told("bus.framing") == [("lan", True)], what="the event")
        wait_until(lambda: run.runner.figures().state == "framing", what="figures")
        assert run.runner.figures().reason == f"it answers in {words} frames: write `framing: {spoken}` (BUS107)"
        assert {reading.value for reading in run.readings} <= {None}
        gateway.framing = framing
        wait_until(lambda: run.told("bus.framing") == [("lan", True), ("lan", False)], what="mended")
        wait_until(lambda: 225.7 in [each.value for each in run.of(0)], what="a value")


def test_a_gateway_that_says_nothing_in_any_framing_is_silent() -> None:
    with TcpInstrument(Behaviour()) as gateway, running(tcp_bus(gateway.port, *TWO)) as run:
        wait_until(lambda: {subject for subject, _ in run.told("device.silent")} == {"a", "b"}, what="silent")
        wait_until(lambda: run.runner.figures().timeouts > 8, what="more questions")
        assert run.runner.figures().state == "ok"
    assert run.told("bus.framing") == []


def test_a_gateway_that_only_hangs_up_is_asked_ever_more_rarely() -> None:
    with OneConnectionGateway(Behaviour(HOLDS, hangs_up=True)) as gateway, running(tcp_bus(gateway.port, *TWO)) as run:
        wait_until(lambda: len(run.told("bus.down")) >= 5, what="down twice and again")
        assert run.runner.figures().state != "framing"
    down = [each.taken_ms for each in run.happenings if each.kind == "bus.down" and each.on]
    assert down[2] - down[1] > 1.5 * (down[1] - down[0])


@pytest.mark.parametrize(("framing", "spoken"), [("tcp", "rtu-over-tcp"), ("rtu-over-tcp", "tcp")])
def test_one_visit_names_the_framing(framing: Framing, spoken: Framing) -> None:
    with TcpInstrument(Behaviour(HOLDS), framing=spoken) as gateway:
        first, second = read_once(tcp_bus(gateway.port, *TWO, framing=framing), None, CLOCK).problems
    assert (first.code, second.code) == ("BUS107", "BUS107")
    assert f"write `framing: {spoken}` for this bus" in first.do


def test_scan_finds_what_speaks_rtu_frames_on_its_port(capsys: pytest.CaptureFixture[str]) -> None:
    with TcpInstrument(Behaviour({2: registers(4)}), framing="rtu-over-tcp") as gateway:
        arguments = ["scan", "--tcp", f"127.0.0.1:{gateway.port}", "--units", "1-3", "--timeout", "50"]
        assert run(build_app(), [*arguments, "--json"]) == 0
        shown = json.loads(capsys.readouterr().out)
        assert (shown["framing"], [each["unit"] for each in shown["found"]]) == ("rtu-over-tcp", [2])
        assert run(build_app(), arguments) == 0
    assert "BUS107" in capsys.readouterr().err
