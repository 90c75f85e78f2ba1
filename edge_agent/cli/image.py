"""Does I/O: `edge-agent image render` - boot configuration, udev rules and units for one gateway, as files in a folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli.output import AsJson, ProfileDirs, say, say_json, talk
from edge_agent.common.folders import data_folder
from edge_agent.common.problem import Problem, ProblemError
from edge_agent.config.firmware_file import Adapter, Board, Hat, load_piece
from edge_agent.config.image import BoundAdapter, Wanted, render
from edge_agent.config.load import load_site

_ADAPTER = re.compile(r"(?P<bus>[a-z0-9][a-z0-9-]{0,31})=(?P<chip>[a-z0-9-]{1,32}):(?P<key>[A-Za-z0-9.:_-]{1,64})")
_CHOICE = re.compile(r"(?P<name>[a-z0-9-]{1,32})=(?P<value>[A-Za-z0-9._-]{1,32})")

app = typer.Typer(help="What a gateway's image needs.", no_args_is_help=True)


def register(root: typer.Typer) -> None:
    """Adds `image`."""
    root.add_typer(app, name="image")


@app.callback()
def _image() -> None:
    """What a gateway's boot partition and systemd need."""


@app.command(
    "render",
    epilog="Example: edge-agent image render --board raspberry-pi-4 --hat waveshare-rs485-can --site site.yaml --out image/",
)
def render_command(
    board: Annotated[str, typer.Option(help="Board, a file of firmware_configs/boards.")],
    site: Annotated[Path, typer.Option(help="The site file: its serial buses must fit board, HAT and adapters.")],
    out: Annotated[Path, typer.Option(help="Folder to write to; made if it is not there.")],
    hat: Annotated[str, typer.Option(help="RS-485 HAT, a file of firmware_configs/hats.")] = "",
    adapter: Annotated[
        list[str] | None, typer.Option(metavar="BUS=CHIP:KEY", help="USB adapter of a bus by serial number or path; several times.")
    ] = None,
    choice: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="What differs between units of the HAT.")] = None,
    cmdline: Annotated[Path | None, typer.Option(help="The gateway's present cmdline.txt; its new form is written.")] = None,
    console: Annotated[str, typer.Option(help="Serial console to keep, e.g. serial0; refused on a bus's UART.")] = "none",
    firmware_configs: Annotated[Path | None, typer.Option(help="Folder of boards, HATs and adapters.")] = None,
    profiles: ProfileDirs = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the files, write nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write config.txt lines, cmdline.txt, udev rules, units and the steps to take for one gateway."""
    folder = data_folder("firmware_configs", firmware_configs)
    wanted = Wanted(
        board=load_piece(folder, Board, board),
        site=load_site(site, profiles).site,
        hat=load_piece(folder, Hat, hat) if hat else None,
        choices=dict(_choice(text) for text in choice or []),
        adapters=tuple(_bound(folder, text) for text in adapter or []),
        cmdline=_read(cmdline) if cmdline else None,
        console=console,
    )
    units = data_folder("systemd")
    files = render(wanted, {str(p.relative_to(units)): p.read_text(encoding="utf-8") for p in units.rglob("*") if p.is_file()})
    if not dry_run:
        _write(out, files)
    if as_json:
        say_json("image/1", {"out": str(out), "written": not dry_run, "files": files})
        return
    for path, content in files.items():
        say(f"--- {path}\n{content}" if dry_run else str(out / path))
    talk("Next: follow STEPS.txt on the gateway." if not dry_run else "Nothing was written (--dry-run).")


def _parsed(pattern: re.Pattern[str], option: str, text: str) -> re.Match[str]:
    match = pattern.fullmatch(text)
    if match is None:
        form = "BUS=CHIP:KEY, e.g. rs485-1=ftdi-ft232r:A50285BI" if option == "--adapter" else "NAME=VALUE, e.g. crystal=8000000"
        raise ProblemError(Problem("USE002", option, f"{text!r} is not understood.", f"write {form}."))
    return match


def _choice(text: str) -> tuple[str, str]:
    match = _parsed(_CHOICE, "--choice", text)
    return match["name"], match["value"]


def _bound(folder: Path, text: str) -> BoundAdapter:
    bus, chip, key = _parsed(_ADAPTER, "--adapter", text).group("bus", "chip", "key")
    return BoundAdapter(bus, load_piece(folder, Adapter, chip), key)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProblemError(Problem("CFG001", str(path), f"The file cannot be read: {error}.", "check the path.")) from error


def _write(out: Path, files: dict[str, str]) -> None:
    try:
        for path, content in files.items():
            target = out / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content, encoding="utf-8")
    except OSError as error:
        do = "choose a folder that this user may write to."
        raise ProblemError(Problem("CFG108", str(out), f"The files cannot be written: {error}.", do)) from error
