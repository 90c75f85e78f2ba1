"""The lag of an adapter is read from the kernel, by whatever name the site file has for its port."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from edge_agent.io.adapter import adapter_lag_us
from edge_agent.model.points import Bus, Serial, Tcp
from edge_agent.model.serial_ports import Adapter, Ports, SerialPort


@dataclass
class Machine:
    """Ports as a test wants them."""

    plugged: list[SerialPort] = field(default_factory=list)

    def ports(self) -> Ports:
        return Ports(tuple(self.plugged))

    def leads_to(self, name: str) -> str:
        return name


def timer(tty_class: Path, name: str, text: str) -> None:
    file = tty_class / name / "device" / "latency_timer"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="ascii")


def of(port: str, tty_class: Path, *plugged: SerialPort) -> float | None:
    return adapter_lag_us(Bus("b", Serial(port), "rtu", ()), tty_class, Machine(list(plugged)))


def test_by_device_file_and_by_a_link_to_it(tmp_path: Path) -> None:
    dev, tty_class = tmp_path / "dev", tmp_path / "tty"
    dev.mkdir()
    (dev / "ttyUSB3").touch()
    (dev / "by-path").symlink_to(dev / "ttyUSB3")
    assert of(str(dev / "ttyUSB3"), tty_class) is None
    timer(tty_class, "ttyUSB3", "16\n")
    assert of(str(dev / "ttyUSB3"), tty_class) == of(str(dev / "by-path"), tty_class) == 16_000.0
    timer(tty_class, "ttyUSB3", "soon")
    assert of(str(dev / "ttyUSB3"), tty_class) is None


def test_by_serial_number(tmp_path: Path) -> None:
    timer(tmp_path, "ttyUSB1", "1\n")
    timer(tmp_path, "ttyUSB2", "16\n")
    one, two = (SerialPort(f"/dev/ttyUSB{n}", Adapter("0403", "6001", f"A{n}")) for n in (1, 2))
    assert of("usb:A2", tmp_path, one, two) == 16_000.0
    assert of("usb:A1", tmp_path, one, two) == 1000.0
    assert of("usb:A3", tmp_path, one, two) is None
    assert of("usb:A2", tmp_path, two, two) is None


def test_what_is_no_port_of_this_machine_has_none(tmp_path: Path) -> None:
    assert of("rfc2217://host:4000", tmp_path) is None
    assert adapter_lag_us(Bus("b", Tcp("h"), "tcp", ()), tmp_path) is None
