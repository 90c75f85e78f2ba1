"""Does I/O (prints): `edge-agent scan --ports` - the serial ports of this machine with the names that last."""

from __future__ import annotations

from dataclasses import asdict

from edge_agent.cli.output import say, say_json, table, talk
from edge_agent.model.serial_ports import Ports, SerialPort, lasting_names


def list_ports(ports: Ports, *, as_json: bool) -> None:
    """Prints them; the names to write into a site file, the best one first."""
    if as_json:
        say_json("ports/1", {"ports": [_as_dict(port, ports) for port in ports.all]})
        return
    if not ports.all:
        talk("No serial port is here. Plug the adapter in; `dmesg | tail` shows whether the kernel knows it.")
        return
    rows = [(port.path, (lasting_names(port, ports) or ["-"])[0], str(port.adapter or "built in")) for port in ports.all]
    say(table(("now", "write into the site file", "what it is"), rows))
    talk("\nNext: edge-agent scan --port NAME searches its line for devices.")


def _as_dict(port: SerialPort, ports: Ports) -> dict[str, object]:
    adapter = asdict(port.adapter) if port.adapter is not None else None
    return {"path": port.path, "names": lasting_names(port, ports), "adapter": adapter}
