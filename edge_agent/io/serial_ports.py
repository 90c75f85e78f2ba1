"""Does I/O: the serial ports of this machine, as the kernel (`/sys/class/tty`) and udev (`/dev/serial`) tell of them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from edge_agent.model.serial_ports import Adapter, Ports, SerialPort

_WORTH_A_LOOK = re.compile(r"tty(USB|ACM|AMA|S|mxc|O|PS|SC|HS)\d+")
_BUILT_IN = re.compile(r"ttyS\d+")
_NO_NUMBERS = frozenset(("0", "0000", "0001", "00000000", "00000001", "0123456789ABCDEF", "123456", "12345678"))
"""What makers write into every one of their adapters (CP2102 comes with 0001): no serial number."""
_MOST_LINKS = 8


class PortSource(Protocol):
    """Where one looks for ports."""

    def ports(self) -> Ports:
        """What is plugged in now."""
        ...

    def leads_to(self, name: str) -> str:
        """The device file that a path leads to, as `Ports` names it; the path itself where it is no link to one."""
        ...


class KernelPorts:
    """The ports below a root folder: `/`, or that of a test."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    def ports(self) -> Ports:
        """What is plugged in now, by name; nothing where the kernel tells of none. Ports without hardware are left out."""
        folder = self._root / "sys/class/tty"
        names = [name for name in _names(folder) if _WORTH_A_LOOK.fullmatch(name)]
        links = {kind: self._links(self._root / "dev/serial" / kind) for kind in ("by-id", "by-path")}
        found = []
        for name in sorted(names, key=lambda name: (re.sub(r"\d", "", name), int(re.sub(r"\D", "", name)))):
            path, hardware = str(self._root / "dev" / name), folder / name / "device"
            adapter = _adapter(hardware)
            if adapter is None and (not hardware.exists() or (_BUILT_IN.fullmatch(name) and _is_empty_uart(folder / name))):
                continue
            found.append(SerialPort(path, adapter, links["by-id"].get(path, ""), links["by-path"].get(path, "")))
        return Ports(tuple(found))

    def leads_to(self, name: str) -> str:
        """The device file of a path that may be a link to it (as far as it leads to one of this machine's); else the path."""
        at, devices = Path(os.path.normpath(name)), self._root / "dev"
        for _ in range(_MOST_LINKS):
            if at.parent == devices and _WORTH_A_LOOK.fullmatch(at.name):
                return str(at)
            try:
                at = Path(os.path.normpath(at.parent / at.readlink()))
            except OSError:
                break
        return name

    def _links(self, folder: Path) -> dict[str, str]:
        """Link by the device file it leads to."""
        return {self.leads_to(str(folder / name)): str(folder / name) for name in sorted(_names(folder))}


def _names(folder: Path) -> Iterator[str]:
    with suppress(OSError):
        yield from (each.name for each in folder.iterdir())


def _adapter(hardware: Path) -> Adapter | None:
    """Of a tty that is on USB: the interface, and above it the device."""
    at = Path(os.path.realpath(hardware))
    port = _text(at / "port_number")
    interface = next((each for each in (at, *at.parents[:2]) if (each / "bInterfaceNumber").exists()), None)
    if interface is None:
        return None
    device = interface.parent
    serial = _text(device / "serial")
    return Adapter(
        vendor=_text(device / "idVendor"),
        product=_text(device / "idProduct"),
        serial="" if serial in _NO_NUMBERS or re.search(r"[\s/]", serial) else serial,
        socket=device.name,
        interface=_text(interface / "bInterfaceNumber"),
        port=int(port) if port.isdecimal() else 0,
        title=" ".join(text for text in (_text(device / "manufacturer"), _text(device / "product")) if text),
    )


def _is_empty_uart(tty: Path) -> bool:
    """A PC's driver has ttyS0 to ttyS31, whether or not there is a chip: type 0 is none."""
    return _text(tty / "type") == "0"


def _text(file: Path) -> str:
    try:
        return file.read_bytes()[:200].decode("utf-8", "replace").strip()
    except OSError:
        return ""
