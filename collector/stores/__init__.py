"""Does I/O: time-series stores, found by themselves: a module of this package that has KIND and `open_store` is a store.

Modules whose name begins with _ are not looked at: there heavy libraries may be imported.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from collector.seams import Store


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Where a store is. The embedded one needs the folder alone. token is a secret: never logged, never shown."""

    folder: Path
    """The collector's state folder; a store that is elsewhere keeps its cursor there."""
    url: str = ""
    org: str = ""
    bucket: str = ""
    token: str = ""

    def __repr__(self) -> str:
        return f"StoreSettings({str(self.folder)!r}, {self.url!r}, {self.org!r}, {self.bucket!r})"


Open = Callable[[StoreSettings], Store]


def find_stores() -> Mapping[str, Open]:
    """Every kind of store and how to open it. Raises ValueError where two modules claim one name."""
    names = (module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))
    return collect([f"{__name__}.{name}" for name in sorted(names)])


def collect(modules: list[str]) -> Mapping[str, Open]:
    """The stores among these modules. Raises ValueError where two claim one name."""
    found: dict[str, Open] = {}
    for name in modules:
        module = import_module(name)
        kind = getattr(module, "KIND", None)
        if kind is None:
            continue
        if kind in found:
            raise ValueError(f"two stores are of kind {kind!r}; the second is in {name}")
        found[kind] = module.open_store
    return found
