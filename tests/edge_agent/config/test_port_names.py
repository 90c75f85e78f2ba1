"""Names of serial ports in a site file: which are refused, which are warned of, and the name that is better."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.common.problem import Problem, ProblemError
from edge_agent.config.load import load_site
from edge_agent.model.serial_ports import Ports
from tests.support.usb import CH340, FTDI, FakeUsb, by_id_name, by_path_name

SITE = """
site: a
gateway: b
mqtt: {{brokers: [{{host: 127.0.0.1}}]}}
buses:
  - id: rs485-1
    serial: {{port: "{}"}}
    devices: [{{id: d, unit: 1, points: [{{id: v, table: holding, address: 0, type: u16}}]}}]
"""


def warnings(folder: Path, port: str, ports: Ports = Ports()) -> list[Problem]:
    (folder / "site.yaml").write_text(SITE.format(port))
    return [each for each in load_site(folder / "site.yaml", None, {}, ports).warnings if each.code == "CFG054"]


@pytest.fixture
def ports() -> Ports:
    usb = FakeUsb()
    usb.plug("ttyUSB0", FTDI)
    usb.plug("ttyUSB1", CH340)
    return usb.ports()


def test_a_number_is_warned_of_with_the_names_that_last(tmp_path: Path, ports: Ports) -> None:
    (warning,) = warnings(tmp_path, "/dev/ttyUSB0", ports)
    by_id, by_path = f"/dev/serial/by-id/{by_id_name(FTDI)}", f"/dev/serial/by-path/{by_path_name(FTDI)}"
    assert warning.do == f"write `port: usb:A50285BI` (or {by_id}, {by_path})."
    assert warning.where.startswith(str(tmp_path / "site.yaml:7:"))
    (warning,) = warnings(tmp_path, "/dev/ttyUSB1", ports)
    assert warning.do == f"write `port: /dev/serial/by-path/{by_path_name(CH340)}`."


def test_a_number_is_warned_of_where_nothing_is_plugged_in(tmp_path: Path) -> None:
    for name in ("/dev/ttyUSB0", "/dev/ttyACM12"):
        (warning,) = warnings(tmp_path, name)
        assert "`edge-agent scan --ports`" in warning.do


def test_a_link_of_an_adapter_without_number_is_warned_of(tmp_path: Path, ports: Ports) -> None:
    (warning,) = warnings(tmp_path, f"/dev/serial/by-id/{by_id_name(CH340)}", ports)
    assert "no serial number" in warning.what


@pytest.mark.parametrize(
    "port", ["usb:A50285BI", "usb:X/if02-port1", "/dev/ttyAMA0", "/dev/edge-rs485-1", f"/dev/serial/by-id/{by_id_name(FTDI)}"]
)
def test_names_that_last_are_not(tmp_path: Path, ports: Ports, port: str) -> None:
    assert warnings(tmp_path, port, ports) == []


@pytest.mark.parametrize("port", ["usb:", "usb:A B", "usb:A/2", "usb:A/if2", "usb:A/if02-port", ""])
def test_what_is_no_name_is_refused(tmp_path: Path, port: str) -> None:
    with pytest.raises(ProblemError):
        warnings(tmp_path, port)
