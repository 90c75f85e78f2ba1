"""Does I/O: the storages under torture - how each is opened, a workload of its real use, and what can be read from it.

`observe` opens with the real code, reads everything there is to read and closes. A snapshot is a dict; `identity` is drawn by
chance when the storage is made, so it may be another one as long as nobody was told of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Protocol

Snapshot = dict[str, Any]
Do = Callable[[Any], object]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing the program does. between: what may be found if it was cut short, beside before and after."""

    label: str
    do: Do | None = None
    """None: the program ends and starts again."""
    between: Callable[[Snapshot, Snapshot, Snapshot], bool] | None = None
    """(before, after, found)"""


class Storage(Protocol):
    """One kind of storage."""

    name: str
    refusal: type[Exception]
    """What it raises when the medium refuses."""

    def open(self, folder: Path) -> Any: ...

    def close(self, handle: Any) -> None: ...

    def steps(self, random: Random) -> Sequence[Step]:
        """The workload, the same for the same seed."""
        ...

    def read(self, handle: Any) -> Snapshot:
        """Everything that can be read."""
        ...

    def go_on(self, handle: Any, last: Snapshot) -> str:
        """Writes something more; not empty: why that did not work."""
        ...


def observe(storage: Storage, folder: Path) -> Snapshot:
    """What the real code finds in a folder."""
    handle = storage.open(folder)
    try:
        return storage.read(handle)
    finally:
        storage.close(handle)
