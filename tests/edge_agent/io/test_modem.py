"""The modem's AT port, played by the other end of a pty."""

from __future__ import annotations

import os
import threading
import tty
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from edge_agent.io.modem import MODEMMANAGER, AtModem, ModemManager, modem_of

UTC_MS = 1_795_629_600_500
"""2026-11-25 18:00:00."""


@contextmanager
def at_port(answers: Mapping[bytes, bytes]) -> Iterator[str]:
    """A modem that echoes and answers; unknown commands are errors, those answered by nothing stay unanswered."""
    near, far = os.openpty()
    tty.setraw(far)
    over = threading.Event()

    def answer() -> None:
        heard = b""
        while not over.is_set():
            try:
                heard += os.read(near, 100)
            except OSError:
                return
            while b"\r" in heard:
                command, _, heard = heard.partition(b"\r")
                os.write(near, command + b"\r" + answers.get(command, b"\r\nERROR\r\n"))

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    try:
        yield os.ttyname(far)
    finally:
        over.set()
        os.write(far, b"\r")
        thread.join(5)
        os.close(near)
        os.close(far)


def test_a_quectel_modem_is_asked_by_qlts() -> None:
    with at_port({b"AT+QLTS=1": b'\r\n+QLTS: "2026/11/25,18:00:00+32,0"\r\n\r\nOK\r\n'}) as port:
        assert AtModem(port).ask() == UTC_MS


def test_any_other_by_cclk() -> None:
    with at_port({b"AT+CCLK?": b'\r\n+CCLK: "26/11/26,02:00:00+32"\r\n\r\nOK\r\n'}) as port:
        modem = AtModem(port)
        assert modem.ask() == UTC_MS
        assert modem.ask() == UTC_MS


def test_a_modem_that_was_never_told_the_time_gives_none() -> None:
    with at_port({b"AT+QLTS=1": b'\r\n+QLTS: ""\r\n\r\nOK\r\n'}) as port:
        assert AtModem(port).ask() is None


def test_a_port_that_is_not_there_gives_none(tmp_path: Path) -> None:
    assert AtModem(str(tmp_path / "ttyUSB2")).ask() is None


def test_modemmanager(tmp_path: Path) -> None:
    program = tmp_path / "mmcli"
    program.write_text("#!/bin/sh\necho '  Time | current: 2026-11-26T02:00:00+08'\n")
    program.chmod(0o755)
    assert ModemManager((str(program), "-m", "any", "--time")).ask() == UTC_MS
    assert ModemManager(("false",)).ask() is None
    assert ModemManager((str(tmp_path / "none"),)).ask() is None


def test_what_the_site_file_names() -> None:
    assert modem_of("") is None
    assert isinstance(modem_of(MODEMMANAGER), ModemManager)
    assert isinstance(modem_of("/dev/ttyUSB2"), AtModem)
