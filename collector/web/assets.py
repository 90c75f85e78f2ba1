"""Does I/O: reads the static files once, at start; they are served from memory under the hash of their content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

_MEDIA = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}
VENDOR_SCRIPT = "vendor/uPlot.iife.min.js"
VENDOR_STYLE = "vendor/uPlot.min.css"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file. tag: of its content, 16 hex digits."""

    content: bytes
    media: str
    tag: str


class Assets:
    """Static files by path below `static/`. What `make assets` did not fetch is simply not there."""

    def __init__(self, folder: Traversable | None = None) -> None:
        self._files = dict(_walk(folder or resources.files("collector.web") / "static", ""))

    def __contains__(self, path: str) -> bool:
        return path in self._files

    def get(self, path: str) -> Asset | None:
        """The file, or None."""
        return self._files.get(path)

    def url(self, path: str) -> str:
        """Its address; changes with its content. Raises KeyError for a file that is not there."""
        return f"/static/{path}?v={self._files[path].tag}"


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, Asset]]:
    found: list[tuple[str, Asset]] = []
    for entry in folder.iterdir():
        ending = entry.name.rpartition(".")[2]
        if entry.is_dir():
            found += _walk(entry, f"{prefix}{entry.name}/")
        elif ending in _MEDIA:
            content = entry.read_bytes()
            tag = hashlib.sha256(content).hexdigest()[:16]
            found.append((prefix + entry.name, Asset(content, _MEDIA[ending], tag)))
    return found
