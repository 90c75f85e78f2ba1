"""Does I/O: `edge-agent profile list|show|new|import|test` - the device profiles this program knows, and new ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from edge_agent.cli._profile_making import add_making
from edge_agent.cli._profile_testing import add_testing
from edge_agent.cli.output import AsJson, ProfileDirs, say, say_json, show_problems, table, talk

if TYPE_CHECKING:
    from edge_agent.config.profiles import Profile

Name = Annotated[
    str, typer.Argument(metavar="MAKER/MODEL", help="The profile's name, as `profile list` prints it.", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Adds `profile`."""
    profile = typer.Typer(help="Device profiles: what each instrument model answers.", no_args_is_help=True, rich_markup_mode=None)
    profile.command("list", epilog="Example: edge-agent profile list --json")(_list)
    profile.command("show", epilog="Example: edge-agent profile show eastron/sdm630")(_show)
    add_making(profile)
    add_testing(profile)
    app.add_typer(profile, name="profile")


def _list(profiles: ProfileDirs = None, as_json: AsJson = False) -> None:
    """List every profile with its title and number of points."""
    from edge_agent.common.folders import data_folders
    from edge_agent.common.problem import Problem, ProblemError
    from edge_agent.config.profiles import profile_paths, read_profile

    problems: list[Problem] = []
    found: list[Profile] = []
    for name, path in sorted(profile_paths(data_folders("device_profiles", profiles or ())).items()):
        try:
            found.append(read_profile(name, path))
        except ProblemError as error:
            problems += error.problems
    if as_json and not problems:
        say_json("profiles/1", {"profiles": [_head(p) for p in found]})
    elif not as_json:
        rows = [
            (p.name, str(len(p.file.points)), "yes" if p.file.verified else "no", p.file.title.en, p.file.title.zh) for p in found
        ]
        say(table(("profile", "points", "verified", "title", "名称"), rows))
        talk("\nNext: edge-agent profile show MAKER/MODEL")
    if problems:
        show_problems(problems, as_json=as_json)
        raise typer.Exit(problems[0].exit)


def _show(name: Name, profiles: ProfileDirs = None, as_json: AsJson = False) -> None:
    """Show one profile: its points, where they stand and what they mean."""
    from edge_agent.common.folders import data_folders
    from edge_agent.config.profiles import load_profile
    from edge_agent.config.quantities import spoken_ms

    profile = load_profile(name, data_folders("device_profiles", profiles or ()))
    if as_json:
        say_json("profile/1", {**_head(profile), "file": profile.tree.plain()})
        return
    file = profile.file
    say(f"{profile.name}  {file.title.en} / {file.title.zh}")
    say(f"version {profile.version}, {'verified' if file.verified else 'not yet verified on a bench'}; {profile.path}")
    for source in file.source:
        say(f"source: {source}")
    for note in file.notes:
        say(f"note: {note}")
    rows = [
        (
            p.id,
            p.table,
            str(p.address),
            p.raw_type,
            p.unit,
            p.role,
            spoken_ms(p.period or file.period),
            p.name.zh if p.name else "",
        )
        for p in file.points
    ]
    say("\n" + table(("point", "table", "address", "type", "unit", "role", "period", "名称"), rows))
    if file.serial is not None:
        talk(f"\nFactory settings: {file.serial.baudrate} {file.serial.bytesize}{file.serial.parity}{file.serial.stopbits}")
    talk("\nNext: name it in the site file: `profile: " + profile.name + "`, then `edge-agent check SITE.yaml`")


def _head(profile: Profile) -> dict[str, object]:
    file = profile.file
    return {
        "name": profile.name,
        "title": {"zh": file.title.zh, "en": file.title.en},
        "version": profile.version,
        "verified": file.verified,
        "points": len(file.points),
        "path": str(profile.path),
    }
