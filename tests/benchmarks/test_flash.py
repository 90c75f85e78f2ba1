"""The flash benchmark measures what it says: a write a window offline, none online, and a backlog that comes out whole."""

from __future__ import annotations

from pathlib import Path

from benchmarks.flash import Line
from benchmarks.station import Station


def test_offline_there_is_a_write_a_window_and_next_to_nothing_is_written_online(tmp_path: Path) -> None:
    line = Line(tmp_path, Station(10), receipts=False)
    line.run(100)
    writes = line.writes
    assert line.run(100) == 1000
    assert line.writes - writes == 10
    line.connect()
    line.close()
    online = Line(tmp_path / "online", Station(10), receipts=True)
    online.run(20)
    writes = online.writes
    online.run(600)
    online.close()
    assert online.writes - writes == 1, "how far the run has its receipts, ten minutes after the first note"
