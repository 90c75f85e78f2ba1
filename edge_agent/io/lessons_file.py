"""Does I/O: what earlier runs learned of devices: a small file of the state folder, replaced as a whole, at most once a minute.

    53a1e09c                                    CRC-32 of the rest
    {"version": 1, "devices": {"bus/device": {"who": "...", "lessons": {...}}}}

It is advice: without it the agent learns again. So one that is damaged is set aside and counted, and nothing of it is believed.
`who` tells which device it was: where profile, unit or firmware by the nameplate have changed since, its lessons are forgotten.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from edge_agent.common.durable import sync_folder
from edge_agent.common.file_rescue import aside_of, asides
from edge_agent.common.hazard import hazard
from edge_agent.model.lessons import MOST_HOLES, Hole, Lessons, LessonsOf
from edge_agent.model.points import Bus, Device

NAME = "learned.json"
_MOST_BYTES = 4 << 20
_ADDRESSES = 1 << 16
_EVERY_MS = 60_000


@dataclass(frozen=True, slots=True)
class _Known:
    who: str
    lessons: Lessons


@dataclass(frozen=True, slots=True)
class _Content:
    version: int
    devices: dict[str, _Known] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LessonsFigures:
    """What the file does. damaged: files that were set aside, and were there still when the agent began."""

    devices: int = 0
    damaged: int = 0
    error: str = ""


class LessonsFile:
    """One file. `read` first."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._known: dict[str, _Known] = {}
        self._written: dict[str, _Known] = {}
        self._write_ms = 0
        self._error = ""
        self._damaged = 0

    @property
    def figures(self) -> LessonsFigures:
        """Now."""
        return LessonsFigures(len(self._known), self._damaged, self._error)

    def read(self) -> str:
        """Reads the file; gives where a damaged one was put, or nothing."""
        aside = self._read()
        self._damaged = len(asides(self._path))
        return aside

    def _read(self) -> str:
        try:
            with self._path.open("rb") as file:
                content = file.read(_MOST_BYTES + 1)
        except OSError:
            return ""
        try:
            self._known = self._written = _understood(content)
        except ValueError:
            return self._set_aside()
        return ""

    def of(self, buses: Sequence[Bus]) -> dict[str, LessonsOf]:
        """By bus and device, as far as they are the devices that they were."""
        return {bus.id: {device.id: known.lessons for device in bus.devices if (known := self._of(bus, device))} for bus in buses}

    def keep(self, buses: Sequence[Bus], learned: Mapping[str, LessonsOf], now_ms: int) -> None:
        """Takes over what is known now, and writes it if it is another thing and the last time was long enough ago."""
        self._known = {
            _name(bus, device): _Known(_who(device), lessons)
            for bus in buses
            for device in bus.devices
            if (lessons := learned.get(bus.id, {}).get(device.id)) is not None
        }
        if now_ms >= self._write_ms:
            self._write_ms = now_ms + _EVERY_MS
            self.save()

    def save(self) -> None:
        """Writes what is not on disk yet. A medium that refuses costs what was learned, at the next start; it is tried again."""
        if self._known == self._written:
            return
        try:
            self._write(msgspec.json.encode(_Content(1, self._known)))
        except OSError as error:
            self._error = str(error.strerror)
            return
        self._written, self._error = self._known, ""

    def _write(self, body: bytes) -> None:
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(b"%08x\n" % zlib.crc32(body) + body)
            file.flush()
            os.fsync(file.fileno())
        hazard("lessons.rename.before")
        fresh.replace(self._path)
        hazard("lessons.rename.after")
        sync_folder(self._path.parent)

    def _set_aside(self) -> str:
        aside = aside_of(self._path)
        try:
            self._path.rename(aside)
        except OSError as error:
            self._error = str(error.strerror)
            return str(self._path)
        return str(aside)

    def _of(self, bus: Bus, device: Device) -> _Known | None:
        known = self._known.get(_name(bus, device))
        return known if known is not None and known.who == _who(device) else None


def _understood(content: bytes) -> dict[str, _Known]:
    """Raises ValueError for what is not a whole file of ours."""
    crc, _, body = content.partition(b"\n")
    if len(content) > _MOST_BYTES or int(crc, 16) != zlib.crc32(body):
        raise ValueError("damaged")
    try:
        found = msgspec.json.decode(body, type=_Content)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error
    if found.version != 1 or not all(_is_possible(known.lessons) for known in found.devices.values()):
        raise ValueError("not ours")
    return found.devices


def _is_possible(lessons: Lessons) -> bool:
    return len(lessons.holes) <= MOST_HOLES and all(_is_hole(hole) for hole in lessons.holes)


def _is_hole(hole: Hole) -> bool:
    return 0 <= hole.first <= hole.end <= _ADDRESSES


def _name(bus: Bus, device: Device) -> str:
    return f"{bus.id}/{device.id}"


def _who(device: Device) -> str:
    """Which device it is, as far as the site file knows: what it learned is of no other."""
    return " ".join((device.profile, device.profile_version, str(device.unit), str(device.nameplate.get("firmware", ""))))
