"""Does I/O: `edge-agent read` - every point of a site or of one device, once or again and again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from edge_agent.cli.output import AsJson, ProfileDirs, SiteFile, say, say_json, show_problems, table, talk
from edge_agent.common.clock import Clock, SystemClock
from edge_agent.common.problem import Exit, Problem, ProblemError
from edge_agent.contract.message import Value

if TYPE_CHECKING:
    from edge_agent.bus_visit import Visit
    from edge_agent.model.points import Point, Site
    from edge_agent.model.reading import Reading


def register(app: typer.Typer) -> None:
    """Adds `read`."""

    @app.command(epilog="Example: edge-agent read site.yaml pump-1 --watch 2")
    def read(
        site: SiteFile,
        device: Annotated[str, typer.Argument(metavar="[DEVICE]", help="One device; all without it.")] = "",
        watch: Annotated[
            float | None, typer.Option(metavar="SECONDS", min=0.1, help="Read again at this interval until Ctrl-C.")
        ] = None,
        profiles: ProfileDirs = None,
        as_json: AsJson = False,
    ) -> int:
        """Read every point now and show value, unit and quality. Do not run it on a bus that the agent is using."""
        from edge_agent.config.load import load_site

        loaded = load_site(site, profiles).site
        _check_device(loaded, device)
        clock = SystemClock()
        while True:
            visit = _visit(loaded, device, clock)
            _show(visit, clock, as_json=as_json)
            if watch is None:
                break
            time.sleep(watch)
        if not as_json and not visit.problems:
            talk(f"\nNext: edge-agent run {site}")
        return Exit.PROBLEMS if visit.problems else Exit.FINE


def _check_device(site: Site, device: str) -> None:
    known = [d.id for bus in site.buses for d in bus.devices]
    if device and device not in known:
        do = f"name one of {', '.join(known)}."
        raise ProblemError(Problem("USE010", "edge-agent read", f'The site has no device "{device}".', do))


def _visit(site: Site, device: str, clock: Clock) -> Visit:
    """All buses that have something to read, one after the other."""
    from edge_agent.bus_visit import Visit, read_once

    found = Visit()
    for bus in site.buses:
        wanted = [d.id for d in bus.devices if device in ("", d.id)]
        if not wanted:
            continue
        try:
            part = read_once(bus, wanted, clock)
        except ProblemError as error:
            found.problems += error.problems
            continue
        found.readings += part.readings
        found.problems += part.problems
    return found


def _show(visit: Visit, clock: Clock, *, as_json: bool) -> None:
    if as_json:
        taken = [_as_dict(point, reading, clock) for point, reading in visit.readings]
        say_json("read/1", {"readings": taken, "problems": [problem.as_dict() for problem in visit.problems]})
        return
    if visit.readings:
        rows = [(p.device, p.id, spoken(p, r.value), p.unit, str(r.quality), p.role) for p, r in visit.readings]
        say(table(("device", "point", "value", "unit", "quality", "role"), rows))
    show_problems(visit.problems, as_json=False)


def _as_dict(point: Point, reading: Reading, clock: Clock) -> dict[str, object]:
    age_ms = clock.monotonic_ms() - reading.taken_ms
    return {
        "device": point.device,
        "point": point.id,
        "value": reading.value,
        "unit": point.unit,
        "quality": str(reading.quality),
        "role": point.role,
        "taken_at_ms": clock.utc_ms() - age_ms,
    }


def spoken(point: Point, value: Value) -> str:
    """A value for people: numbers with the point's decimals, codes with their text."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = f"{value:.{point.decimals}f}" if isinstance(value, float) and point.decimals is not None else str(value)
    meaning = point.texts.get(text)
    return f"{text} {meaning.en}" if meaning is not None else text
