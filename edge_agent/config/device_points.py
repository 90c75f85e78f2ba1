"""Pure. The points of one device: its profile's, with what the site file says of them laid over, and its own."""

from __future__ import annotations

from edge_agent.common.located import Findings, Located, merged
from edge_agent.common.located_model import check, choices, closest
from edge_agent.config.profile_file import PointFile
from edge_agent.config.profiles import Profile


def device_points(device: Located, profile: Profile | None, findings: Findings, context: str) -> list[PointFile]:
    """Every point in the order of the profile, then those of the site file alone. Problems are added, and their points left out.

    Codes: those of the schema, CFG028 a point that the profile does not have, CFG029 nothing to read.
    """
    listed = device.get("points")
    said = {at.text: item for item in (listed.items if listed is not None else []) if (at := item.get("id")) is not None}
    points: list[PointFile] = []
    for point, tree in zip(profile.file.points, _point_trees(profile), strict=True) if profile is not None else ():
        over = said.pop(point.id, None)
        made = point if over is None else check(merged(tree, over), PointFile, findings, f'{context} / point "{point.id}"')
        points += [made] if made is not None else []
    for name, item in said.items():
        if profile is not None and not {"table", "address"} & item.mapping.keys():
            _unknown(name, item, profile, findings, context)
        elif (made := check(item, PointFile, findings, f'{context} / point "{name}"')) is not None:
            points.append(made)
    if not said and not any(point.enabled for point in points) and not findings:
        do = "enable a point, or remove the device." if points else "add `profile: maker/model` or `points:`."
        findings.add("CFG029", device.mark, "The device has no point to read.", do, context)
    return points


def _point_trees(profile: Profile | None) -> list[Located]:
    node = profile.tree.get("points") if profile is not None else None
    return node.items if node is not None else []


def _unknown(name: str, item: Located, profile: Profile, findings: Findings, context: str) -> None:
    known = [point.id for point in profile.file.points]
    near = closest(name, known)
    own = "a point of your own needs `table` and `address`"
    do = f"write `{near}`; {own}." if near else f"write one of {choices(known)}; {own}."
    at = item.get("id") or item
    findings.add("CFG028", at.mark, f"The profile `{profile.name}` has no point `{name}`.", do, context)
