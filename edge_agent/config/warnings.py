"""Pure. What works but is probably not meant so: said by `edge-agent check`, never an error."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address

from edge_agent.common.located import Findings, Located
from edge_agent.common.located_model import context_of, place_of
from edge_agent.common.problem import Problem
from edge_agent.config.resolve_device import DeviceParts
from edge_agent.config.site_file import BusFile, SiteFile
from edge_agent.model.serial_ports import BY_ID, Ports, is_numbered, lasting_names


def warnings_of(tree: Located, file: SiteFile, parts: Mapping[str, DeviceParts], ports: Ports = Ports()) -> tuple[Problem, ...]:
    """CFG050 serial settings that are not the profile's, CFG051 a password sent in the clear, CFG052 profiles not yet verified,

    CFG053 a scale over one that stands in the device, CFG054 a serial port whose name may be another adapter's tomorrow.
    ports: of this machine, where that is known.
    """
    findings = Findings()
    for number, bus in enumerate(file.buses):
        _serial_settings(tree, number, bus, parts, findings)
        _scales(tree, number, bus, parts, findings)
        _port_name(tree, number, bus, ports, findings)
    for number, broker in enumerate(file.mqtt.brokers):
        secret = file.mqtt.username if broker.username is None else broker.username
        if secret and (broker.tls or file.mqtt.tls) is None and not _is_loopback(broker.host):
            path = ("mqtt", "brokers", number)
            what = f"User name and password go to {broker.host} unencrypted."
            findings.add("CFG051", place_of(tree, path), what, "add `tls: {ca: ...}`.", context_of(tree, path))
    unverified = sorted({p.profile.name for p in parts.values() if p.profile is not None and not p.profile.file.verified})
    for name in unverified:
        what = f"The profile `{name}` was made from documents and has not been read on a bench."
        do = "compare two or three values with the instrument's display after `edge-agent read`."
        findings.add("CFG052", tree.mark, what, do, f'profile "{name}"')
    return findings.problems


def _serial_settings(tree: Located, number: int, bus: BusFile, parts: Mapping[str, DeviceParts], findings: Findings) -> None:
    line = bus.serial
    for index, device in enumerate(bus.devices):
        profile = parts[device.id].profile
        factory = profile.file.serial if profile is not None else None
        if line is None or factory is None or profile is None:
            continue
        ours, theirs = (f"{s.baudrate} {s.bytesize}{s.parity}{s.stopbits}" for s in (line, factory))
        if ours != theirs:
            path = ("buses", number, "devices", index)
            what = f"The line runs at {ours}; `{profile.name}` comes with {theirs}."
            findings.add("CFG050", place_of(tree, path), what, "set the instrument to the line's settings.", context_of(tree, path))


def _scales(tree: Located, number: int, bus: BusFile, parts: Mapping[str, DeviceParts], findings: Findings) -> None:
    """A site file that was written for a profile without `scale_by` would now scale twice."""
    for index, device in enumerate(bus.devices):
        profile, path = parts[device.id].profile, ("buses", number, "devices", index)
        leaning = {point.id for point in profile.file.points if point.scale_by} if profile is not None else set()
        said = tree.get(*path, "points")
        for at in said.items if said is not None else []:
            name, scale = at.get("id"), at.get("scale")
            if name is not None and name.text in leaning and scale is not None and at.get("scale_by") is None:
                what = f"`{name.text}` is scaled by what the device or a parameter says, and by this `scale` too."
                do = "leave `scale` out, or write `scale_by: []` beside it if this scale is all of it."
                findings.add("CFG053", scale.mark, what, do, context_of(tree, path))


def _port_name(tree: Located, number: int, bus: BusFile, ports: Ports, findings: Findings) -> None:
    name = bus.serial.port or "" if bus.serial is not None else ""
    port = next((port for port in ports.all if name in (port.path, port.by_id)), None)
    has_number = port is None or port.adapter is None or bool(port.adapter.serial)
    if is_numbered(name):
        what = f"{name} is a number in the order of plugging in: after a return it may be another adapter's."
    elif BY_ID in name and not has_number:
        what = "The adapter has no serial number: this link fits every one of its make."
    else:
        return
    path = ("buses", number, "serial")
    do = "see on the gateway with `edge-agent scan --ports` which name lasts, and write that."
    if port is not None and (better := lasting_names(port, ports)):
        do = f"write `port: {better[0]}`" + (f" (or {', '.join(better[1:])})" if better[1:] else "") + "."
    findings.add("CFG054", place_of(tree, path), what, do, context_of(tree, path))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
