"""Does I/O: how long a USB serial adapter holds back what has come, as the kernel says."""

from __future__ import annotations

from pathlib import Path

from edge_agent.io.serial_ports import KernelPorts, PortSource
from edge_agent.model.points import Bus, Serial
from edge_agent.model.serial_ports import USB

_CLASS = Path("/sys/class/tty")


def adapter_lag_us(bus: Bus, tty_class: Path | None = None, machine: PortSource | None = None) -> float | None:
    """The latency timer of the adapter of a serial bus (FTDI: 16 ms unless it was set); None where there is none to be read.

    tty_class, machine: where ports are looked for, and those that are named by their serial number; None: on this one.
    """
    if not isinstance(bus.link, Serial) or "://" in bus.link.port:
        return None
    path = _device_file(bus.link.port, KernelPorts() if machine is None else machine)
    try:
        return 1000.0 * int(((tty_class or _CLASS) / path.resolve().name / "device" / "latency_timer").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _device_file(port: str, machine: PortSource) -> Path:
    """Where a name leads now; the name itself where it leads nowhere."""
    if not port.startswith(USB):
        return Path(port)
    found = machine.ports().named(port)
    return Path(found[0].path if len(found) == 1 else port)
