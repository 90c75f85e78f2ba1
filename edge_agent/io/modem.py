"""Does I/O: asks a cellular modem for the network's time: on its AT port, or through ModemManager's `mmcli`."""

from __future__ import annotations

import logging
import time
from typing import Protocol

from edge_agent.delivery.network_time import MAX_TEXT, time_of_cclk, time_of_mmcli, time_of_qlts
from edge_agent.io.logs import logger, say

MODEMMANAGER = "modemmanager"
ANSWER_S = 3.0
_MMCLI = ("mmcli", "-m", "any", "--time")


class NetworkClock(Protocol):
    """A modem that may know the time."""

    def ask(self) -> int | None:
        """UTC, ms; None where it is not known."""
        ...


def modem_of(setting: str) -> NetworkClock | None:
    """What the site file's `clock: {modem: ...}` means; None where it is empty."""
    if not setting:
        return None
    return ModemManager() if setting == MODEMMANAGER else AtModem(setting)


class AtModem:
    """A modem's AT port. Opened for each question, so that a modem that was plugged in anew is found again."""

    def __init__(self, port: str) -> None:
        self._port = port
        self._trouble = ""
        self._log = logger("clock")

    def ask(self) -> int | None:
        """As AT+QLTS=1 answers, else as AT+CCLK? does."""
        import serial

        try:
            with serial.Serial(self._port, 115_200, timeout=0.2, write_timeout=1, exclusive=True) as door:
                door.reset_input_buffer()
                found = time_of_qlts(_exchange(door, b"AT+QLTS=1\r"))
                if found is None:
                    found = time_of_cclk(_exchange(door, b"AT+CCLK?\r"))
        except (OSError, ValueError) as error:
            self._tell(str(error))
            return None
        self._tell("")
        return found

    def _tell(self, trouble: str) -> None:
        if trouble and not self._trouble:
            say(self._log, logging.WARNING, "clock.modem", f"the modem cannot be asked for the time: {trouble}")
        self._trouble = trouble


class Door(Protocol):
    """What an exchange needs of a port."""

    def write(self, data: bytes) -> int | None:
        """Sends."""
        ...

    def read(self, size: int) -> bytes:
        """Up to size bytes, after a short wait perhaps none."""
        ...


def _exchange(door: Door, command: bytes) -> str:
    """The answer up to its OK or ERROR; what came by then where neither comes in time."""
    door.write(command)
    answer, until_s = b"", time.monotonic() + ANSWER_S
    while time.monotonic() < until_s and len(answer) < MAX_TEXT:
        answer += door.read(256)
        if b"\r\nOK\r\n" in answer or b"ERROR" in answer:
            break
    return answer.decode("ascii", "replace")


class ModemManager:
    """`mmcli -m any --time`; its modem must be registered."""

    def __init__(self, command: tuple[str, ...] = _MMCLI) -> None:
        self._command = command
        self._log = logger("clock")
        self._is_told = False

    def ask(self) -> int | None:
        """As ModemManager says."""
        import subprocess

        try:
            done = subprocess.run(self._command, capture_output=True, timeout=ANSWER_S, check=False, stdin=subprocess.DEVNULL)
        except (OSError, subprocess.TimeoutExpired) as error:
            if not self._is_told:
                self._is_told = True
                say(self._log, logging.WARNING, "clock.modem", f"ModemManager cannot be asked for the time: {error}")
            return None
        return time_of_mmcli(done.stdout.decode("utf-8", "replace")) if done.returncode == 0 else None
