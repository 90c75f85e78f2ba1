"""Does I/O: damages one record of a log as bit rot does."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from collector.io.sqlite_log import SqliteLog


def flip_a_bit(path: Path, epoch: str, lane: str, seq: int) -> None:
    """Flips one bit in the payload of the record with this key; it must be there, once."""
    with closing(SqliteLog(path)) as log:
        log.flush()
        (payload,) = [r.payload for r in log.read(0, 1_000_000) if (r.key.epoch, r.key.lane, r.key.seq) == (epoch, lane, seq)]
        for file in log.folder.iterdir():
            content = bytearray(file.read_bytes())
            place = content.find(payload)
            if place >= 0:
                content[place] ^= 1
                file.write_bytes(content)
                return
    raise AssertionError(f"{epoch} {lane} {seq} is in no segment of {path}")
