"""Does I/O: which of the profiles that this program knows fit what `edge-agent scan` found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edge_agent.common.problem import ProblemError

if TYPE_CHECKING:
    from edge_agent.bus_visit import Found
    from edge_agent.config.identification import Fit
    from edge_agent.config.profile_file import ProfileFile
    from edge_agent.model.points import Bus

_WORDS = {"sure": "", "likely": "likely ", "perhaps": "perhaps "}


def known_profiles(folders: Sequence[Path]) -> tuple[dict[str, ProfileFile], list[str]]:
    """Every profile by name, and the names of those that have errors: they do not keep anybody from searching."""
    from edge_agent.common.folders import data_folders
    from edge_agent.config.profiles import profile_paths, read_profile

    paths = profile_paths(data_folders("device_profiles", folders))
    known: dict[str, ProfileFile] = {}
    for name, path in sorted(paths.items()):
        try:
            known[name] = read_profile(name, path, paths).file
        except ProblemError:
            continue
    return known, [name for name in sorted(paths) if name not in known]


def fits_of(found: Found, bus: Bus, profiles: dict[str, ProfileFile]) -> tuple[Fit, ...]:
    """The profiles that fit one device."""
    from edge_agent.config.identification import Seen, fitting
    from edge_agent.model.points import Serial

    link = bus.link
    line = f"{link.baudrate} {link.bytesize}{link.parity}{link.stopbits}" if isinstance(link, Serial) else ""
    if found.how == "garbled":
        return ()
    return fitting(profiles, Seen(found.unit, found.identification, found.words, line))


def named(fits: Sequence[Fit]) -> str:
    """For the table: `aqualabo/pheht`, `likely bender/rcmb300`, `perhaps vega/vegapuls`."""
    return _WORDS[fits[0].confidence] + " or ".join(fit.profile for fit in fits) if fits else ""


def why_of(fits: Sequence[Fit]) -> str:
    """What speaks for them."""
    return "; ".join(dict.fromkeys(fit.why for fit in fits))
