"""Pure. The points of one device: its profile's, with what the site file says of them laid over, and its own."""

from __future__ import annotations

from edge_agent.common.located import Findings, Located, merged
from edge_agent.common.located_model import check, choices, closest
from edge_agent.config.addressing import WIRE, counting_of
from edge_agent.config.inheritance import lowered_like
from edge_agent.config.parameters import ParameterValues
from edge_agent.config.profile_file import PointFile
from edge_agent.config.profiles import Profile
from edge_agent.config.relations import Placed, check_points


def device_points(
    device: Located, profile: Profile | None, values: ParameterValues, findings: Findings, context: str
) -> list[PointFile]:
    """Every point in the order of the profile, then those of the site file alone; without those whose `when` does not hold.

    Problems are added, and their points left out. Codes: those of the schema, CFG028 a point that the profile does not have,
    CFG029 nothing to read, CFG032, CFG035, CFG039.
    """
    known = {} if profile is None else dict(zip((point.id for point in profile.file.points), _point_trees(profile), strict=True))
    said = _said(device, profile, known, findings, context)
    over = {_id(item): item for item in said if _id(item)}
    points: list[Placed] = []
    for point in profile.file.points if profile is not None else ():
        made: PointFile | None = point
        node = known[point.id]
        if point.id in over:
            node = merged(node, over[point.id])
            made = check(node, PointFile, findings, f'{context} / point "{point.id}"')
        points += [Placed(made, node)] if made is not None else []
    for item in said:
        if _id(item) in known:
            continue
        if profile is not None and _id(item) and not {"table", "address"} & item.mapping.keys():
            _unknown(_id(item), item, profile, findings, context)
        elif (made := check(item, PointFile, findings, f'{context} / point "{_id(item)}"' if _id(item) else context)) is not None:
            points.append(Placed(made, item))
    whole = not findings
    there = [point for point in points if _is_there(point.file, profile, values)]
    if whole:
        parameters = {p.id: p for p in profile.file.parameters} if profile is not None else {}
        check_points(there, parameters, findings, context)
    if whole and not any(point.file.enabled and point.file.read for point in there):
        do = "enable a point, or remove the device." if points else "add `profile: maker/model` or `points:`."
        findings.add("CFG029", device.mark, "The device has no point to read.", do, context)
    return [point.file for point in there]


def _said(device: Located, profile: Profile | None, known: dict[str, Located], findings: Findings, context: str) -> list[Located]:
    """What the site file says of points, with wire addresses: it counts as the device says, else as its profile."""
    counting = counting_of(device.get("addresses"))
    if counting is None and profile is not None:
        counting = counting_of(profile.tree.get("addresses"))
    points = device.get("points")
    if points is None:
        return []
    lowered = lowered_like(Located({"points": points}, device.mark), known, counting or WIRE, findings, context)
    return [item for item in lowered.mapping["points"].items if isinstance(item.value, dict)]


def _is_there(point: PointFile, profile: Profile | None, values: ParameterValues) -> bool:
    groups = {group.id: group.when for group in profile.file.groups} if profile is not None else {}
    return values.holds(point.when) and values.holds(groups.get(point.group or ""))


def _id(item: Located) -> str:
    at = item.get("id")
    return at.text if at is not None else ""


def _point_trees(profile: Profile) -> list[Located]:
    node = profile.tree.get("points")
    return node.items if node is not None else []


def _unknown(name: str, item: Located, profile: Profile, findings: Findings, context: str) -> None:
    known = [point.id for point in profile.file.points]
    near = closest(name, known)
    own = "a point of your own needs `table` and `address`"
    do = f"write `{near}`; {own}." if near else f"write one of {choices(known)}; {own}."
    at = item.get("id") or item
    findings.add("CFG028", at.mark, f"The profile `{profile.name}` has no point `{name}`.", do, context)
