"""Does I/O: the agent's outbox under torture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

from edge_agent.delivery.machine import Anchor, Key, Stored
from edge_agent.io.outbox import Opened, OutboxFailed, OutboxFile
from tests.torture.storages import Snapshot, Step

EPOCH = "1-0123456789abcdef"
T0 = 1_790_000_000_000


def stored(seq: int, random: Random, size: int = 300, kind: str = "data") -> Stored:
    """A message as the courier hands it over."""
    key = Key(EPOCH, "u" if kind == "birth" else "n", seq)
    stamp = None if seq % 5 == 0 else T0 + 1000 * seq
    return Stored(key, kind, "b" * 16, random.randbytes(size), 3, "boot", 10 * seq, stamp, "ntp", 5, size=size)  # type: ignore[arg-type]


class _Handle:
    """An open outbox, and what its opening gave."""

    def __init__(self, path: Path) -> None:
        self.file = OutboxFile(path)
        self.opened: Opened = self.file.open()
        self.epochs: list[str] = []


class OutboxStorage:
    """edge_agent/io/outbox.py."""

    name = "outbox"
    refusal: type[Exception] = OutboxFailed

    def __init__(self, backlog: int = 9) -> None:
        """backlog: large writes; nine of them pass the automatic checkpoint (256 pages)."""
        self._backlog = backlog

    def open(self, folder: Path) -> _Handle:
        return _Handle(folder / "state" / "outbox.db")

    def close(self, handle: _Handle) -> None:
        handle.file.close()

    def steps(self, random: Random) -> Sequence[Step]:
        found = [Step("new epoch", lambda h: h.file.new_epoch("00000000000000aa"))]

        def write(label: str, add: list[Stored], forget: list[int], anchors: Sequence[Anchor] = ()) -> None:
            keys = [Key(EPOCH, "n", seq) for seq in forget]
            found.append(Step(label, lambda h: h.file.write(add, keys, anchors)))

        def again() -> None:
            found.append(Step("restart"))
            found.append(Step("new epoch", lambda h: h.file.new_epoch("00000000000000bb")))

        write("birth", [stored(1, random, 900, "birth")], [])
        seq = 0
        for turn in range(12):
            write("window", [stored(seq + n, random) for n in range(1, 4)], [])
            seq += 3
            if turn % 3 == 1:
                write("receipts", [], list(range(max(1, seq - 5), seq - 1)))
            if turn % 4 == 2:
                write("sent again and replaced", [stored(seq, random, 500)], [])
            if turn == 5:
                write("clock set", [], [], [Anchor(EPOCH, T0 - 77, "ntp", 40)])
                again()
        for _ in range(self._backlog):
            write("backlog", [stored(seq + n, random, 30_000) for n in range(1, 5)], [seq] if seq else [])
            seq += 4
        write("everything received", [], list(range(1, seq)))
        again()
        write("window", [stored(seq + 1, random)], [])
        return found

    def read(self, handle: _Handle) -> Snapshot:
        opened = handle.opened
        whole = {s.key: s for s in opened.stored}
        doubled = len(opened.stored) - len(whole)
        shelved = [key for shelf in opened.shelves for key in shelf.span.each()]
        found = {s.key: s for s in handle.file.fetch(shelved)[0]}
        doubled += len(shelved) - len(set(shelved) - set(whole))
        whole |= found
        rows = [(tuple(s.key), s.kind, s.birth, s.body, s.t0, s.mono_ms, s.readings) for s in whole.values()]
        trouble = (opened.set_aside, opened.damaged, doubled)
        return {"identity": "", "stored": sorted(rows), "anchors": sorted(map(repr, opened.anchors)), "trouble": trouble}

    def go_on(self, handle: _Handle, last: Snapshot) -> str:
        epoch = handle.file.new_epoch("00000000000000cc")
        new = Stored(Key(epoch, "n", 1), "data", "b" * 16, b"body", 1, "boot", 5, T0, "ntp", 5)
        handle.file.write([new], [])
        found, missing = handle.file.fetch([new.key])
        return "" if (found, missing) == ([new], []) else f"written after the crash and not there: {found} {missing}"
