"""Does I/O: `edge-agent profile new|import|schema` - a profile to fill in, one made from a printed register table, its schema."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Annotated, Literal, cast

import typer

from edge_agent.cli.output import AsJson, say, say_json, show_problems, talk
from edge_agent.common.problem import Problem, ProblemError

_HOME = Path("/etc/edge-agent/device_profiles")
_ENCODINGS = ("utf-8-sig", "gb18030")
_COUNTING = ("auto", "0", "1", "modicon")
_TABLES = ("holding", "input", "coil", "discrete")
_ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")

Name = Annotated[str, typer.Argument(metavar="MAKER/MODEL", help="The new profile's name, e.g. acme/th10.", show_default=False)]
Folder = Annotated[Path, typer.Option("--to", metavar="FOLDER", help="Folder of profiles to write into.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a profile of this name in that folder.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the profile, write nothing.")]
TitleZh = Annotated[str, typer.Option("--title-zh", help="What it is, in Chinese, e.g. 温湿度变送器.")]
TitleEn = Annotated[str, typer.Option("--title-en", help="What it is, in English.")]


def add_making(profile: typer.Typer) -> None:
    """Adds `new`, `import` and `schema` to `profile`."""
    profile.command("new", epilog="Example: edge-agent profile new acme/th10 --title-zh 温湿度变送器")(_new)
    profile.command("import", epilog="Example: edge-agent profile import th10.csv acme/th10 --count-from 1")(_import)
    profile.command("schema", epilog="Example: edge-agent profile schema > profile.schema.json")(_schema)


def _new(
    name: Name,
    title_zh: TitleZh = "",
    title_en: TitleEn = "",
    to: Folder = _HOME,
    force: Force = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Write a profile to fill in: every line that is needed, with one point as an example."""
    from edge_agent.config.starter import starter_text

    _check_name(name)
    text = starter_text(name, title_zh=title_zh or name, title_en=title_en or name)
    _finish(name, text, to, points=1, force=force, dry_run=dry_run, as_json=as_json)


def _import(
    table_file: Annotated[
        Path,
        typer.Argument(metavar="TABLE.csv", help="Columns name, address, type, scale, unit ... in any order.", show_default=False),
    ],
    name: Name,
    count_from: Annotated[
        str,
        typer.Option(
            metavar="|".join(_COUNTING),
            help="What the table's addresses are: wire addresses (0), register numbers from 1, numbers such as 40001 (modicon); "
            "auto: modicon if all look so, else 0.",
        ),
    ] = "auto",
    table: Annotated[str, typer.Option(metavar="|".join(_TABLES), help="Table of rows that do not say theirs.")] = "holding",
    order: Annotated[str, typer.Option(metavar="|".join(_ORDERS), help="Order of bytes of rows that do not say theirs.")] = "ABCD",
    title_zh: TitleZh = "",
    title_en: TitleEn = "",
    to: Folder = _HOME,
    force: Force = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Make a profile from a register table: CSV with a line of column names, in Chinese or English, then a row per register."""
    from edge_agent.config.register_cells import cells_of
    from edge_agent.config.register_table import Counting, overlaps, profile_text, rows_of
    from edge_agent.model.points import Table, WordOrder

    _check_name(name)
    _choice("--count-from", count_from, _COUNTING)
    _choice("--table", table, _TABLES)
    _choice("--order", order, _ORDERS)
    cells = cells_of(_text_of(table_file), str(table_file))
    rows = rows_of(
        cells,
        str(table_file),
        counting=cast("Counting", count_from),
        table=cast("Table", table),
        order=cast("WordOrder", order),
    )
    source = f"register table {table_file.name}"
    text = profile_text(name, rows, title_zh=title_zh or name, title_en=title_en or name, source=source)
    _finish(name, text, to, points=len(rows), force=force, dry_run=dry_run, as_json=as_json)
    if not as_json:
        first = rows[0]
        talk(
            f"The first row became {first.table} {first.address} ({first.address:#06x}), {first.type}: compare it with the manual."
        )
        if cells.unused:
            talk(f"Columns that nothing was taken from: {', '.join(cells.unused)}. A factor stands under `scale` (倍率).")
        if cells.left_out:
            talk(f"Left out, with one word alone: line {', '.join(map(str, cells.left_out))}.")
        show_problems(overlaps(rows, str(table_file)), as_json=False)


def _schema() -> None:
    """Print the JSON Schema of profiles: with it an editor completes keys, units and roles, and marks mistakes."""
    from edge_agent.config.schema_files import carried_schema

    say(carried_schema("profile").rstrip("\n"))


def _check_name(name: str) -> None:
    from edge_agent.config.profiles import is_profile_name

    if not is_profile_name(name):
        do = "write MAKER/MODEL in small letters, digits and hyphens, e.g. acme/th10."
        raise ProblemError(Problem("USE020", "edge-agent profile", f"{name!r} is no name of a profile.", do))


def _choice(option: str, said: str, known: tuple[str, ...]) -> None:
    if said not in known:
        raise ProblemError(Problem("USE021", option, f"{said!r} is none of its values.", f"write one of {', '.join(known)}."))


def _text_of(path: Path) -> str:
    """The table as text: UTF-8, or as Chinese spreadsheets save it."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ProblemError(
            Problem("CFG060", str(path), f"The table cannot be read: {error.strerror}.", "check the path.")
        ) from error
    if content[:2] in (b"\xff\xfe", b"\xfe\xff") and len(content) <= 1 << 20:
        try:
            return content.decode("utf-16")
        except UnicodeDecodeError:
            pass
    if len(content) > 1 << 20 or content[:2] == b"PK" or b"\x00" in content:
        do = "save it as CSV (UTF-8) in the spreadsheet program, at most 1 MiB."
        raise ProblemError(Problem("CFG060", str(path), "This is no CSV file.", do))
    for encoding in _ENCODINGS:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ProblemError(Problem("CFG060", str(path), "The table is neither UTF-8 nor GB18030.", "save it as CSV (UTF-8)."))


def _finish(name: str, text: str, to: Path, *, points: int, force: bool, dry_run: bool, as_json: bool) -> None:
    """Checks the profile as the agent would, then writes it."""
    from edge_agent.config.schema_files import schema_comment

    path = to / f"{name}.yaml"
    text = f"{schema_comment('profile', 1)}\n{text}"
    if not dry_run:
        _write(name, text, path, force=force)
    else:
        _checked(name, text)
    if as_json:
        say_json("profile-made/1", {"name": name, "points": points, "path": None if dry_run else str(path), "text": text})
        return
    if dry_run:
        say(text.rstrip("\n"))
        return
    say(f"{path}: {points} point{'' if points == 1 else 's'}")
    option = "" if to == _HOME else f" --profiles {to}"
    talk(f"\nNext: edit it, then `edge-agent profile test {name}{option}`")


def _checked(name: str, text: str) -> None:
    from edge_agent.config.profiles import read_profile

    with tempfile.TemporaryDirectory(prefix="edge-agent-") as folder:
        path = Path(folder) / f"{name.rpartition('/')[2]}.yaml"
        path.write_text(text, encoding="utf-8")
        read_profile(name, path)


def _write(name: str, text: str, path: Path, *, force: bool) -> None:
    from edge_agent.config.schema_files import put_schema

    _checked(name, text)
    how: Literal["w", "x"] = "w" if force else "x"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open(how, encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        put_schema("profile", path.parent.parent)
    except FileExistsError as error:
        do = "choose another name, or replace it with --force."
        raise ProblemError(Problem("CFG062", str(path), "There is a profile of this name already.", do)) from error
    except OSError as error:
        do = "run it with sudo, or name a folder of yours with --to FOLDER and give that to other commands with --profiles FOLDER."
        raise ProblemError(Problem("CFG063", str(path), f"The profile cannot be written: {error.strerror}.", do)) from error
