"""What systemd is told, and when it is told nothing."""

from __future__ import annotations

import socket
from pathlib import Path

from collector.io.service import Heartbeats, Service
from collector.io.status_file import Status, read_status, write_status


def test_systemd_hears_each_word(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        service = Service({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "60000000"})
        assert service.watchdog_s == 60
        service.ready("page x")
        service.alive()
        service.status("fine")
        service.stopping()
        assert [systemd.recv(100) for _ in range(4)] == [b"READY=1\nSTATUS=page x", b"WATCHDOG=1", b"STATUS=fine", b"STOPPING=1"]


def test_without_systemd_nothing_happens() -> None:
    service = Service({})
    assert service.watchdog_s is None
    service.ready("x")
    Service({"NOTIFY_SOCKET": "/nowhere/notify"}).alive()


def test_a_thread_that_does_not_come_round_is_named() -> None:
    now = [0]
    beats = Heartbeats(lambda: now[0], limit_ms=100)
    beats.beat("a")
    beats.beat("b")
    now[0] = 90
    beats.beat("b")
    assert beats.stuck() == []
    now[0] = 101
    assert beats.stuck() == ["a"]


def test_the_status_file_is_whole_or_not_there(tmp_path: Path) -> None:
    assert read_status(tmp_path) is None
    status = Status(1, 0, 7, "127.0.0.1", 1883, True, "http://x", 5, 5, 4, 1, 5, 0, 0, 0)
    write_status(tmp_path, status)
    assert read_status(tmp_path) == status
    assert (tmp_path / "status.json").stat().st_mode & 0o007 == 0
    (tmp_path / "status.json").write_text("{")
    assert read_status(tmp_path) is None
