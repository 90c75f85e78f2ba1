"""`edge-agent scan --ports`: the ports with the names to write."""

from __future__ import annotations

import json

import pytest

from edge_agent.cli.main import build_app
from edge_agent.cli.scan_ports import list_ports
from edge_agent.common.program import run
from edge_agent.model.serial_ports import Ports
from tests.support.usb import CH340, FTDI, FakeUsb, by_path_name


@pytest.fixture
def ports() -> Ports:
    usb = FakeUsb()
    for name, adapter in (("ttyAMA0", None), ("ttyUSB0", FTDI), ("ttyUSB1", CH340)):
        usb.plug(name, adapter)
    return usb.ports()


def test_each_port_stands_with_the_name_that_lasts(ports: Ports, capsys: pytest.CaptureFixture[str]) -> None:
    list_ports(ports, as_json=False)
    out = [line.split(None, 2) for line in capsys.readouterr().out.splitlines()[1:]]
    assert out == [
        ["/dev/ttyAMA0", "/dev/ttyAMA0", "built in"],
        ["/dev/ttyUSB0", "usb:A50285BI", "FTDI FT232R USB UART (0403:6001, serial number A50285BI)"],
        ["/dev/ttyUSB1", f"/dev/serial/by-path/{by_path_name(CH340)}", f"{CH340}"],
    ]


def test_as_json(ports: Ports, capsys: pytest.CaptureFixture[str]) -> None:
    list_ports(ports, as_json=True)
    shown = json.loads(capsys.readouterr().out)
    assert (shown["schema"], shown["ports"][0]["adapter"], shown["ports"][1]["names"][0]) == ("ports/1", None, "usb:A50285BI")
    assert shown["ports"][1]["adapter"]["serial"] == "A50285BI"


def test_none_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    list_ports(Ports(), as_json=False)
    assert "No serial port is here." in capsys.readouterr().err


def test_this_machines_ports_can_be_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(build_app(), ["scan", "--ports", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["schema"] == "ports/1"
