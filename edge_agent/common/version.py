"""Does I/O: version and commit of the installed distribution, as `--version` prints them."""

from __future__ import annotations

import re
from pathlib import Path

from edge_agent import __version__

_HERE = Path(__file__).resolve().parent.parent
_COMMIT = re.compile(r"[0-9a-f]{40}")


def version_text(program: str) -> str:
    """`edge-agent 0.1.0 (1a2b3c4d5e6f)`; without the commit where it is not known."""
    commit = commit_id()
    return f"{program} {__version__}" + (f" ({commit[:12]})" if commit else "")


def commit_id(package: Path = _HERE) -> str:
    """The commit the code is of: written into the package at build time, else read from the repository; empty if unknown."""
    for text in (_read(package / "_packaged" / "commit"), _head(package.parent / ".git")):
        if _COMMIT.fullmatch(text):
            return text
    return ""


def _head(git: Path) -> str:
    head = _read(git / "HEAD")
    if not head.startswith("ref: "):
        return head
    name = head.removeprefix("ref: ")
    loose = _read(git / name)
    if loose:
        return loose
    packed = (line.split(" ", 1) for line in _read(git / "packed-refs").splitlines() if " " in line)
    return next((commit for commit, ref in packed if ref == name), "")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
