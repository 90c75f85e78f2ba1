"""Does I/O: finds and loads device profiles by name (`eastron/sdm630`)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_agent.common.folders import data_folders
from edge_agent.common.located import Findings, Located
from edge_agent.common.located_model import check, closest
from edge_agent.common.located_yaml import load_yaml
from edge_agent.common.problem import Problem, ProblemError
from edge_agent.config.inheritance import inherited
from edge_agent.config.profile_file import PointFile, ProfileFile
from edge_agent.config.relations import check_profile

_MOST_PARENTS = 5
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}/[a-z0-9][a-z0-9.-]{0,31}")


@dataclass(frozen=True, slots=True)
class Profile:
    """One loaded profile."""

    name: str
    path: Path
    tree: Located
    file: ProfileFile
    version: str
    """The file's own version, or the start of its SHA-256; with a hash of the versions of those it extends."""

    def point(self, name: str) -> PointFile | None:
        """The point with this id."""
        return next((point for point in self.file.points if point.id == name), None)


def is_profile_name(name: str) -> bool:
    """True for `maker/model` in small letters, digits, hyphens (and full stops in the model)."""
    return _NAME.fullmatch(name) is not None


def profile_paths(folders: Sequence[Path]) -> dict[str, Path]:
    """Every profile by name; a name in an earlier folder hides later ones."""
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.glob("*/*.yaml")):
            name = f"{path.parent.name}/{path.stem}"
            if is_profile_name(name):
                found.setdefault(name, path)
    return found


def load_profile(name: str, folders: Sequence[Path]) -> Profile:
    """The profile of this name. Raises ProblemError: CFG030 if there is none, else what is wrong with its file."""
    paths = profile_paths(folders)
    if name not in paths:
        raise ProblemError(Problem("CFG030", name, *unknown_profile(name, list(paths))))
    return read_profile(name, paths[name], paths)


def read_profile(name: str, path: Path, library: Mapping[str, Path] | None = None) -> Profile:
    """The profile in this file, with what it takes over from those it extends. library: where these are found, by name.

    Raises ProblemError with everything that is wrong with it.
    """
    if library is None:
        library = profile_paths([path.resolve().parent.parent, *data_folders("device_profiles")])
    return _read(name, path, library, ())


def _read(name: str, path: Path, library: Mapping[str, Path], children: tuple[str, ...]) -> Profile:
    own = load_yaml(path)
    findings = Findings()
    parent = _parent(own.get("extends"), library, (*children, name))
    twice(own.get("points"), findings, "", "point")
    tree = inherited(own, parent.tree if parent is not None else None, parent.name if parent is not None else "", findings)
    for key, noun in (("parameters", "parameter"), ("groups", "group")):
        twice(tree.get(key), findings, "", noun)
    file = check(tree, ProfileFile, findings)
    if file is not None:
        check_profile(tree, file, findings)
    findings.raise_if_any()
    if file is None:
        raise AssertionError("a refused profile without a finding")
    version = file.version or hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    if parent is not None:
        version = f"{version[:28]}+{hashlib.sha256(f'{parent.name} {parent.version}'.encode()).hexdigest()[:8]}"
    return Profile(name, path, tree, file, version)


def _parent(at: Located | None, library: Mapping[str, Path], children: tuple[str, ...]) -> Profile | None:
    if at is None or not is_profile_name(at.text):
        return None
    name = at.text
    if name in children:
        what = "Profiles extend each other in a circle: " + " -> ".join((*children, name)) + "."
        raise ProblemError(Problem("CFG037", str(at.mark), what, "remove one `extends`."))
    if len(children) > _MOST_PARENTS:
        what = f"More than {_MOST_PARENTS} profiles extend each other."
        raise ProblemError(Problem("CFG037", str(at.mark), what, "extend the first one directly."))
    if name not in library:
        raise ProblemError(Problem("CFG030", str(at.mark), *unknown_profile(name, list(library))))
    return _read(name, library[name], library, children)


def unknown_profile(name: str, known: Sequence[str]) -> tuple[str, str]:
    """What to say of a name that no profile has: what, and the mend."""
    near = closest(name, known) or next((k for k in known if k.endswith("/" + name.rpartition("/")[2])), "")
    do = f"did you mean `{near}`? See" if near else "see"
    do += " the list with `edge-agent profile list`."
    return f"There is no profile `{name}`.", do


def twice(entries: Located | None, findings: Findings, context: str, noun: str) -> None:
    """Adds CFG020 for every entry of a list whose id stands in it a second time."""
    seen: dict[str, Located] = {}
    for entry in entries.items if entries is not None else ():
        at = entry.get("id")
        if at is None or not at.text:
            continue
        if at.text in seen:
            what = f"The {noun} `{at.text}` stands here a second time (first in {seen[at.text].mark})."
            findings.add("CFG020", at.mark, what, "give it another id, or remove one of them.", context)
        else:
            seen[at.text] = at
