"""Files of firmware_configs/: boards, HATs and adapters as data (docs/firmware.md). pydantic models, no I/O beyond loading.

A new board, HAT or adapter is one new file; the format carries several UARTs, choices on a HAT, pins and the watchdog.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from edge_agent.common.located_yaml import load_yaml, validate
from edge_agent.common.problem import Problem, ProblemError

Line = Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,200}$")]
"""One line of config.txt, or one word of a unit or device name: printable, no blanks."""
Node = Annotated[str, Field(pattern=r"^/dev/[A-Za-z0-9/_-]{1,60}$")]
Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
Hex4 = Annotated[str, Field(pattern=r"^[0-9a-f]{4}$")]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=lambda name: name.replace("_", "-"))


class Title(_File):
    """A name in both languages."""

    zh: str
    en: str


class Shipped(_File):
    """What a UART is before its `config` lines are written."""

    node: Node
    lacks: list[Literal["parity", "break"]] = []


class Uart(_File):
    """One UART of a board as it is after its `config` lines."""

    id: Id
    node: Node
    pins: list[int]
    config: list[Line] = []
    disable: list[Line] = []
    consoles: list[Line] = []
    """Names under which the kernel's command line puts a console on it."""
    getty: str = ""
    shipped: Shipped | None = None


class Boot(_File):
    """Where the boot partition is mounted."""

    path: str
    before_bookworm: str = "/boot"


class Watchdog(_File):
    """The board's hardware watchdog."""

    driver: str
    longest_s: int
    config: list[Line] = []
    runtime_s: int
    reboot_s: int


class _Device(_File):
    firmware: Literal[1]
    id: Id
    title: Title
    source: list[str] = Field(min_length=1)


class Board(_Device):
    """One board."""

    kind: Literal["board"]
    boot: Boot
    uarts: list[Uart]
    watchdog: Watchdog | None = None


class Port(_File):
    """One serial port that a HAT gives: on a UART of the board, or with a node of its own."""

    id: Id
    uart: Id | None = None
    node: Node | None = None
    direction: Literal["automatic", "rts", "gpio"] = "automatic"


class Choice(_File):
    """Something that differs between units of one HAT and must be looked up on it."""

    id: Id
    default: str
    values: list[str]
    config: list[Line]


class Hat(_Device):
    """One HAT."""

    kind: Literal["hat"]
    boards: list[Id]
    config: list[Line] = []
    pins: dict[int, str] = {}
    ports: list[Port]
    choices: list[Choice] = []


class Usb(_File):
    """What an adapter tells of itself."""

    vendor: Hex4
    product: Hex4
    driver: str


class Adapter(_Device):
    """One USB serial adapter."""

    kind: Literal["adapter"]
    usb: Usb
    bind_by: Literal["serial", "path"]


Piece = TypeVar("Piece", Board, Hat, Adapter)


def load_piece(folder: Path, kind: type[Piece], name: str) -> Piece:
    """The board, HAT or adapter of that name. Raises ProblemError: CFG104 unknown, CFG0xx where the file is wrong."""
    shelf = folder / f"{kind.__name__.lower()}s"
    path = shelf / f"{name}.yaml"
    if not path.is_file() or path.parent != shelf:
        known = sorted(file.stem for file in shelf.glob("*.yaml"))
        what = f"There is no {kind.__name__.lower()} {name!r}."
        do = f"choose one of: {', '.join(known)}; what is made for another board may not boot."
        raise ProblemError(Problem("CFG104", str(shelf), what, do))
    return validate(load_yaml(path), kind)
