"""Does I/O: the small files by which chaos steers a program from outside: its clock, whether NTP keeps it, and where it is to die.

The program's side stands in launcher.py. Nothing of it is known to the product.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path

NEVER = -1
_CLOCK = struct.Struct("<qq")
"""Offset of UTC in ms; bound within which NTP keeps the clock in ms, NEVER while nobody does."""


@dataclass(frozen=True, slots=True)
class Aim:
    """Dies at the `passes`-th pass of a hazard whose name begins with `hazard` (empty: any), so many microseconds later."""

    hazard: str
    passes: int
    later_us: int = 0

    def __str__(self) -> str:
        return f"{self.hazard or '*'} {self.passes} {self.later_us}"


@dataclass(frozen=True, slots=True)
class Death:
    """At which hazard a program killed itself, and when (ms UTC of the real clock)."""

    hazard: str
    at_ms: int


class ClockFile:
    """Offset and NTP state, shared by memory map: one word each, so neither is ever half written."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(_CLOCK.pack(0, NEVER))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _CLOCK.size)

    @property
    def offset_ms(self) -> int:
        """How far the machine's clock is ahead of the real one."""
        return int(_CLOCK.unpack(self._map[:])[0])

    @offset_ms.setter
    def offset_ms(self, value: int) -> None:
        self._map[:8] = struct.pack("<q", value)

    @property
    def ntp_bound_ms(self) -> int | None:
        """None while nobody keeps the clock in step."""
        bound_ms = int(_CLOCK.unpack(self._map[:])[1])
        return None if bound_ms == NEVER else bound_ms

    @ntp_bound_ms.setter
    def ntp_bound_ms(self, value: int | None) -> None:
        self._map[8:] = struct.pack("<q", NEVER if value is None else value)


class AimFile:
    """The aim in force and the death that came of it."""

    def __init__(self, folder: Path) -> None:
        self._aim, self._death = folder / "aim", folder / "death"

    def set(self, aim: Aim | None) -> None:
        """From the next hazard on; None: lives on."""
        self._death.unlink(missing_ok=True)
        if aim is None:
            self._aim.unlink(missing_ok=True)
            return
        fresh = self._aim.with_suffix(".new")
        fresh.write_text(str(aim), encoding="ascii")
        fresh.replace(self._aim)

    def aim(self) -> Aim | None:
        """The aim in force."""
        try:
            hazard, passes, later_us = self._aim.read_text(encoding="ascii").split()
        except FileNotFoundError:
            return None
        return Aim("" if hazard == "*" else hazard, int(passes), int(later_us))

    def die(self, death: Death) -> None:
        """Leaves the note."""
        self._death.write_text(f"{death.hazard} {death.at_ms}", encoding="ascii")

    def death(self) -> Death | None:
        """The note of the last death; None if it was another's doing."""
        try:
            hazard, at_ms = self._death.read_text(encoding="ascii").split()
        except (FileNotFoundError, ValueError):  # killed from outside while it wrote
            return None
        return Death(hazard, int(at_ms))


def prepare(folder: Path) -> None:
    """The folder of one program's controls."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
