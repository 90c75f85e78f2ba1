"""Does I/O: reads records from segments, knows where each thread stopped, and counts what is damaged."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from collector.intake.records import Record
from collector.io.log_segment import HEADER, Frame, record_of, scan, seed_of
from collector.seams import StorageFailed

_log = logging.getLogger(__name__)
_MOST_PLACES = 8


class Segment(NamedTuple):
    """A row of table `segment`: what is committed of one file. Times ms UTC, collector's clock."""

    first: int
    """Its lowest offset."""
    last: int
    records: int
    length: int
    """Bytes of the file that count."""
    oldest_ms: int
    newest_ms: int
    name: str


class Damage:
    """Records met so far that are in no file as they were written. Any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers: dict[str, set[int]] = {}
        self._guard = threading.Lock()

    def note(self, segment: Segment, first: int, end: int) -> None:
        """The frames first..end-1 of this segment are not sound."""
        if first >= end:
            return
        with self._guard:
            numbers = self._numbers.setdefault(segment.name, set())
            before = len(numbers)
            numbers.update(range(first, end))
            new = len(numbers) - before
        if new:
            _log.error("%s: %d records are damaged and left out", self._folder / segment.name, new)

    @property
    def count(self) -> int:
        """How many records."""
        with self._guard:
            return sum(map(len, self._numbers.values()))

    def where(self) -> list[Path]:
        """The files that hold them."""
        with self._guard:
            return [self._folder / name for name in sorted(self._numbers)]


class _Place(NamedTuple):
    """Where a thread stopped: behind the frame with this offset."""

    offset: int
    number: int
    """Of the next frame."""
    position: int


class SegmentReader:
    """Reads the files of one log. For one thread: it goes on where it stopped."""

    def __init__(self, folder: Path, damage: Damage) -> None:
        self._folder = folder
        self._damage = damage
        self._places: dict[str, _Place] = {}

    def read(self, segment: Segment, after: int, limit: int) -> list[Record]:
        """Up to `limit` sound records with offset > after, in order. Raises FileNotFoundError, StorageFailed."""
        found: list[Record] = []
        for frame in self._frames(segment, after):
            if frame.offset > after:
                found.append(self._record(segment, frame))
                if len(found) == limit:
                    break
        return found

    def frames(self, segment: Segment) -> Iterator[Record]:
        """Every sound record of the segment. Raises FileNotFoundError, StorageFailed."""
        return (self._record(segment, frame) for frame in self._frames(segment, 0))

    def fresh(self, segment: Segment, rows: Iterable[tuple[int, int, int, bytes]], after: int, limit: int) -> list[Record]:
        """Up to `limit` sound records with offset > after of what is in no file yet. segment: the newest, to which it belongs."""
        found: list[Record] = []
        for first, last, number, frames in rows:
            if len(found) >= limit:
                break
            expected, end = number, number + last - first + 1
            for frame in scan(0, seed_of(segment.name), 0, len(frames), lambda _, n, at, held=frames: held[at : at + n]):  # type: ignore[misc]
                if not expected <= frame.number < end or not first <= frame.offset <= last:
                    continue
                self._damage.note(segment, expected, frame.number)
                expected = frame.number + 1
                if frame.offset > after:
                    found.append(self._record(segment, frame))
            self._damage.note(segment, expected, end)
        return found[:limit]

    def missing(self, segment: Segment) -> None:
        """The whole file is gone."""
        self._damage.note(segment, 0, segment.records)

    def _frames(self, segment: Segment, after: int) -> Iterator[Frame]:
        place = self._places.pop(segment.name, None)
        if place is None or place.offset > after:
            place = _Place(0, 0, len(HEADER))
        number, position, offset = place.number, place.position, place.offset
        try:
            with self._opened(segment) as file:
                for frame in scan(file, seed_of(segment.name), position, segment.length):
                    if not number <= frame.number < segment.records or frame.offset <= offset:
                        continue
                    if frame.number > number:
                        self._damage.note(segment, number, frame.number)
                    offset, number, position = frame.offset, frame.number + 1, frame.after
                    yield frame
                if number < segment.records:
                    self._damage.note(segment, number, segment.records)
        finally:
            if len(self._places) >= _MOST_PLACES:
                self._places.clear()
            self._places[segment.name] = _Place(offset, number, position)

    @contextmanager
    def _opened(self, segment: Segment) -> Iterator[int]:
        try:
            file = os.open(self._folder / segment.name, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise StorageFailed(str(error)) from error
        try:
            yield file
        finally:
            os.close(file)

    def _record(self, segment: Segment, frame: Frame) -> Record:
        try:
            return record_of(frame)
        except msgspec.MsgspecError as error:  # its checksum is right: it was written so
            raise StorageFailed(f"{segment.name}: a frame that is no record: {error}") from error
