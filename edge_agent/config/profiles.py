"""Does I/O: finds and loads device profiles by name (`eastron/sdm630`)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_agent.common.located import Findings, Located
from edge_agent.common.located_model import check, closest
from edge_agent.common.located_yaml import load_yaml
from edge_agent.common.problem import Problem, ProblemError
from edge_agent.config.profile_file import PointFile, ProfileFile

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}/[a-z0-9][a-z0-9.-]{0,31}")


@dataclass(frozen=True, slots=True)
class Profile:
    """One loaded profile."""

    name: str
    path: Path
    tree: Located
    file: ProfileFile
    version: str
    """The file's own version, or the start of its SHA-256."""

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
    return read_profile(name, paths[name])


def read_profile(name: str, path: Path) -> Profile:
    """The profile in this file. Raises ProblemError with everything that is wrong with it."""
    tree = load_yaml(path)
    findings = Findings()
    file = check(tree, ProfileFile, findings)
    twice(tree.get("points"), findings, "", "point")
    findings.raise_if_any()
    if file is None:
        raise AssertionError("a refused profile without a finding")
    version = file.version or hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    return Profile(name, path, tree, file, version)


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
