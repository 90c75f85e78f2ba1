"""Pure, but for FileCard, which does I/O. The outbox file of a simulated gateway: durable whole or not at all, refusing, rotting.

A write that the medium refused (no space, I/O error, no descriptor) may be there all the same, and nobody may believe it. A crash
leaves what was synced; of what was under way, all or nothing, because a part of a transaction is none. A flipped bit takes a
message: it cannot be read back, and the head of its row, which has a checksum of its own, tells what it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edge_agent.common.hazard import hazard
from edge_agent.contract import encoding
from edge_agent.delivery import machine as ev
from edge_agent.io.outbox import Opened, OutboxFile
from edge_agent.io.outbox_rows import head_of, is_loose, lost_of
from tests.sim.plan import Plan
from tests.sim.world import World

REFUSALS = ("no space left on device", "input/output error", "too many open files")


class Card:
    """See the module. Orders are carried out one after the other."""

    def __init__(self, world: World, plan: Plan) -> None:
        self._world, self._plan = world, plan
        self.stored: dict[ev.Key, ev.Stored] = {}
        self.anchors: dict[str, ev.Anchor] = {}
        self.starts = 0
        self.rotten: set[ev.Key] = set()
        self.is_refusing = False
        self.failing_since_ms: int | None = None
        """When the first write failed of those after the last good one."""
        self.writing: ev.Write | None = None
        self._free_ms = 0

    def busy_ms(self) -> int:
        """How long an order given now takes."""
        self._free_ms = max(self._free_ms, self._world.now_ms) + self._world.between(*self._plan.disk_ms)
        return self._free_ms - self._world.now_ms

    def open(self, with_bodies: bool) -> Opened:
        """As the file gives it at a start: oldest first, bodies of what may stand on no shelf always. What is rotten heads tell."""
        order = sorted(self.stored.values(), key=lambda s: (encoding.parse_epoch(s.key.epoch)[0], s.key.lane, s.key.seq))
        damaged = head_of(s for s in order if s.key in self.rotten)
        sound = [s for s in order if s.key not in self.rotten]
        if not with_bodies:
            sound = [s if is_loose(s) else replace(s, body=b"", size=len(s.body)) for s in sound]
        anchors = tuple(self.anchors.values())
        return Opened(tuple(sound), "", len(self.rotten), anchors, tuple(damaged.shelves), tuple(lost_of(damaged)))

    def new_epoch(self, random_hex: str) -> str:
        """The epoch of this start, durable before it is given. May strike."""
        hazard("start.commit.before")
        self.starts += 1
        hazard("start.commit.after")
        return f"{self.starts}-{random_hex}"

    def commit(self, write: ev.Write) -> str:
        """Carries out a write; gives why the medium refuses, else nothing. May strike."""
        self.writing = None
        if self.is_refusing:
            self.failing_since_ms = self.failing_since_ms or self._world.now_ms
            if self._world.likely(0.3):
                self._apply(write)
            return self._world.chance.choice(REFUSALS)
        self.writing = write
        hazard("outbox.commit.before")
        self._apply(write)
        self.writing = None
        hazard("outbox.commit.after")
        self.failing_since_ms = None
        return ""

    def fetch(self, keys: Sequence[ev.Key]) -> tuple[list[ev.Stored], list[ev.Key]]:
        """Messages with their bodies, and the keys that cannot be read."""
        there = [key for key in keys if key in self.stored and key not in self.rotten]
        return [self.stored[key] for key in there], [key for key in keys if key not in there]

    def readings_of(self, keys: Sequence[ev.Key]) -> int:
        """Readings in messages that cannot be read, by their heads."""
        return sum(self.stored[key].readings for key in keys if key in self.stored)

    def rot(self, is_telling: bool = False) -> ev.Stored | None:
        """A bit flips somewhere in a message; which one it was. is_telling: in one that tells of gaps, if there is any."""
        sound = [key for key, stored in self.stored.items() if stored.kind == "data" and key not in self.rotten]
        sound = [key for key in sound if self.stored[key].gaps] if is_telling else sound
        if not sound:
            return None
        key = self._world.chance.choice(sound)
        self.rotten.add(key)
        return self.stored[key]

    def crash(self) -> None:
        """What is under way is there or not."""
        if self.writing is not None and self._world.chance.random() < 0.5:
            self._apply(self.writing)
        self.writing = None
        self._free_ms = 0

    def _apply(self, write: ev.Write) -> None:
        for key in write.forget:
            self.stored.pop(key, None)
            self.rotten.discard(key)
        for stored in write.add:
            self.stored[stored.key] = stored
            self.rotten.discard(stored.key)
        for anchor in write.anchors:
            self.anchors.setdefault(anchor.epoch, anchor)


class FileCard(Card):
    """The product's own outbox file in a folder. It dies with its process, not with its power."""

    def __init__(self, world: World, plan: Plan, path: Path) -> None:
        super().__init__(world, plan)
        self._file = OutboxFile(path)

    def open(self, with_bodies: bool) -> Opened:
        """Opens the file anew. What stands on its shelves is fetched when its turn has come."""
        return self._file.open()

    def new_epoch(self, random_hex: str) -> str:
        """By the product."""
        return self._file.new_epoch(random_hex)

    def fetch(self, keys: Sequence[ev.Key]) -> tuple[list[ev.Stored], list[ev.Key]]:
        """From the file."""
        return self._file.fetch(keys)

    def readings_of(self, keys: Sequence[ev.Key]) -> int:
        """By the product."""
        return self._file.readings_of(keys)

    def rot(self, is_telling: bool = False) -> ev.Stored | None:
        """Bits of real files flip in tests of their own."""
        return None

    def commit(self, write: ev.Write) -> str:
        """One transaction of the product; its hazards may strike."""
        self.writing = None
        if self.is_refusing:
            self.failing_since_ms = self.failing_since_ms or self._world.now_ms
            return REFUSALS[0]
        self._file.write(write.add, write.forget, write.anchors, write.run)
        self.failing_since_ms = None
        return ""

    def crash(self) -> None:
        """The process is gone; what it had not committed too."""
        self.writing = None
        self._free_ms = 0
        self._file.close()
