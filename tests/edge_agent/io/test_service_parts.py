"""Notifications, folders, log lines, inbox, status file."""

from __future__ import annotations

import io
import json
import logging
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edge_agent.common.problem import Problem
from edge_agent.io.inbox import Inbox
from edge_agent.io.kernel_clock import KernelClock
from edge_agent.io.logs import LineFormatter, is_journal, logger, say, say_problem, start_logs
from edge_agent.io.mqtt import Backoff, plain_text_problems
from edge_agent.io.service import Systemd, boot_id, runtime_folder, runtime_folders, state_folder
from edge_agent.io.status_file import read_status, remove_status, write_status
from edge_agent.model.points import Broker, Tls


def test_every_word_of_systemd(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
        door.bind(str(tmp_path / "n"))
        door.settimeout(5)
        systemd = Systemd({"NOTIFY_SOCKET": str(tmp_path / "n"), "WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())})
        assert systemd.watchdog_s == 60.0
        systemd.ready("two\nlines")
        systemd.status("x")
        systemd.reloading()
        systemd.alive()
        systemd.stopping()
        said = [door.recv(1024).decode() for _ in range(5)]
    assert said[0] == "READY=1\nSTATUS=two lines"
    assert said[1] == "STATUS=x"
    assert said[2].startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert said[3:] == ["WATCHDOG=1", "STOPPING=1"]


def test_without_systemd_nothing_is_said() -> None:
    systemd = Systemd({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"})
    systemd.ready("x")
    assert systemd.watchdog_s == 0.0
    Systemd({"NOTIFY_SOCKET": "/nowhere/at/all"}).alive()


def test_an_abstract_socket() -> None:
    name = f"edge-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
        door.bind("\0" + name)
        door.settimeout(5)
        Systemd({"NOTIFY_SOCKET": "@" + name}).alive()
        assert door.recv(64) == b"WATCHDOG=1"


def test_boot_id(tmp_path: Path) -> None:
    assert boot_id() == boot_id()
    missing = tmp_path / "none"
    assert len(boot_id(missing)) == 32
    assert boot_id(missing) != boot_id(missing)


def test_folders_in_order(tmp_path: Path) -> None:
    systemd = {"STATE_DIRECTORY": "/var/lib/a:/var/lib/b", "RUNTIME_DIRECTORY": "/run/a", "XDG_STATE_HOME": "/x"}
    assert state_folder(tmp_path, systemd) == tmp_path
    assert state_folder(None, systemd) == Path("/var/lib/a")
    assert state_folder(None, {"XDG_STATE_HOME": "/x"}) == Path("/x/edge-agent")
    assert runtime_folder(None, systemd) == Path("/run/a")
    assert runtime_folder(None, {"XDG_RUNTIME_DIR": "/run/user/1"}) == Path("/run/user/1/edge-agent")
    assert runtime_folders(None, {"XDG_RUNTIME_DIR": "/run/user/1"})[-1] == Path("/run/edge-agent")


@pytest.mark.parametrize(("form", "line"), [("journal", "<4>link.down: gone?x"), ("text", "warning link.down: gone?x")])
def test_log_lines(form: str, line: str) -> None:
    record = logger("x").makeRecord(
        "edge_agent.x", logging.WARNING, "f", 1, "%s", ("gone\x1bx",), None, extra={"event_id": "link.down"}
    )
    text = LineFormatter(form).format(record)  # type: ignore[arg-type]
    assert text.endswith(line)
    assert (text == line) == (form == "journal")


def test_log_as_json_and_problems() -> None:
    out = io.StringIO()
    start_logs("json", {}, out)
    say(logger("agent"), logging.INFO, "agent.start", "hello")
    say_problem(logger("agent"), logging.ERROR, Problem("NET302", "h:1", "Away.", "look"))
    first, second = map(json.loads, out.getvalue().splitlines())
    assert (first["id"], first["level"], first["text"]) == ("agent.start", "info", "hello")
    assert (second["id"], second["text"]) == ("NET302", "h:1: Away. Do: look")
    logging.getLogger("edge_agent").handlers.clear()
    logging.getLogger("edge_agent").propagate = True


def test_journald_is_known_by_its_stream(tmp_path: Path) -> None:
    with (tmp_path / "x").open("w") as stream:
        here = os.fstat(stream.fileno())
        assert is_journal(stream, {"JOURNAL_STREAM": f"{here.st_dev}:{here.st_ino}"})
        assert not is_journal(stream, {"JOURNAL_STREAM": "1:2"})


def test_a_full_inbox_makes_readings_wait_and_refuses_what_is_said_again() -> None:
    inbox: Inbox[int] = Inbox(10)
    inbox.put(1, 10)
    done = threading.Event()

    def wait() -> None:
        inbox.put(2, 5)
        done.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert not done.wait(0.1)
    assert [inbox.offer(3) for _ in range(11)] == [True] * 10 + [False]
    assert inbox.refused == 1
    inbox.force(4)
    assert inbox.take(1.0) == [1, *[3] * 10, 4]
    waiting.join(5)
    assert inbox.take(1.0) == [2]
    assert inbox.take(0.0) == []


def test_status_file_of_a_running_and_a_dead_agent(tmp_path: Path) -> None:
    write_status(tmp_path, {"pid": os.getpid(), "a": 1})
    found = read_status([tmp_path / "none", tmp_path])
    assert found is not None
    assert found["a"] == 1
    child = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True, text=True)
    write_status(tmp_path, {"pid": int(child.stdout)})
    assert read_status([tmp_path]) is None
    (tmp_path / "status.json").write_text("[")
    assert read_status([tmp_path]) is None
    remove_status(tmp_path)
    remove_status(tmp_path)
    (tmp_path / "file").write_text("")
    remove_status(tmp_path / "file" / "x")


def test_the_kernels_clock_answers(tmp_path: Path) -> None:
    clock = KernelClock(tmp_path)
    assert clock.synchronised_within_ms() is None or clock.synchronised_within_ms() >= 1  # type: ignore[operator]
    assert not clock.set_by_rtc()
    (tmp_path / "rtc0").mkdir()
    (tmp_path / "rtc0" / "hctosys").write_text("1\n")
    assert clock.set_by_rtc()


def test_waits_double_with_chance_in_them() -> None:
    import random

    backoff = Backoff(random.Random(3))
    waits = [backoff.next_s() for _ in range(12)]
    longest = [min(30.0, 2.0**n) for n in range(12)]
    assert all(most / 2 <= wait <= most for wait, most in zip(waits, longest, strict=True))
    backoff.reset()
    assert backoff.next_s() <= 1.0


def test_plain_text_beyond_loopback_is_told() -> None:
    brokers = [Broker("127.0.0.1"), Broker("localhost"), Broker("::1"), Broker("10.0.0.1"), Broker("broker.example", tls=Tls())]
    assert [p.where for p in plain_text_problems(brokers)] == ["10.0.0.1:1883"]
