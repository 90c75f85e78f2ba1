"""Pure. What protocol sessions say to a link, and how an exchange can fail.

A session is a generator: it yields actions, is sent the bytes that a `Receive` or `Flush` got (b"" for everything else), and
returns its result. It knows no clock; windows are measured by whoever drives it (`edge_agent/bus.py`, or a test).
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeVar


@dataclass(frozen=True, slots=True)
class Send:
    """Puts bytes on the line after the silence that the line needs, and opens a window.

    The window lasts from the last byte sent for window_ms and the time that reply_bytes take on the wire.
    """

    payload: bytes
    window_ms: int
    reply_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Receive:
    """Gives what has come, at least one byte; b"" when the window is over."""

    idle_ms: int | None = None
    """The window is over too when nothing comes for so long."""
    least_ms: int = 0
    """It is not over before nothing has come for so long."""


@dataclass(frozen=True, slots=True)
class Flush:
    """Throws away what has come and was not asked for; gives it, for counting."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Leaves the line alone for this long."""

    pause_ms: int


@dataclass(frozen=True, slots=True)
class Reopen:
    """The stream can no longer be understood: ends the connection; a new one is made before the next `Send`."""


Action = Send | Receive | Flush | Pause | Reopen
Result = TypeVar("Result")
Session = Generator[Action, bytes, Result]


def after(pause_ms: int, session: Session[Result]) -> Session[Result]:
    """The session, after so long a pause."""
    if pause_ms:
        yield Pause(pause_ms)
    return (yield from session)


class Failure(Exception):
    """An exchange gave no result. Subclasses differ in what to do next; `word` is the reason that events carry."""

    word = "failure"


class Silence(Failure):
    """Nothing came. Retry, then count towards the device's silence."""

    word = "timeout"

    def __init__(self, *, is_early: bool = False) -> None:
        """is_early: the window was not waited out, because an echo looked like the end of it."""
        super().__init__("no answer")
        self.is_early = is_early


class Garbled(Failure):
    """Something came that is no answer to the request. Retry once. came: the bytes, for the field technician."""

    word = "garbled"

    def __init__(self, came: bytes) -> None:
        super().__init__(f"no acceptable answer in {came.hex(' ').upper()}")
        self.came = came


class TwoAnswers(Garbled):
    """Two different answers came to one question, now or lately: two devices with one address. Nobody knows whose value it is."""

    word = "two-answers"


class Refused(Failure):
    """The device answered with an exception. Split the block or set the point aside for codes 1-3."""

    word = "exception"

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code}")
        self.code = code


class LinkDown(Failure):
    """The port or connection is gone. Reopen with back-off."""

    word = "link"
