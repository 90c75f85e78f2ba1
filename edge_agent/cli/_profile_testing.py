"""Does I/O: `edge-agent profile test` - is a profile right? By its transcript, or by the instrument itself."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_agent.cli.output import AsJson, ProfileDirs, say, say_json, show_problems, table, talk
from edge_agent.cli.read import spoken
from edge_agent.common.problem import Exit, Problem, ProblemError

if TYPE_CHECKING:
    from edge_agent.config.profiles import Profile
    from edge_agent.contract.message import Value
    from edge_agent.model.points import Bus, Point


def add_testing(profile: typer.Typer) -> None:
    """Adds `test` to `profile`."""
    profile.command("test", epilog="Example: edge-agent profile test acme/th10 --port /dev/ttyUSB0 --unit 1 --record th10.txt")(
        _test
    )


def _test(
    name: Annotated[
        str, typer.Argument(metavar="MAKER/MODEL|FILE.yaml", help="The profile's name, or its file.", show_default=False)
    ],
    transcript: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its transcript. Default: the file MODEL.txt beside the profile.")
    ] = None,
    port: Annotated[str, typer.Option(help="Read an instrument on this serial port or pyserial URL.")] = "",
    tcp: Annotated[str, typer.Option(metavar="HOST[:PORT]", help="Read an instrument on the network.")] = "",
    rtu: Annotated[bool, typer.Option("--rtu-over-tcp", help="RTU frames on the TCP connection.")] = False,
    baud: Annotated[int | None, typer.Option(min=300, max=4_000_000, help="Speed of the line. Default: the profile's.")] = None,
    parity: Annotated[str, typer.Option(metavar="N|E|O", help="Parity. Default: the profile's.")] = "",
    unit: Annotated[int | None, typer.Option(min=0, max=255, help="Unit address. Default: the profile's, or 1.")] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option(metavar="ID=NUMBER", help="A parameter that the profile asks for, e.g. ct=20. May be repeated."),
    ] = None,
    record: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the exchange with the instrument as a transcript.")
    ] = None,
    profiles: ProfileDirs = None,
    as_json: AsJson = False,
) -> int:
    """Check a profile: the file itself, and its transcript or - with --port or --tcp - an instrument on the bench.

    Reads every point once and shows what it means; nothing is written to the instrument but the profile's own steps.
    """
    profile, folders = _profile(name, profiles or ())
    if record is not None and not (port or tcp):
        raise ProblemError(Problem("USE022", "--record", "There is no instrument to record.", "add --port or --tcp."))
    given = _parameters(parameter or ())
    if port or tcp:
        link = _link(port, tcp, baud, parity, profile, over_tcp="rtu-over-tcp" if rtu else "tcp")
        return _live(profile, _bench(profile, folders, link, unit, given), record, given, as_json=as_json)
    return _offline(profile, folders, transcript, given, as_json=as_json)


def _parameters(said: Sequence[str]) -> dict[str, float]:
    """The values of `--parameter`. Raises ProblemError USE024."""
    found = {}
    for text in said:
        name, _, value = text.partition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            what = f"{text!r} is no parameter."
            raise ProblemError(Problem("USE024", "--parameter", what, "write ID=NUMBER, e.g. ct=20.")) from None
    return found


def _profile(name: str, folders: Sequence[Path]) -> tuple[Profile, list[Path]]:
    """The profile by name or file, and the folders to look for it in."""
    from edge_agent.common.folders import data_folders
    from edge_agent.config.profiles import load_profile

    path = Path(name)
    own = [path.resolve().parent.parent] if path.suffix in (".yaml", ".yml") else []
    given = [*own, *folders]
    found = load_profile(f"{path.resolve().parent.name}/{path.stem}" if own else name, data_folders("device_profiles", given))
    return found, given


def _offline(
    profile: Profile, folders: Sequence[Path], given: Path | None, parameters: Mapping[str, float], *, as_json: bool
) -> int:
    from edge_agent.config.proof import proof
    from edge_agent.config.transcript import read_transcript

    path = given if given is not None else profile.path.with_suffix(".txt")
    if given is None and not path.exists():
        device = _bench(profile, folders, "serial: {port: /dev/null}", None, parameters).devices[0]
        if as_json:
            say_json(
                "profile-test/1", {"name": profile.name, "values": [], "unproved": [p.id for p in device.points], "problems": []}
            )
            return Exit.FINE
        say(f"{profile.name}: the file is right; {_points(len(device.points))}, none proved by a transcript.")
        talk(f"\nNext: edge-agent profile test {profile.name} --port /dev/ttyUSB0 --record {path}")
        return Exit.FINE
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProblemError(Problem("PRF601", str(path), f"The transcript cannot be read: {error}.", "check the path.")) from error
    told = read_transcript(text, str(path))
    link = "tcp: {host: 127.0.0.1}" if told.framing == "tcp" else "serial: {port: /dev/null}"
    device = _bench(profile, folders, link, told.unit, {**told.parameters, **parameters}).devices[0]
    outcome = proof(told, device)
    lacking = [f"{id}" for id in outcome.unproved]
    problems = list(outcome.problems)
    _show(profile.name, outcome.values, problems, lacking, as_json=as_json)
    return Exit.PROBLEMS if problems else Exit.FINE


def _live(profile: Profile, bus: Bus, record: Path | None, given: Mapping[str, float], *, as_json: bool) -> int:
    from edge_agent.bus_visit import read_once
    from edge_agent.common.clock import SystemClock
    from edge_agent.config.transcript import recorded
    from edge_agent.io.link import open_link
    from edge_agent.io.tap import Tap

    tap = Tap(open_link(bus))
    visit = read_once(bus, None, SystemClock(), tap)
    values = tuple((point, reading.value, str(reading.quality)) for point, reading in visit.readings)
    if record is not None:
        head = (
            f"# profile: {profile.name}\n# framing: {bus.framing}\n"
            "# source: recorded from an instrument; compare the values with its display\n"
        )
        if given:
            head += f"# parameters: {' '.join(f'{name}={value:g}' for name, value in given.items())}\n"
        shown = [v for v in values if v[2] != "bad:comm"]
        try:
            record.write_text(f"{head}\n{recorded(tap.frames, shown, bus.devices[0], bus.framing)}", encoding="utf-8")
        except OSError as error:
            do = "name a file in a folder that this user may write to."
            raise ProblemError(Problem("PRF605", str(record), f"It cannot be written: {error.strerror}.", do)) from error
    _show(profile.name, values, visit.problems, [], as_json=as_json)
    if not as_json:
        if record is not None:
            talk(f"Recorded in {record}. Compare each value with the display before you keep it as proof.")
        talk("\nNext: compare two values with the instrument's display, then name the profile in the site file.")
    return Exit.PROBLEMS if visit.problems else Exit.FINE


def _show(
    name: str, values: Sequence[tuple[Point, Value, str]], problems: Sequence[Problem], lacking: Sequence[str], *, as_json: bool
) -> None:
    if as_json:
        made = [{"point": p.id, "value": v, "unit": p.unit, "quality": quality} for p, v, quality in values]
        told = {"name": name, "values": made, "unproved": list(lacking), "problems": [p.as_dict() for p in problems]}
        say_json("profile-test/1", told)
        return
    rows = [(p.id, spoken(p, v), p.unit, quality, p.role, p.name.zh if p.name else "") for p, v, quality in values]
    if rows:
        say(table(("point", "value", "unit", "quality", "role", "名称"), rows))
    show_problems(problems, as_json=False)
    if lacking:
        talk(f"Not in the transcript: {', '.join(lacking)}")
    if not problems:
        talk(
            f"\n{name}: {_points(len(rows))} as expected."
            if not lacking
            else f"\n{name}: {_points(len(rows))} as expected, {len(lacking)} not shown."
        )


def _points(count: int) -> str:
    return f"{count} point{'' if count == 1 else 's'}"


def _link(port: str, tcp: str, baud: int | None, parity: str, profile: Profile, *, over_tcp: str) -> str:
    """The bus of a bench, as a site file says it."""
    if port and tcp:
        raise ProblemError(
            Problem("USE012", "edge-agent profile test", "There are two places to read from.", "give --port or --tcp.")
        )
    if tcp:
        host, colon, number = tcp.rpartition(":")
        place = {"host": host.strip("[]"), "port": int(number)} if colon and number.isdecimal() else {"host": tcp.strip("[]")}
        return f"tcp: {json.dumps(place)}\n    framing: {over_tcp}"
    factory = profile.file.serial
    settings = {
        "url" if "://" in port else "port": port,
        "baudrate": baud or (factory.baudrate if factory is not None else 9600),
        "parity": parity.upper() or (factory.parity if factory is not None else "N"),
        "stopbits": factory.stopbits if factory is not None else 1,
    }
    return f"serial: {json.dumps(settings)}"


def _bench(profile: Profile, folders: Sequence[Path], link: str, unit: int | None, parameters: Mapping[str, float]) -> Bus:
    """A site of one device with every point of the profile, loaded as any site is. Raises ProblemError USE025, and its own."""
    from edge_agent.config.load import load_site

    lacking = [p.id for p in profile.file.parameters if p.default is None and not p.optional and p.when is None]
    if lacking := [name for name in lacking if name not in parameters]:
        do = f"add {' '.join(f'--parameter {name}=NUMBER' for name in lacking)}, as it is set on the instrument."
        raise ProblemError(Problem("USE025", "edge-agent profile test", f"The profile asks for `{'`, `'.join(lacking)}`.", do))

    factory = profile.file.serial
    address = unit if unit is not None else (factory.unit if factory is not None and factory.unit else 1)
    points = ", ".join(f"{{id: {point.id}, enabled: true}}" for point in profile.file.points if not point.when)
    said = json.dumps(dict(parameters))
    text = (
        "site: bench\ngateway: bench\nmqtt: {brokers: [{host: 127.0.0.1}]}\n"
        f"buses:\n  - id: bench\n    {link}\n    "
        f"devices: [{{id: device, profile: {profile.name}, unit: {address}, parameters: {said}, points: [{points}]}}]\n"
    )
    with tempfile.TemporaryDirectory(prefix="edge-agent-") as folder:
        path = Path(folder) / "bench.yaml"
        path.write_text(text, encoding="utf-8")
        try:
            return load_site(path, list(folders) or None).site.buses[0]
        except ProblemError as error:
            raise ProblemError([_on_the_bench(problem, path, profile) for problem in error.problems]) from error


def _on_the_bench(problem: Problem, bench: Path, profile: Profile) -> Problem:
    """What is wrong with the device of the bench came from the command line: its file is none that anybody knows."""
    if not problem.where.startswith(str(bench)):
        return problem
    return replace(problem, where="--parameter" if problem.code == "CFG036" else f'profile "{profile.name}"')
