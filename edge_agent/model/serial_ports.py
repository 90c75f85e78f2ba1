"""Pure. Which serial port is meant by a name of the site file, and whether the adapter there is still the one it was.

A name is one of four:

    usb:A50285BI            the USB adapter with this serial number; `/if02` or `/if02-port1` says which of its several ports
    /dev/serial/by-id/...   a link that udev makes of make and serial number; adapters without a number share one
    other links, UARTs      /dev/serial/by-path/..., /dev/edge-rs485-1, /dev/ttyAMA0: whatever stands where the name leads
    /dev/ttyUSB0, ttyACM0   a number in the order of plugging in: after a return it may be that of another adapter

An adapter is known by make, serial number and port; where it has no number, or another one looks alike, by its USB socket too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

USB = "usb:"
BY_ID, BY_PATH = "/dev/serial/by-id/", "/dev/serial/by-path/"
USB_NAME = re.compile(r"usb:[^/\s]{1,100}(/if[0-9a-f]{2}(-port[0-9]{1,2})?)?")
_FIRST = "if00"
_NUMBERED = re.compile(r".*/dev/tty(USB|ACM)\d+")


class NotBound(Exception):
    """No port can be given to a name; the text says why, for people."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """What a USB serial adapter tells of itself, and where it is plugged in."""

    vendor: str
    product: str
    """USB ids, four hex digits."""
    serial: str = ""
    """Empty: it has none of its own, as most CH340 and PL2303."""
    socket: str = ""
    """The kernel's name of the place, e.g. `1-1.4`: bus 1, socket 1, socket 4 of the hub in it."""
    interface: str = "00"
    port: int = 0
    """Of the interface, where it has several."""
    title: str = ""
    """Make and model for people."""

    @property
    def part(self) -> str:
        """Which port of an adapter with several; empty of the first."""
        tail = f"if{self.interface}" + (f"-port{self.port}" if self.port else "")
        return "" if tail == _FIRST else f"/{tail}"

    def looks_like(self, other: Adapter) -> bool:
        """True if nothing but the socket tells them apart."""
        ours, theirs = ((a.vendor, a.product, a.serial, a.interface, a.port) for a in (self, other))
        return ours == theirs

    def __str__(self) -> str:
        number = f"serial number {self.serial}" if self.serial else f"no serial number, USB socket {self.socket}"
        return f"{self.title or 'USB adapter'} ({self.vendor}:{self.product}, {number}{self.part})"


@dataclass(frozen=True, slots=True)
class SerialPort:
    """One serial port of this machine. path: its device file. by_id, by_path: udev's links to it; empty: none."""

    path: str
    adapter: Adapter | None = None
    by_id: str = ""
    by_path: str = ""

    def __str__(self) -> str:
        return f"{self.path}, {self.adapter}" if self.adapter is not None else self.path


@dataclass(frozen=True, slots=True)
class Ports:
    """What is plugged in now."""

    all: tuple[SerialPort, ...] = ()

    def at(self, path: str) -> SerialPort | None:
        """The port with this device file."""
        return next((port for port in self.all if port.path == path), None)

    def alike(self, adapter: Adapter) -> list[SerialPort]:
        """Ports whose adapter looks like this one."""
        return [port for port in self.all if port.adapter is not None and port.adapter.looks_like(adapter)]

    def listed(self) -> str:
        """What is here, each by the name to write."""
        return ", ".join((lasting_names(port, self) or [port.path])[0] for port in self.all) or "none"

    def named(self, name: str) -> list[SerialPort]:
        """Ports that `usb:...` names; more than one where adapters share a number."""
        serial, _, part = name.removeprefix(USB).partition("/")
        part = part.removesuffix("-port0")
        wanted = "" if part in ("", _FIRST) else f"/{part}"
        return [port for port in self.all if port.adapter and (port.adapter.serial, port.adapter.part) == (serial, wanted)]


def lasting_names(port: SerialPort, ports: Ports) -> list[str]:
    """Names that will mean this port tomorrow too, the best one first; none where nothing but its number is known."""
    adapter = port.adapter
    if adapter is None:
        return [] if is_numbered(port.path) else [port.path]
    names = []
    if adapter.serial and len(ports.named(USB + adapter.serial + adapter.part)) == 1:
        names.append(f"{USB}{adapter.serial}{adapter.part}")
        names += [port.by_id] if port.by_id else []
    return names + ([port.by_path] if port.by_path else [])


def is_numbered(name: str) -> bool:
    """True of a name that another adapter may have after plugging in anew."""
    return _NUMBERED.fullmatch(name) is not None


class Binding:
    """A name of the site file over the time of a program: keeps in mind which adapter it had."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._adapter: Adapter | None = None
        """The one that is bound, or was."""
        self._has_twin = False
        """Another one that looks alike was seen: the socket alone tells them apart."""

    def choose(self, ports: Ports, leads_to: str) -> SerialPort:
        """The port to open. leads_to: the device file of a name that is a path. Raises NotBound."""
        if self._adapter is not None:
            self._has_twin = self._has_twin or len(ports.alike(self._adapter)) > 1
        if self.name.startswith(USB):
            return self._of_number(ports)
        there = ports.at(leads_to) or SerialPort(leads_to)
        if not is_numbered(self.name) and BY_ID not in self.name:
            return there
        return self._first(there, ports) if self._adapter is None else self._as_before(there, ports)

    def bound(self, port: SerialPort, ports: Ports) -> None:
        """It was opened."""
        if port.adapter is not None:
            self._adapter = port.adapter
            self._has_twin = self._has_twin or len(ports.alike(port.adapter)) > 1

    def _of_number(self, ports: Ports) -> SerialPort:
        found = ports.named(self.name)
        if len(found) > 1:
            listed = ", ".join(port.path for port in found)
            raise NotBound(f"{len(found)} adapters have this serial number ({listed}); bind each by its {BY_PATH}... link")
        if not found:
            raise NotBound(f"this adapter is not plugged in; here are: {ports.listed()}")
        if self._adapter is not None and not self._is_the_one(found[0]):
            raise NotBound(self._another(found[0]))
        return found[0]

    def _first(self, there: SerialPort, ports: Ports) -> SerialPort:
        """A link made of make and serial number must not mean two."""
        if BY_ID in self.name and there.adapter is not None and len(ports.alike(there.adapter)) > 1:
            raise NotBound(f"this name fits {len(ports.alike(there.adapter))} adapters that look alike; bind each by {BY_PATH}...")
        return there

    def _as_before(self, there: SerialPort, ports: Ports) -> SerialPort:
        """The adapter that was bound, under whatever name it has now."""
        same = [port for port in ports.all if self._is_the_one(port)]
        if same:
            return there if there in same else same[0]
        if there.adapter is None:
            raise NotBound(f"the adapter is not plugged in: {self._adapter}; here are: {ports.listed()}")
        raise NotBound(self._another(there))

    def _is_the_one(self, port: SerialPort) -> bool:
        ours, theirs = self._adapter, port.adapter
        if ours is None or theirs is None or not theirs.looks_like(ours):
            return False
        return theirs.socket == ours.socket or (bool(ours.serial) and not self._has_twin)

    def _another(self, port: SerialPort) -> str:
        return f"another adapter is there now, {port}; before it was {self._adapter}; restart the agent if this one is right"
