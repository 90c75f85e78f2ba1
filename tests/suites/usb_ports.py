"""What is seen of adapters that are plugged in and out, and which of them a name means: on folders as kernel and udev make them,
and on the fake. A subclass gives `usb` (`plug`, `unplug`, `path`, `source`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import pytest

from edge_agent.io.serial_ports import PortSource
from edge_agent.model.serial_ports import Adapter, Binding, NotBound, lasting_names
from tests.support.usb import CH340, FTDI, OTHER_CH340, OTHER_FTDI, by_id_name, by_path_name

QUAD = replace(FTDI, product="6011", serial="QUAD01", socket="1-1.2", title="FTDI Quad RS232-HS")


class Usb(Protocol):
    """Adapters that can be plugged in and out."""

    @property
    def source(self) -> PortSource: ...

    def plug(self, name: str, adapter: Adapter | None, device: str = ...) -> None: ...

    def unplug(self, name: str) -> None: ...

    def path(self, name: str) -> str: ...


class Bound:
    """A name of a site file, as a link uses it."""

    def __init__(self, usb: Usb, name: str) -> None:
        self._usb, self._name, self._binding = usb, name, Binding(name)

    def open(self) -> str:
        """The file that is opened, or why none is."""
        source = self._usb.source
        try:
            port = self._binding.choose(source.ports(), source.leads_to(self._name))
        except NotBound as why:
            return f"no: {why}"
        self._binding.bound(port, source.ports())
        return port.path


class UsbPortsSuite:
    """Behaviour of ports and names."""

    def test_an_adapter_tells_what_it_is(self, usb: Usb) -> None:
        usb.plug("ttyUSB0", FTDI)
        usb.plug("ttyAMA0", None)
        uart, adapter = usb.source.ports().all
        assert (uart.path, uart.adapter) == (usb.path("/dev/ttyAMA0"), None)
        assert (adapter.path, adapter.adapter) == (usb.path("/dev/ttyUSB0"), FTDI)
        assert adapter.by_id == usb.path(f"/dev/serial/by-id/{by_id_name(FTDI)}")
        assert adapter.by_path == usb.path(f"/dev/serial/by-path/{by_path_name(FTDI)}")

    def test_links_lead_to_the_port_and_other_paths_to_themselves(self, usb: Usb) -> None:
        usb.plug("ttyUSB0", FTDI)
        assert usb.source.leads_to(usb.path(f"/dev/serial/by-id/{by_id_name(FTDI)}")) == usb.path("/dev/ttyUSB0")
        for path in (usb.path("/dev/ttyUSB0"), usb.path("/dev/serial/by-id/none"), "/dev/pts/77"):
            assert usb.source.leads_to(path) == path

    def test_the_names_that_last(self, usb: Usb) -> None:
        second = replace(QUAD, interface="02")
        for name, adapter in (("ttyUSB0", FTDI), ("ttyUSB1", CH340), ("ttyUSB2", QUAD), ("ttyUSB3", second), ("ttyAMA0", None)):
            usb.plug(name, adapter)
        ports = usb.source.ports()
        best = {port.path.rpartition("/")[2]: lasting_names(port, ports)[0] for port in ports.all}
        by_path = usb.path(f"/dev/serial/by-path/{by_path_name(CH340)}")
        expected = {"ttyUSB0": "usb:A50285BI", "ttyUSB1": by_path, "ttyUSB2": "usb:QUAD01", "ttyUSB3": "usb:QUAD01/if02"}
        assert best == expected | {"ttyAMA0": usb.path("/dev/ttyAMA0")}

    @pytest.mark.parametrize("name", ["usb:A50285BI", "/dev/ttyUSB0", f"/dev/serial/by-id/{by_id_name(FTDI)}"])
    def test_an_adapter_that_returns_under_another_name_is_found_again(self, usb: Usb, name: str) -> None:
        bound = Bound(usb, name if name.startswith("usb:") else usb.path(name))
        usb.plug("ttyUSB0", FTDI)
        assert bound.open() == usb.path("/dev/ttyUSB0")
        usb.unplug("ttyUSB0")
        if name.startswith("/dev/serial"):
            assert bound.open().startswith("no: the adapter is not plugged in: FTDI FT232R")
        usb.plug("ttyUSB0", OTHER_FTDI)
        assert bound.open().startswith("no: ")
        usb.plug("ttyUSB1", replace(FTDI, socket="1-1.1"))
        assert bound.open() == usb.path("/dev/ttyUSB1")

    @pytest.mark.parametrize("name", ["/dev/ttyUSB0", f"/dev/serial/by-id/{by_id_name(CH340)}"])
    def test_an_adapter_without_number_is_known_by_its_socket(self, usb: Usb, name: str) -> None:
        bound = Bound(usb, usb.path(name))
        usb.plug("ttyUSB0", CH340)
        assert bound.open() == usb.path("/dev/ttyUSB0")
        usb.unplug("ttyUSB0")
        usb.plug("ttyUSB0", OTHER_CH340)
        assert bound.open().startswith("no: another adapter is there now, ")
        usb.plug("ttyUSB1", CH340)
        assert bound.open() == usb.path("/dev/ttyUSB1")

    def test_a_number_that_two_adapters_have_binds_neither(self, usb: Usb) -> None:
        usb.plug("ttyUSB0", FTDI)
        usb.plug("ttyUSB1", replace(FTDI, socket="1-1.1"))
        assert "2 adapters have this serial number" in Bound(usb, "usb:A50285BI").open()

    def test_a_number_that_two_adapters_had_means_the_former_socket_alone(self, usb: Usb) -> None:
        bound = Bound(usb, usb.path("/dev/ttyUSB0"))
        usb.plug("ttyUSB0", FTDI)
        usb.plug("ttyUSB1", replace(FTDI, socket="1-1.1"))
        assert bound.open() == usb.path("/dev/ttyUSB0")
        usb.unplug("ttyUSB0")
        assert bound.open().startswith("no: the adapter is not plugged in")

    def test_a_link_that_fits_two_adapters_binds_neither(self, usb: Usb) -> None:
        usb.plug("ttyUSB0", CH340)
        usb.plug("ttyUSB1", OTHER_CH340)
        assert "this name fits 2 adapters" in Bound(usb, usb.path(f"/dev/serial/by-id/{by_id_name(CH340)}")).open()

    def test_a_socket_is_what_it_says_whatever_is_plugged_into_it(self, usb: Usb) -> None:
        bound = Bound(usb, usb.path(f"/dev/serial/by-path/{by_path_name(FTDI)}"))
        usb.plug("ttyUSB0", FTDI)
        assert bound.open() == usb.path("/dev/ttyUSB0")
        usb.unplug("ttyUSB0")
        usb.plug("ttyUSB0", replace(OTHER_FTDI, socket=FTDI.socket))
        usb.plug("ttyUSB1", replace(FTDI, socket="1-1.1"))
        assert bound.open() == usb.path("/dev/ttyUSB0")

    def test_of_an_adapter_with_four_ports_each_has_its_name(self, usb: Usb) -> None:
        for number in range(4):
            usb.plug(f"ttyUSB{number}", replace(QUAD, interface=f"0{number}"))
        assert Bound(usb, "usb:QUAD01").open() == Bound(usb, "usb:QUAD01/if00-port0").open() == usb.path("/dev/ttyUSB0")
        assert Bound(usb, "usb:QUAD01/if03").open() == usb.path("/dev/ttyUSB3")
        assert Bound(usb, "usb:QUAD01/if04").open().startswith("no: this adapter is not plugged in; here are: usb:QUAD01, usb:QU")
