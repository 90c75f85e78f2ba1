"""Does I/O: loads a site: its files, the environment, the profiles - checked, merged, resolved. Opens no port, changes nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_agent.common.folders import data_folders
from edge_agent.common.located import Findings, Located
from edge_agent.common.located_model import check
from edge_agent.common.problem import Problem, ProblemError
from edge_agent.config.cross import check_cross, context_of_device
from edge_agent.config.device_points import device_points
from edge_agent.config.layers import site_tree
from edge_agent.config.parameters import ParameterValues, parameter_values
from edge_agent.config.profile_file import PointFile
from edge_agent.config.profiles import Profile, profile_paths, read_profile, unknown_profile
from edge_agent.config.resolve import birth_of, resolve_site
from edge_agent.config.resolve_device import DeviceParts
from edge_agent.config.site_file import DeviceFile, SiteFile
from edge_agent.config.warnings import warnings_of
from edge_agent.model.loaded import LoadedSite
from edge_agent.model.serial_ports import Ports


def load_site(
    path: Path,
    profile_dirs: Sequence[Path] | None = None,
    environment: Mapping[str, str] | None = None,
    ports: Ports = Ports(),
) -> LoadedSite:
    """The site of a file. profile_dirs are asked before the program's own profiles; environment: default that of the process;
    ports: of this machine, for warnings about their names.

    Raises ProblemError with every problem of every file at once.
    """
    tree = site_tree(path, os.environ if environment is None else environment)
    findings = Findings()
    file = check(tree, SiteFile, findings)
    check_cross(tree, findings)
    library = _Library(profile_paths(data_folders("device_profiles", profile_dirs or ())))
    checked = _devices(tree, library, findings)
    problems = [*findings.problems, *library.problems]
    if problems or file is None:
        raise ProblemError(problems)
    files = [device for bus in file.buses for device in bus.devices]
    parts = {device.id: _parts(device, found) for device, found in zip(files, checked, strict=True)}
    site = resolve_site(file, parts, path.parent)
    return LoadedSite(site, birth_of(site, file.equipment), warnings_of(tree, file, parts, ports))


class _Library:
    """Profiles by name, each read once; problems of a profile's own file are told once."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self._paths = paths
        self._read: dict[str, Profile | None] = {}
        self.problems: list[Problem] = []

    def get(self, at: Located, findings: Findings, context: str) -> Profile | None:
        name = at.text
        if name not in self._paths:
            findings.add("CFG030", at.mark, *unknown_profile(name, list(self._paths)), context)
            return None
        if name not in self._read:
            try:
                self._read[name] = read_profile(name, self._paths[name], self._paths)
            except ProblemError as error:
                self.problems += error.problems
                self._read[name] = None
        return self._read[name]


@dataclass(frozen=True, slots=True)
class _Checked:
    node: Located
    profile: Profile | None
    values: ParameterValues
    points: Sequence[PointFile]


def _devices(tree: Located, library: _Library, findings: Findings) -> list[_Checked]:
    """Every device in the order of the file, with its profile and points; one whose profile is missing or broken is left out."""
    found = []
    for bus in _items(tree, "buses"):
        for device in _items(bus, "devices"):
            context = context_of_device(bus, device)
            at = device.get("profile")
            named = at is not None and bool(at.text)
            profile = library.get(at, findings, context) if at is not None and named else None
            if profile is None and named:
                continue
            own = Findings()
            asked = profile.file.parameters if profile is not None else []
            values = parameter_values(asked, device.get("parameters"), device.mark, own, context)
            found.append(_Checked(device, profile, values, device_points(device, profile, values, own, context)))
            findings.extend(own)
    return found


def _items(node: Located, key: str) -> list[Located]:
    at = node.get(key)
    return at.items if at is not None else []


def _parts(file: DeviceFile, found: _Checked) -> DeviceParts:
    said = (point.mapping["id"].text for point in _items(found.node, "points") if "period" in point.mapping)
    return DeviceParts(file, found.profile, found.points, frozenset(said), found.values)
