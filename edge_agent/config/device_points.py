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
    said = [item for item in (listed.items if listed is not None else []) if isinstance(item.value, dict)]
    over = {_id(item): item for item in said if _id(item)}
    points: list[PointFile] = []
    known = {} if profile is None else dict(zip((point.id for point in profile.file.points), _point_trees(profile), strict=True))
    for point in profile.file.points if profile is not None else ():
        made: PointFile | None = point
        if point.id in over:
            made = check(merged(known[point.id], over[point.id]), PointFile, findings, f'{context} / point "{point.id}"')
        points += [made] if made is not None else []
    for item in said:
        if _id(item) in known:
            continue
        if profile is not None and _id(item) and not {"table", "address"} & item.mapping.keys():
            _unknown(_id(item), item, profile, findings, context)
        elif (made := check(item, PointFile, findings, f'{context} / point "{_id(item)}"' if _id(item) else context)) is not None:
            points.append(made)
    if not findings and not any(point.enabled for point in points):
        do = "enable a point, or remove the device." if points else "add `profile: maker/model` or `points:`."
        findings.add("CFG029", device.mark, "The device has no point to read.", do, context)
    return points


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
