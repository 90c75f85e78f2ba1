"""Pure. What the command line says of links, devices and points that cannot be read."""

from __future__ import annotations

from dataclasses import replace

from edge_agent.bus_framing import SPOKEN
from edge_agent.common.problem import Problem
from edge_agent.io.link import NO_SERIAL_PORT, PORT_IN_USE
from edge_agent.model.plan import Block
from edge_agent.model.points import Bus, Device, Framing, Serial
from edge_agent.model.preparation import Ahead
from edge_agent.model.serial_ports import USB
from edge_agent.protocols.modbus import CONFIGURATION_CODES
from edge_agent.protocols.session import Failure, Garbled, LinkDown, Refused

_FRAMING_OPTION: dict[Framing, str] = {"tcp": "without --rtu-over-tcp", "rtu-over-tcp": "--rtu-over-tcp"}


def link_problem(bus: Bus, down: LinkDown) -> Problem:
    """BUS101: the port or host cannot be reached."""
    if not isinstance(bus.link, Serial):
        do = "check address and port, that the instrument is on the network, and that no other program holds its only connection."
    elif bus.link.port.startswith(("rfc2217://", "socket://")):
        do = "check address and port (rfc2217://HOST:PORT), and that the converter is reachable and free."
    elif "://" in bus.link.port:
        do = "write rfc2217://HOST:PORT or socket://HOST:PORT, or the path of a serial port such as /dev/ttyUSB0."
    elif str(down).endswith(NO_SERIAL_PORT):
        do = "name a serial port such as /dev/ttyUSB0; `edge-agent scan --ports` lists them."
    elif str(down).endswith(PORT_IN_USE):
        do = "end that program first; it may be the running agent: `systemctl stop edge-agent`, and start it again afterwards."
    elif bus.link.port.startswith(USB):
        do = "plug the adapter in, or name another one; `edge-agent scan --ports` lists them."
    else:
        do = "check that the adapter is plugged in (`edge-agent scan --ports` lists them) and that this user is in group dialout."
    return Problem("BUS101", f'bus "{bus.id}"', f"The link cannot be opened: {down}.", do)


def device_problem(bus: Bus, device: Device, failure: Failure) -> Problem:
    """BUS102 no answer, BUS103 nothing that can be believed, BUS101 the link is gone."""
    where = f'bus "{bus.id}" / device "{device.id}" (unit {device.unit})'
    if isinstance(failure, LinkDown):
        return link_problem(bus, failure)
    if isinstance(failure, Garbled):
        causes = "causes, the likely ones first: another speed or parity, two devices with one address, a bad termination."
        detail = f"came: {failure.came.hex(' ').upper()}\n{causes}"
        do = "compare speed and parity with the device, then unplug the others and try again."
        return Problem("BUS103", where, "What comes is no acceptable answer.", do, detail)
    causes = "causes, the likely ones first: no power, A and B exchanged, another unit address, another speed"
    if not isinstance(bus.link, Serial):
        causes += " (of the line behind the gateway), another program that holds the gateway's only connection"
    causes += "."
    do = f"check power and wiring, then search with `edge-agent scan {_scan_option(bus)}`."
    return Problem("BUS102", where, f"No answer within {device.timeout_ms} ms.", do, causes)


def framing_problem(bus: Bus, where: str, framing: Framing) -> Problem:
    """BUS107: nothing comes in the framing that was asked in, but an answer in this one."""
    what = f"No answer in {SPOKEN[bus.framing]}, but one in {SPOKEN[framing]}."
    return Problem(
        "BUS107", where, what, f"write `framing: {framing}` for this bus (`edge-agent scan`: {_FRAMING_OPTION[framing]})."
    )


def beside_agent(problem: Problem, agents_bus: str) -> Problem:
    """A problem with a TCP link that the running agent is connected to, under this bus of its own: with what to do about that."""
    if problem.code not in ("BUS101", "BUS102", "WRT705"):
        return problem
    do = (
        f'the running agent is connected there (its bus "{agents_bus}"), and many gateways serve one connection only: '
        "`edge-agent status` shows what it reads; or `systemctl stop edge-agent`, try again, and start it afterwards."
    )
    return replace(problem, do=f"{problem.do.removesuffix('.')}; {do}" if problem.code == "WRT705" else do)


def refused_problem(bus: Bus, device: Device, block: Block, failure: Refused) -> Problem:
    """BUS104 the device does not have what is asked; BUS105 it answers that it cannot now."""
    names = ", ".join(f'"{point.id}"' for point in block.points)
    where = f'bus "{bus.id}" / device "{device.id}" / point {names}'
    asked = f"{block.table} {block.address}" + (f"-{block.end - 1}" if block.count > 1 else "")
    if failure.code in CONFIGURATION_CODES:
        do = "compare table and address with the device's manual (wire addresses count from 0)."
        return Problem("BUS104", where, f"The device refuses {asked} with exception {failure.code}.", do)
    do = "look at the device: it reports a fault of its own, or is busy."
    return Problem("BUS105", where, f"The device answers {asked} with exception {failure.code}.", do)


def step_problem(bus: Bus, device: Device, ahead: Ahead, failure: Failure) -> Problem:
    """BUS106: what the profile wants to be done before a reading does not work."""
    where = f'bus "{bus.id}" / device "{device.id}" (unit {device.unit})'
    what = f"A step of `{ahead.why}` ({ahead.step.table} {ahead.step.address}) does not work: {failure}."
    do = "compare the steps of the profile with the device's manual; without them its values cannot be trusted."
    return Problem("BUS106", where, what, do)


def _scan_option(bus: Bus) -> str:
    if isinstance(bus.link, Serial):
        return f"--port {bus.link.port} --baud {bus.link.baudrate} --parity {bus.link.parity}"
    return f"--tcp {bus.link.host}:{bus.link.port}"
