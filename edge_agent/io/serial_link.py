"""Does I/O: a serial port by path, by its adapter's serial number, or by a pyserial URL (`rfc2217://`, `socket://`)."""

from __future__ import annotations

import errno
import termios
import time
from contextlib import suppress

import serial

from edge_agent.io.link import NO_SERIAL_PORT, PORT_IN_USE
from edge_agent.io.serial_ports import KernelPorts, PortSource
from edge_agent.model.points import Serial
from edge_agent.model.serial_ports import USB, Binding, NotBound, SerialPort
from edge_agent.protocols.session import LinkDown

_NO_SUCH_PORT = "no such port"
"""What LinkDown begins with where a path leads nowhere."""
_READ_TIMEOUT_S = 0.02
"""Fixed: changing it would set up an RFC 2217 port anew each time."""
_WRITE_TIMEOUT_S = 5.0
_FAST_BAUDRATE, _FAST_SILENCE_S = 19_200, 0.00175
_FLUSH_BYTES = 4096
_BABBLE_S = 1.0
"""A line that is never silent for longer is talked over."""


class SerialLink:
    """One port, used by this program alone. Keeps 3.5 characters of silence between frames (MODBUS over Serial Line, 2.5.1.1)."""

    def __init__(self, settings: Serial, machine: PortSource | None = None) -> None:
        """machine: where ports are looked for; None: on this machine."""
        self.connections = 0
        self.place = ""
        self.note = ""
        self._settings = settings
        self._machine = KernelPorts() if machine is None else machine
        self._binding = Binding(settings.port)
        self._port: serial.SerialBase | None = None
        self._byte_s = (1 + settings.bytesize + (settings.parity != "N") + settings.stopbits) / settings.baudrate
        self._silence_s = 3.5 * self._byte_s if settings.baudrate <= _FAST_BAUDRATE else _FAST_SILENCE_S
        self._active_at_s = 0.0
        """When the last byte came or went."""

    def open(self) -> None:
        """Finds, opens and locks the port. Raises LinkDown."""
        if self._port is not None:
            return
        name, is_url = self._settings.port, "://" in self._settings.port
        chosen = SerialPort(name) if is_url else self._chosen()
        try:
            self._port = self._made(chosen.path, is_url=is_url)
        except (OSError, ValueError, termios.error) as error:
            words = _words(error)
            if words == _NO_SUCH_PORT:
                words += f"; here are: {self._machine.ports().listed()}"
            raise LinkDown(f"{self._told(chosen)}: {words}") from error
        if not is_url and self._chosen() != chosen:  # its number went to another adapter in this very moment
            self.close()
            raise LinkDown(f"{self._told(chosen)}: plugged in anew while it was opened")
        self._binding.bound(chosen, self._machine.ports())
        self.place = str(chosen)
        self.connections += 1
        self._active_at_s = time.monotonic()

    def _chosen(self) -> SerialPort:
        try:
            return self._binding.choose(self._machine.ports(), self._machine.leads_to(self._settings.port))
        except NotBound as why:
            self.close()
            raise LinkDown(f"{self._settings.port}: {why}") from why

    def _told(self, chosen: SerialPort) -> str:
        """The name of the site file, and where it leads."""
        name = self._settings.port
        return f"{name} ({chosen.path})" if name.startswith(USB) else name

    def _made(self, path: str, *, is_url: bool) -> serial.SerialBase:
        wanted = self._settings
        return serial.serial_for_url(
            path,
            baudrate=wanted.baudrate,
            bytesize=wanted.bytesize,
            parity=wanted.parity,
            stopbits=wanted.stopbits,
            timeout=_READ_TIMEOUT_S,
            write_timeout=None if is_url else _WRITE_TIMEOUT_S,
            exclusive=None if is_url else True,
        )

    def close(self) -> None:
        """Gives the port back."""
        port, self._port = self._port, None
        if port is not None:
            with suppress(OSError, termios.error):  # an adapter that was unplugged cannot be closed properly
                port.close()

    def send(self, payload: bytes) -> None:
        """Waits for the silence, writes, and returns when the bytes have left. Raises LinkDown."""
        self.open()
        port = self._opened()
        try:
            self._await_silence(port)
            begun_s = time.monotonic()
            port.write(payload)
            port.flush()
        except (OSError, termios.error) as error:
            raise self._gone(error) from error
        self._active_at_s = max(time.monotonic(), begun_s + len(payload) * self._byte_s)

    def _await_silence(self, port: serial.SerialBase) -> None:
        """Returns when nothing has come for 3.5 characters: a late reply is heard out and thrown away. Goes on if it never ends."""
        until_s = time.monotonic() + _BABBLE_S
        while True:
            while (left_s := self._active_at_s + self._silence_s - time.monotonic()) > 0:
                time.sleep(left_s)
            if not port.in_waiting or time.monotonic() > until_s:
                return
            port.read(min(port.in_waiting, _FLUSH_BYTES))
            self._active_at_s = time.monotonic()

    def receive(self, timeout_ms: int) -> bytes:
        """What came within timeout_ms (give or take 20 ms). Raises LinkDown."""
        port = self._opened()
        until_s = time.monotonic() + timeout_ms / 1000
        try:
            while True:
                chunk: bytes = port.read(1)
                if chunk:
                    chunk += port.read(min(port.in_waiting, _FLUSH_BYTES))
                    self._active_at_s = time.monotonic()
                    return chunk
                if time.monotonic() >= until_s:
                    return b""
        except (OSError, termios.error) as error:
            raise self._gone(error) from error

    def flush(self) -> bytes:
        """Takes away what came. Raises LinkDown."""
        port = self._opened()
        try:
            taken: bytes = port.read(min(port.in_waiting, _FLUSH_BYTES))
        except (OSError, termios.error) as error:
            raise self._gone(error) from error
        if taken:
            self._active_at_s = time.monotonic()
        return taken

    def wire_ms(self, count: int) -> int:
        """At the port's speed."""
        return int(1000 * count * self._byte_s) + 1

    def _opened(self) -> serial.SerialBase:
        if self._port is None:
            raise LinkDown(f"{self._settings.port}: not open")
        return self._port

    def _gone(self, error: Exception) -> LinkDown:
        self.close()
        return LinkDown(f"{self._settings.port}: {_words(error)}")


def _words(error: Exception) -> str:
    """The cause in words: pyserial wraps it in a text of its own, with numbers and the port again."""
    cause = error.__context__ if isinstance(error, serial.SerialException) and error.__context__ is not None else error
    if isinstance(cause, FileNotFoundError):
        return _NO_SUCH_PORT
    if isinstance(cause, BlockingIOError) or getattr(cause, "errno", None) == errno.EBUSY:
        return PORT_IN_USE
    if "device disconnected" in str(cause) or getattr(cause, "errno", None) in (errno.EIO, errno.ENXIO):
        return "the adapter was unplugged"
    if isinstance(cause, termios.error):
        return NO_SERIAL_PORT if cause.args[0] == errno.ENOTTY else str(cause.args[-1])
    if isinstance(cause, OSError):
        return cause.strerror or str(cause)
    return str(cause) if isinstance(cause, ValueError) else "not in the form HOST:PORT"
