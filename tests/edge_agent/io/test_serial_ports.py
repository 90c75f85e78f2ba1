"""Ports of this machine and what their names mean: real folders and the fake, the same suite for both; then on real ptys."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.io.serial_link import SerialLink
from edge_agent.io.serial_ports import KernelPorts
from edge_agent.model.points import Serial
from edge_agent.protocols.session import LinkDown
from tests.edge_agent.test_bus import Running, device, registers, running, serial_bus
from tests.suites.usb_ports import UsbPortsSuite
from tests.support.instrument import Behaviour
from tests.support.ports import wait_until
from tests.support.usb import CH340, FTDI, OTHER_FTDI, FakeUsb, KernelUsb, by_path_name, plugged


class TestKernelPorts(UsbPortsSuite):
    @pytest.fixture
    def usb(self, tmp_path: Path) -> KernelUsb:
        return KernelUsb(tmp_path)


class TestFakeUsb(UsbPortsSuite):
    @pytest.fixture
    def usb(self) -> FakeUsb:
        return FakeUsb()


@pytest.mark.parametrize("serial", ["0001", "12345678", "a b"])
def test_a_number_that_every_adapter_of_a_make_has_is_none(tmp_path: Path, serial: str) -> None:
    usb = KernelUsb(tmp_path)
    usb.plug("ttyUSB0", replace(FTDI, serial=serial))
    assert [port.adapter and port.adapter.serial for port in usb.source.ports().all] == [""]


def test_uarts_that_are_not_fitted_are_left_out(tmp_path: Path) -> None:
    usb = KernelUsb(tmp_path)
    for name, kind in (("ttyS0", "4"), ("ttyS1", "0")):
        usb.plug(name, None)
        (tmp_path / "sys/class/tty" / name / "type").write_text(kind)
    assert [port.path for port in usb.source.ports().all] == [usb.path("/dev/ttyS0")]
    (tmp_path / "sys/class/tty/ttyS0/type").unlink()


def test_where_the_kernel_tells_nothing_there_are_none(tmp_path: Path) -> None:
    assert KernelPorts(tmp_path / "none").ports().all == ()


def test_an_adapter_swapped_as_it_is_opened_is_let_go(tmp_path: Path) -> None:
    usb = KernelUsb(tmp_path)

    class Swapping(KernelPorts):
        looks = 0

        def leads_to(self, name: str) -> str:
            self.looks += 1
            if self.looks == 2:
                usb.unplug("ttyUSB0")
                usb.plug("ttyUSB0", OTHER_FTDI, other.device)
            return super().leads_to(name)

    with plugged(usb, "ttyUSB0", FTDI, Behaviour()), plugged(usb, "ttyUSB9", CH340, Behaviour()) as other:
        link = SerialLink(Serial(usb.path("/dev/ttyUSB0")), Swapping(tmp_path))
        with pytest.raises(LinkDown, match="plugged in anew while it was opened"):
            link.open()
        with pytest.raises(LinkDown, match="not open"):
            link.receive(1)


@pytest.fixture
def usb(tmp_path: Path) -> KernelUsb:
    return KernelUsb(tmp_path)


def on_usb(usb: KernelUsb, name: str) -> AbstractContextManager[Running]:
    """A bus in its thread, on the port of this name."""
    bus = serial_bus(name if name.startswith("usb:") else usb.path(name), device("d", 1, 0, 0))
    assert isinstance(bus.link, Serial)
    return running(bus, SerialLink(bus.link, usb.source))


@pytest.mark.parametrize("name", ["usb:A50285BI", "/dev/ttyUSB0"])
def test_an_adapter_comes_back_under_another_name_while_another_takes_its_own(usb: KernelUsb, name: str) -> None:
    """Both instruments have the same address: what the wrong one holds must never be a value."""
    with plugged(usb, "ttyUSB0", FTDI, Behaviour({1: registers(1)})) as ours, on_usb(usb, name) as run:
        wait_until(lambda: len(run.of(0)) > 3, what="readings")
        ours.unplug()
        usb.unplug("ttyUSB0")
        wait_until(lambda: run.told("bus.down") == [("line", True)], what="down")
        with plugged(usb, "ttyUSB0", OTHER_FTDI, Behaviour({1: {0: 9999}})) as others:
            why = ("this adapter is not plugged in; here are: usb:B7001XYZ", "another adapter is there now")
            wait_until(lambda: any(each in run.runner.figures().reason for each in why), what="the reason")
            figures = run.runner.figures()
            assert (figures.state, figures.since_ms) == ("down", run.happenings[0].taken_ms)
            with plugged(usb, "ttyUSB1", FTDI, Behaviour({1: registers(1)})):
                wait_until(lambda: run.told("bus.down") == [("line", True), ("line", False)], 10, what="up")
                wait_until(lambda: run.of(0)[-1].value == 225.7, what="values")
                wait_until(lambda: run.runner.figures().port.startswith(usb.path("/dev/ttyUSB1")), what="figures")
            assert others.behaviour.asked == []
        values, happenings = {reading.value for reading in run.of(0)}, list(run.happenings)
    assert values <= {225.7, None}
    back = next(each for each in happenings if each.kind == "bus.down" and each.on is False)
    assert back.reason.startswith(f"it is {usb.path('/dev/ttyUSB1')}, FTDI FT232R USB UART (0403:6001, serial number A50285BI) now")


def test_another_adapter_in_the_socket_that_was_asked_for_is_told(usb: KernelUsb) -> None:
    by_path = f"/dev/serial/by-path/{by_path_name(FTDI)}"
    with plugged(usb, "ttyUSB0", FTDI, Behaviour({1: registers(1)})) as ours, on_usb(usb, by_path) as run:
        wait_until(lambda: run.of(0), what="a reading")
        ours.unplug()
        usb.unplug("ttyUSB0")
        wait_until(lambda: run.told("bus.down") == [("line", True)], what="down")
        with plugged(usb, "ttyUSB0", replace(OTHER_FTDI, socket=FTDI.socket), Behaviour({1: registers(1)})):
            wait_until(lambda: len(run.told("bus.down")) == 2, 10, what="up")
        back = [each for each in run.happenings if each.kind == "bus.down"][1]
    assert "serial number B7001XYZ) now; before it was" in back.reason


@pytest.mark.parametrize("name", ["usb:A50285BI", "/dev/ttyUSB0", f"/dev/serial/by-path/{by_path_name(FTDI)}"])
def test_a_port_that_is_missing_is_said_with_those_that_are_here(usb: KernelUsb, name: str) -> None:
    for port, adapter in (("ttyAMA0", None), ("ttyUSB1", OTHER_FTDI), ("ttyUSB2", CH340)):
        usb.plug(port, adapter)
    written = name if name.startswith("usb:") else usb.path(name)
    with pytest.raises(LinkDown) as down:
        SerialLink(Serial(written), usb.source).open()
    here = f"{usb.path('/dev/ttyAMA0')}, usb:B7001XYZ, {usb.path(f'/dev/serial/by-path/{by_path_name(CH340)}')}"
    assert str(down.value).startswith(f"{written}: ")
    assert str(down.value).endswith(f"; here are: {here}")
