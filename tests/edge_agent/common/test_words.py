"""Numbers for people."""

from __future__ import annotations

import pytest

from edge_agent.common.words import counted, sent, stored


def test_one_is_not_many() -> None:
    assert [counted(n, "reading") for n in (0, 1, 2)] == ["0 readings", "1 reading", "2 readings"]
    assert [counted(n, "batch waits", "batches wait") for n in (1, 2)] == ["1 batch waits", "2 batches wait"]


@pytest.mark.parametrize(
    ("size", "on_disk", "on_air"),
    [
        (0, "0 B", "0 B"),
        (1023, "1023 B", "1 kB"),
        (1024, "1 KiB", "1 kB"),
        (1_500_000, "1.4 MiB", "1.5 MB"),
        (256 << 20, "256 MiB", "268.4 MB"),
        (3 << 30, "3 GiB", "3.2 GB"),
    ],
)
def test_sizes(size: int, on_disk: str, on_air: str) -> None:
    assert (stored(size), sent(size)) == (on_disk, on_air)
