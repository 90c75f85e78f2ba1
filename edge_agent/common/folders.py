"""Does I/O: finds the folders of data that belong to the program: `device_profiles`, `firmware_configs`, `systemd`, `rulebook`.

Order: the option, `/etc/edge-agent/<name>` (the collector's: `/etc/collector/<name>`), what the wheel carries, the repository
beside the package (an editable install carries no packaged copy).
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module, resources
from pathlib import Path

from edge_agent.common.problem import Problem, ProblemError

ETC = Path("/etc")
_HOME = {
    "device_profiles": ("edge-agent", "edge_agent", "_packaged/device_profiles"),
    "firmware_configs": ("edge-agent", "edge_agent", "_packaged/firmware_configs"),
    "systemd": ("edge-agent", "edge_agent", "_packaged/systemd"),
    "rulebook": ("collector", "collector", "rulebook"),
}


def data_folders(name: str, options: Sequence[Path] = (), etc: Path = ETC) -> tuple[Path, ...]:
    """Every folder of this name that exists, the first to be asked first. Raises ProblemError (CFG015) for an option that is none,

    KeyError for a name that the program does not know.
    """
    for option in options:
        if not option.is_dir():
            raise ProblemError(Problem("CFG015", str(option), "This is not a folder.", f"name the folder that holds {name}."))
    program, package, inside = _HOME[name]
    found = [*options, etc / program / name]
    root = resources.files(import_module(package))
    if isinstance(root, Path):
        packaged = root.joinpath(inside)
        found.append(packaged if packaged.is_dir() else root.parent / name)
    return tuple(folder for folder in found if folder.is_dir())


def data_folder(name: str, option: Path | None = None, etc: Path = ETC) -> Path:
    """The first of `data_folders`. Raises ProblemError (CFG016) if there is none."""
    folders = data_folders(name, (option,) if option is not None else (), etc)
    if not folders:
        raise ProblemError(
            Problem("CFG016", name, "The program's data folder is missing.", "install the package again, or name the folder.")
        )
    return folders[0]
