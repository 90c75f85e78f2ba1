"""Pure. A disk as a power cut sees it: what was synced is there; of the rest any sectors, in any order, or none.

Names (made, deleted, renamed) are a journal of their own: an entry that was not synced may be missing after a cut. A sync of a file
makes the file's own name durable; a delete that asks for it syncs the folder. This is less than ext4 promises.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

SECTOR = 512


class Call(NamedTuple):
    """One call that changes files: create, write (offset), truncate (offset is the size), sync, lost (a sync that failed), delete
    (offset 1: the folder was synced), rename (content is the new name), folder (a sync of the folder)."""

    kind: str
    path: str
    offset: int = 0
    content: bytes = b""


@dataclass(slots=True)
class Content:
    """One file: as programs see it, as it surely is on the medium, and the calls between."""

    cached: bytearray = field(default_factory=bytearray)
    durable: bytearray = field(default_factory=bytearray)
    pending: list[Call] = field(default_factory=list)
    is_named: bool = False
    """Its name is surely on the medium."""
    came_from: str = ""
    """The name it had before a rename that is not surely on the medium: one of the two names is there."""

    def copy(self) -> Content:
        return Content(bytearray(self.cached), bytearray(self.durable), list(self.pending), self.is_named, self.came_from)


def _put(into: bytearray, offset: int, content: bytes) -> None:
    if offset > len(into):
        into.extend(bytes(offset - len(into)))
    into[offset : offset + len(content)] = content


def _change(into: bytearray, call: Call) -> None:
    if call.kind == "write":
        _put(into, call.offset, call.content)
    elif call.offset < len(into):
        del into[call.offset :]
    else:
        into.extend(bytes(call.offset - len(into)))


def _torn(content: Content, random: Random) -> bytes:
    """What is there after a cut: of each sector any of its versions since the last sync."""
    found = bytearray(content.durable)
    versions: dict[int, int] = {}
    for call in content.pending:
        if call.kind == "write":
            for sector in range(call.offset // SECTOR, (call.offset + len(call.content) - 1) // SECTOR + 1):
                versions[sector] = versions.get(sector, 0) + 1
    share = random.choice((0.1, 0.5, 0.9))
    kept = {sector: sum(random.random() < share for _ in range(count)) for sector, count in versions.items()}
    for call in content.pending:
        if call.kind == "truncate":
            if random.random() < share:
                _change(found, call)
            continue
        at, end = call.offset, call.offset + len(call.content)
        while at < end:
            stop = min(end, (at // SECTOR + 1) * SECTOR)
            if kept[at // SECTOR] > 0:
                kept[at // SECTOR] -= 1
                _put(found, at, call.content[at - call.offset : stop - call.offset])
            at = stop
    return bytes(found)


class Disk:
    """A folder's files by name."""

    def __init__(self) -> None:
        self.files: dict[str, Content] = {}
        self.ghosts: dict[str, Content] = {}
        """Names that may be there again after a cut, because their end was not synced."""

    def copy(self) -> Disk:
        """One that goes its own way."""
        made = Disk()
        made.files = {name: content.copy() for name, content in self.files.items()}
        made.ghosts = {name: content.copy() for name, content in self.ghosts.items()}
        return made

    def apply(self, call: Call, random: Random) -> None:
        """Carries out one call."""
        match call.kind:
            case "create":
                self.files.setdefault(call.path, Content())
            case "write" | "truncate":
                content = self.files.setdefault(call.path, Content())
                _change(content.cached, call)
                content.pending.append(call)
            case "sync":
                self._sync(call.path)
            case "lost":  # the kernel has given up on these pages and calls them clean: no later sync brings them
                content = self.files[call.path]
                if random.random() < 0.5:
                    content.durable = bytearray(_torn(content, random))
                content.pending.clear()
            case "delete":
                self._leave(call.path, self.files.pop(call.path, None))
                if call.offset:
                    self._sync_folder()
            case "rename":
                content = self.files.pop(call.path)
                self._leave(call.path, content)
                self._leave(call.content.decode(), self.files.pop(call.content.decode(), None))
                moved = content.copy()
                moved.is_named, moved.came_from = False, call.path
                self.files[call.content.decode()] = moved
            case "folder":
                self._sync_folder()

    def _leave(self, name: str, content: Content | None) -> None:
        if content is not None and content.is_named:
            self.ghosts[name] = content

    def _sync(self, name: str) -> None:
        content = self.files.setdefault(name, Content())
        for call in content.pending:
            _change(content.durable, call)
        content.pending.clear()
        content.is_named = True
        self.ghosts.pop(name, None)

    def _sync_folder(self) -> None:
        self.ghosts.clear()
        for content in self.files.values():
            content.is_named = True

    def is_settled(self) -> bool:
        """True if a power cut now would change nothing."""
        return not self.ghosts and all(content.is_named and not content.pending for content in self.files.values())

    def killed(self) -> dict[str, bytes]:
        """The files after kill -9: the kernel still has everything."""
        return {name: bytes(content.cached) for name, content in self.files.items()}

    def dropped(self) -> dict[str, bytes]:
        """The files after a power cut that took everything not synced."""
        found = {name: bytes(content.durable) for name, content in self.files.items() if content.is_named}
        return {name: bytes(content.durable) for name, content in self.ghosts.items()} | found

    def torn(self, random: Random) -> dict[str, bytes]:
        """The files after a power cut that took a part."""
        found = {name: _torn(content, random) for name, content in self.ghosts.items() if random.random() < 0.5}
        for name, content in self.files.items():
            if content.is_named or random.random() < 0.5:
                found[name] = _torn(content, random)
            elif content.came_from in self.ghosts:  # a rename is carried out or not: a file is never nowhere
                found[content.came_from] = _torn(self.ghosts[content.came_from], random)
        return found
