"""Does I/O: USB serial adapters on real ptys, with the folders in which kernel and udev tell of them; and a fake in memory."""

from __future__ import annotations

import os
import select
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from edge_agent.io.serial_ports import KernelPorts
from edge_agent.model.serial_ports import Adapter, Ports, SerialPort
from examples.station_sim.modbus import RtuRequests, rtu_frame
from tests.support.instrument import Behaviour

FTDI = Adapter("0403", "6001", "A50285BI", "1-1.4", title="FTDI FT232R USB UART")
OTHER_FTDI = replace(FTDI, serial="B7001XYZ", socket="1-1.2")
CH340 = Adapter("1a86", "7523", "", "1-1.3", title="QinHeng USB Serial")
OTHER_CH340 = replace(CH340, socket="1-1.1")


def by_id_name(adapter: Adapter) -> str:
    """As udev makes it: of make, serial number and port; of adapters without a number always the same."""
    make = adapter.title.replace(" ", "_")
    return f"usb-{make}{'_' + adapter.serial if adapter.serial else ''}-if{adapter.interface}-port{adapter.port}"


def by_path_name(adapter: Adapter) -> str:
    """As udev makes it: of the socket."""
    return f"platform-usb-0:{adapter.socket.partition('-')[2]}:1.{int(adapter.interface, 16)}-port{adapter.port}"


class KernelUsb:
    """Writes what `/sys/class/tty` and `/dev/serial` would say below a folder; `/dev/ttyUSBn` leads to a pty."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.source = KernelPorts(root)
        for folder in ("sys/class/tty", "dev/serial/by-id", "dev/serial/by-path"):
            (root / folder).mkdir(parents=True)

    def plug(self, name: str, adapter: Adapter | None, device: str = "/dev/null") -> None:
        """A port appears. adapter: None of a UART of the board."""
        (self.root / "dev" / name).symlink_to(device)
        (self.root / "sys/class/tty" / name).mkdir()
        hardware = self.root / "sys/devices/uart" / name
        if adapter is not None:
            usb = self.root / "sys/devices" / adapter.socket
            interface = usb / f"{adapter.socket}:1.{int(adapter.interface, 16)}"
            hardware = interface / name
            interface.mkdir(parents=True, exist_ok=True)
            (interface / "bInterfaceNumber").write_text(adapter.interface + "\n")
            maker, _, product = adapter.title.partition(" ")
            facts = {"idVendor": adapter.vendor, "idProduct": adapter.product, "manufacturer": maker, "product": product}
            for file, text in (facts | ({"serial": adapter.serial} if adapter.serial else {})).items():
                (usb / file).write_text(text + "\n")
            for kind, link in (("by-id", by_id_name(adapter)), ("by-path", by_path_name(adapter))):
                at = self.root / "dev/serial" / kind / link
                at.unlink(missing_ok=True)
                at.symlink_to(f"../../{name}")
        hardware.mkdir(parents=True)
        if adapter is not None:
            (hardware / "port_number").write_text(f"{adapter.port}\n")
        (self.root / "sys/class/tty" / name / "device").symlink_to(hardware)

    def unplug(self, name: str) -> None:
        """The port is gone, and what leads to it."""
        for link in (self.root / "dev/serial").glob("*/*"):
            if link.readlink().name == name:
                link.unlink()
        (self.root / "dev" / name).unlink()
        tty_folder = self.root / "sys/class/tty" / name
        (tty_folder / "device").unlink()
        tty_folder.rmdir()
        for folder in self.root.glob(f"sys/devices/**/{name}"):
            (folder / "port_number").unlink(missing_ok=True)
            folder.rmdir()

    def path(self, name: str) -> str:
        """Of a device file or link, as a site file would have it."""
        return str(self.root / name.lstrip("/"))


@dataclass
class FakeUsb:
    """The same in memory: passes tests/suites/usb_ports.py as `KernelUsb` does."""

    plugged: dict[str, Adapter | None] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    @property
    def source(self) -> FakeUsb:
        return self

    def plug(self, name: str, adapter: Adapter | None, device: str = "") -> None:
        self.plugged[name] = adapter
        if adapter is not None:
            self.links[f"/dev/serial/by-id/{by_id_name(adapter)}"] = name
            self.links[f"/dev/serial/by-path/{by_path_name(adapter)}"] = name

    def unplug(self, name: str) -> None:
        del self.plugged[name]
        self.links = {link: to for link, to in self.links.items() if to != name}

    def path(self, name: str) -> str:
        return "/" + name.lstrip("/")

    def ports(self) -> Ports:
        return Ports(tuple(SerialPort(f"/dev/{name}", self.plugged[name], *self._links_to(name)) for name in sorted(self.plugged)))

    def leads_to(self, name: str) -> str:
        return f"/dev/{self.links[name]}" if name in self.links else name

    def _links_to(self, name: str) -> tuple[str, str]:
        links = [link for link, to in self.links.items() if to == name]
        by_id, by_path = ("".join(link for link in links if f"/{kind}/" in link) for kind in ("by-id", "by-path"))
        return by_id, by_path


class PluggedInstrument:
    """Instruments on a pty that can be unplugged: the other end then sees the hang-up that the kernel makes of it."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self._near, self._far = os.openpty()
        tty.setraw(self._near)
        tty.setraw(self._far)
        self.device = os.ttyname(self._far)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def unplug(self) -> None:
        """Harmless a second time."""
        if not self._stop.is_set():
            self._stop.set()
            self._thread.join()
            os.close(self._far)
            os.close(self._near)

    def _serve(self) -> None:
        requests = RtuRequests()
        while not self._stop.is_set():
            if select.select([self._near], [], [], 0.02)[0]:
                for unit, pdu, _ in requests.feed(os.read(self._near, 4096)):
                    reply = self.behaviour.reply(unit, pdu)
                    if reply is not None:
                        os.write(self._near, rtu_frame(unit, reply))


@contextmanager
def plugged(usb: KernelUsb, name: str, adapter: Adapter, behaviour: Behaviour) -> Iterator[PluggedInstrument]:
    """An instrument on an adapter; unplugged at the end, if not before."""
    made = PluggedInstrument(behaviour)
    usb.plug(name, adapter, made.device)
    try:
        yield made
    finally:
        made.unplug()
