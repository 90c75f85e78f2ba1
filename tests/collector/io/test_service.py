"""What systemd is told, and when it is told nothing."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from collector.io.service import Heartbeats, Service
from collector.io.status_file import NAME, Status, StatusFile, read_status, write_status

STATUS = Status(1, 0, 7, "127.0.0.1", 1883, True, "http://x", 5, 5, 4, 1, 5, 0, 0, 0)


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
    write_status(tmp_path, STATUS)
    assert read_status(tmp_path) == STATUS
    assert (tmp_path / "status.json").stat().st_mode & 0o007 == 0
    (tmp_path / "status.json").write_text("{")
    assert read_status(tmp_path) is None


def test_a_disk_that_refuses_the_status_file_is_told_once_and_heals(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    state = tmp_path / "state"
    file = StatusFile(state)
    state.write_text("a file where the folder should be")
    file.write(STATUS)
    state.unlink()
    state.mkdir()
    (state / f".{NAME}.new").symlink_to("/dev/full")
    file.write(STATUS)
    problem = file.problem()
    assert problem is not None
    assert (problem.code, os.strerror(28) in problem.what, len(caplog.records)) == ("COL410", True, 1)
    assert read_status(state) is None
    (state / f".{NAME}.new").unlink()
    file.write(STATUS)
    assert (file.problem(), read_status(state)) == (None, STATUS)
