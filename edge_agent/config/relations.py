"""Pure. What points, groups and parameters of a device say of each other: the names exist, and the values come together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from edge_agent.common.located import Findings, Key, Located, Mark
from edge_agent.common.located_model import choices, closest, place_of
from edge_agent.config.device_parts import GroupFile, StepFile
from edge_agent.config.parameters import ParameterFile
from edge_agent.config.profile_file import PointFile, ProfileFile
from edge_agent.model.condition import names_in, parse


@dataclass(frozen=True, slots=True)
class Placed:
    """A point and where it stands."""

    file: PointFile
    node: Located


def check_profile(tree: Located, file: ProfileFile, findings: Findings) -> None:
    """Adds CFG020 (an id twice), CFG035 (a name that nothing has), CFG039 (values that do not come together)."""
    ids = [parameter.id for parameter in file.parameters]
    _parameters(tree, file.parameters, findings)
    nodes = tree.get("points")
    placed = [Placed(f, n) for f, n in zip(file.points, nodes.items if nodes is not None else [], strict=True)]
    for number, group in enumerate(file.groups):
        _when(group, tree.get("groups", number, "when"), ids, findings, f'group "{group.id}"')
    steps: list[tuple[tuple[Key, ...], StepFile]] = [
        *((("setup", n), step) for n, step in enumerate(file.setup)),
        *((("trigger", n), step) for n, step in enumerate(file.trigger)),
        *((("after_parameters", n), step) for n, step in enumerate(file.after_parameters)),
        *((("wake", "steps", n), step) for n, step in enumerate(file.wake.steps if file.wake is not None else ())),
    ]
    for path, step in steps:
        _when(step, tree.get(*path, "when"), ids, findings, f"{path[0]}[{path[-1]}]")
    for point in placed:
        _when(point.file, point.node.get("when"), ids, findings, f'point "{point.file.id}"')
        if point.file.id in ids:
            what = f"`{point.file.id}` is the id of a point and of a parameter."
            findings.add("CFG020", _mark(point, "id"), what, "give one of them another id.", f'point "{point.file.id}"')
    check_points(placed, {p.id: p for p in file.parameters}, findings, "")


def check_points(points: Sequence[Placed], parameters: Mapping[str, ParameterFile], findings: Findings, context: str) -> None:
    """Adds CFG035 and CFG039 for what points of one device say of each other. points: those that are there."""
    by_id = {point.file.id: point for point in points}
    for point in points:
        if not point.file.enabled or not point.file.read:
            continue
        place = f'{context} / point "{point.file.id}"'.removeprefix(" / ")
        for name, path in _leans_on(point.file):
            if path[0] == "scale_by" and name in parameters:
                _scales(point, parameters[name], path, findings, place)
                continue
            _together(point, name, path, by_id, list(parameters), findings, place)


def _leans_on(file: PointFile) -> Iterator[tuple[str, tuple[Key, ...]]]:
    yield from ((factor.of, ("scale_by", n, "of")) for n, factor in enumerate(file.scale_by))
    yield from ((term.of, ("plus", n, "of")) for n, term in enumerate(file.plus))
    if file.valid_when is not None:
        yield from ((name, ("valid_when",)) for name in names_in(parse(file.valid_when)) if name != file.id)


def _scales(point: Placed, parameter: ParameterFile, path: tuple[Key, ...], findings: Findings, place: str) -> None:
    """A parameter that multiplies has a number, and a multiplier for each of its codes."""
    factors = next(factor.factors for factor in point.file.scale_by if factor.of == parameter.id)
    if parameter.optional or parameter.when is not None:
        what = f"The parameter `{parameter.id}` may be missing; a scale needs a number."
        do = f"give `{parameter.id}` a `default`, and leave `optional` and `when` out."
        findings.add("CFG039", _mark(point, *path), what, do, place)
    lacking = sorted(set(parameter.choices) - factors.keys()) if factors else []
    if lacking or (factors and not parameter.choices):
        what = f"`{parameter.id}` may be {', '.join(lacking) or 'any number'}, for which there is no multiplier."
        findings.add("CFG039", _mark(point, *path), what, "give the parameter `choices`, and each of them a multiplier.", place)


def _together(
    point: Placed,
    name: str,
    path: tuple[Key, ...],
    by_id: Mapping[str, Placed],
    parameters: list[str],
    findings: Findings,
    place: str,
) -> None:
    mark, other = _mark(point, *path), by_id.get(name)
    if other is None:
        known = [*(p for p in by_id if p != point.file.id), *(parameters if path[0] == "scale_by" else [])]
        near = closest(name, known)
        do = f"write `{near}`." if near else f"write one of {choices(known)}." if known else "add such a point."
        noun = "neither a point nor a parameter" if path[0] == "scale_by" else "no point"
        findings.add("CFG035", mark, f"`{name}` is {noun} of this device.", do, place)
    elif not other.file.enabled or not other.file.read:
        what = f"`{name}` is not read, and `{point.file.id}` needs it."
        findings.add(
            "CFG039",
            mark,
            what,
            f"write `enabled: true` at `{name}`." if not other.file.enabled else "name a point that is read.",
            place,
        )
    elif _leans_on_points(other.file, parameters):
        findings.add("CFG039", mark, f"`{name}` leans on other points itself.", "name a point that does not.", place)
    elif point.file.group is None or other.file.group != point.file.group:
        what = f"`{name}` is not read in one request with `{point.file.id}`, so their values would not belong together."
        findings.add("CFG039", mark, what, f"give both the same `group`, for example `group: {point.file.group or 'main'}`.", place)
    elif point.file.write is not None and path[0] != "valid_when":
        what = "The scale of this point stands in the device; what would be written is not known here."
        findings.add("CFG033", _mark(point, "write"), what, "leave `write` out.", place)


def _leans_on_points(file: PointFile, parameters: Sequence[str]) -> bool:
    """True where its value is reckoned from other points; what a parameter multiplies is known beforehand."""
    return any(factor.of not in parameters for factor in file.scale_by) or bool(file.plus) or file.valid_when is not None


def _parameters(tree: Located, parameters: Sequence[ParameterFile], findings: Findings) -> None:
    before: list[str] = []
    for number, parameter in enumerate(parameters):
        _when(parameter, tree.get("parameters", number, "when"), before, findings, f'parameter "{parameter.id}"')
        before.append(parameter.id)


def _when(
    part: PointFile | GroupFile | StepFile | ParameterFile, at: Located | None, known: Sequence[str], findings: Findings, place: str
) -> None:
    """Names of a `when` are parameters; those of a parameter's own stand before it."""
    if part.when is None or at is None:
        return
    for name in names_in(parse(part.when)):
        if name not in known:
            near = closest(name, known)
            do = f"write `{near}`." if near else f"write one of {choices(known)}." if known else "add it under `parameters` first."
            findings.add("CFG035", at.mark, f"There is no parameter `{name}` here.", do, place)


def _mark(point: Placed, *path: Key) -> Mark:
    return place_of(point.node, path)
