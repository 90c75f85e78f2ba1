"""Pure. What no single key of a site file can show: ids and addresses used twice, names that lead nowhere.

Works on the tree and takes any shape, so that these problems come together with those of the schema.
"""

from __future__ import annotations

from collections.abc import Iterator

from edge_agent.common.located import Findings, Located
from edge_agent.common.located_model import choices, closest
from edge_agent.config.profiles import twice


def check_cross(tree: Located, findings: Findings) -> None:
    """Adds CFG006 (unit missing), CFG009 (unit outside its range), CFG020 (id twice), CFG021 (unit address twice),

    CFG026 (fed_by or part_of names nothing).
    """
    twice(tree.get("buses"), findings, "", "bus")
    _names_once(tree, findings)
    for bus in _entries(tree, "buses"):
        if "serial" in bus.mapping:
            _unit_addresses(bus, findings)
        else:
            _tcp_units(bus, findings)
        for device in _entries(bus, "devices"):
            twice(device.get("points"), findings, context_of_device(bus, device), "point")
    known = {name for name, _ in _equipment_and_devices(tree)}
    for name, entry in _equipment_and_devices(tree):
        _references(name, entry, known, findings)


def context_of_device(bus: Located, device: Located) -> str:
    """`bus "rs485-1" / device "pump-2"`."""
    return f'bus "{_name(bus)}" / device "{_name(device)}"'


def _name(entry: Located) -> str:
    at = entry.get("id")
    return at.text if at is not None else ""


def _entries(node: Located, key: str) -> list[Located]:
    at = node.get(key)
    return at.items if at is not None else []


def _equipment_and_devices(tree: Located) -> Iterator[tuple[str, Located]]:
    for entry in _entries(tree, "equipment"):
        yield _name(entry), entry
    for bus in _entries(tree, "buses"):
        for device in _entries(bus, "devices"):
            yield _name(device), device


def _names_once(tree: Located, findings: Findings) -> None:
    named = [entry for name, entry in _equipment_and_devices(tree) if name]
    twice(Located(list(named), tree.mark), findings, "", "device or equipment")


def _unit_addresses(bus: Located, findings: Findings) -> None:
    first: dict[int, Located] = {}
    for device in _entries(bus, "devices"):
        context = context_of_device(bus, device)
        at = device.get("unit")
        if at is None:
            do = "add `unit: ...` (1-247), the address that is set on the device."
            findings.add("CFG006", device.mark, "The key `unit` is missing.", do, context)
        elif isinstance(at.scalar, int) and not isinstance(at.scalar, bool):
            if not 1 <= at.scalar <= 247:
                what = f"The unit address {at.scalar} cannot be used on a serial line."
                findings.add("CFG009", at.mark, what, "write a number from 1 to 247.", context)
            elif at.scalar in first:
                what = (
                    f'The unit address {at.scalar} is also that of device "{_name(first[at.scalar])}": both would answer at once.'
                )
                do = "give one of the two instruments another address, on the instrument and here."
                findings.add("CFG021", at.mark, what, do, context)
            else:
                first[at.scalar] = device


def _references(name: str, entry: Located, known: set[str], findings: Findings) -> None:
    part_of = entry.get("part_of")
    for key, at in (("part_of", part_of), *(("fed_by", item) for item in _entries(entry, "fed_by"))):
        if at is None or not at.text:
            continue
        context = f'device "{name}"' if "unit" in entry.mapping or "profile" in entry.mapping else f'equipment "{name}"'
        if at.text == name:
            findings.add("CFG026", at.mark, f"`{key}` names the entry itself.", "name another one, or remove it.", context)
        elif at.text not in known:
            others = sorted(known - {name, ""})
            near = closest(at.text, others)
            do = f"write `{near}`." if near else f"add it under `equipment`, or name one of {choices(others) or 'none yet'}."
            findings.add("CFG026", at.mark, f"`{key}` names `{at.text}`, which is neither a device nor equipment.", do, context)


def _tcp_units(bus: Located, findings: Findings) -> None:
    for device in _entries(bus, "devices"):
        at = device.get("unit")
        if at is not None and isinstance(at.scalar, int) and not 0 <= at.scalar <= 255:
            what = f"The unit address {at.scalar} cannot be used over TCP."
            findings.add("CFG009", at.mark, what, "write a number from 0 to 255.", context_of_device(bus, device))
