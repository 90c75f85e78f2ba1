"""Does I/O: `edge-agent read` - every point of a site or of one device, once or again and again."""

from __future__ import annotations

import json
import sys
import time
from contextlib import ExitStack
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from edge_agent.cli.beside_agent import with_agent
from edge_agent.cli.output import AsJson, ProfileDirs, SiteFile, say, say_json, show_problems, table, talk
from edge_agent.common.clock import Clock, SystemClock
from edge_agent.common.problem import Exit, Problem, ProblemError
from edge_agent.common.terminal import wants_colour
from edge_agent.contract.message import Value

if TYPE_CHECKING:
    from edge_agent.bus_visit import Visit
    from edge_agent.model.points import Bus, Device, Point, Site
    from edge_agent.model.reading import Reading


def register(app: typer.Typer) -> None:
    """Adds `read`."""

    @app.command(epilog="Example: edge-agent read site.yaml pump-1 --watch")
    def read(
        site: SiteFile,
        device: Annotated[str, typer.Argument(metavar="[DEVICE]", help="One device; all without it.")] = "",
        watch: Annotated[bool, typer.Option("--watch", help="Read again and again until Ctrl-C.")] = False,
        every: Annotated[float, typer.Option(metavar="SECONDS", min=0.1, help="With --watch: how often.")] = 2.0,
        profiles: ProfileDirs = None,
        as_json: AsJson = False,
    ) -> int:
        """Read every point now and show value, unit and quality. Do not run it on a bus that the agent is using."""
        from edge_agent.config.load import load_site

        loaded = load_site(site, profiles).site
        _check_device(loaded, device)
        clock = SystemClock()
        with ExitStack() as stack:
            buses = _Buses(loaded, device, clock, stack)
            if watch:
                _watched(buses, clock, every, as_json=as_json)
            visit = buses.read()
            _show(visit, clock, as_json=as_json)
        if not as_json and not visit.problems:
            talk(f"\nNext: edge-agent run {site}")
        return Exit.PROBLEMS if visit.problems else Exit.FINE


def _watched(buses: _Buses, clock: Clock, every_s: float, *, as_json: bool) -> NoReturn:
    """Round after round until Ctrl-C: in place on a terminal, one line of JSON or one table each elsewhere."""
    in_place = not as_json and wants_colour(sys.stdout)
    while True:
        begun_s = time.monotonic()
        visit = buses.read()
        if as_json:
            say(json.dumps({"schema": "read/1", **_as_body(visit, clock)}, ensure_ascii=False))
        else:
            say(("\x1b[H\x1b[J" if in_place else "") + f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S}  (Ctrl-C ends)")
            _show(visit, clock, as_json=False)
            say()
        sys.stdout.flush()
        time.sleep(max(0.0, every_s - (time.monotonic() - begun_s)))


class _Buses:
    """The buses that have something to read; each is opened once, and again where its link was lost."""

    def __init__(self, site: Site, device: str, clock: Clock, stack: ExitStack) -> None:
        from edge_agent.bus_visit import Visitor

        self._buses: list[tuple[Bus, Visitor, list[Device]]] = []
        for bus in site.buses:
            wanted = [d for d in bus.devices if device in ("", d.id)]
            if wanted:
                visitor = Visitor(bus, clock)
                stack.callback(visitor.close)
                self._buses.append((bus, visitor, wanted))

    def read(self) -> Visit:
        """Every point once, one bus after the other. What fails is a problem and keeps nothing else from being read."""
        from edge_agent.bus_visit import Visit

        found = Visit()
        for bus, visitor, devices in self._buses:
            visit = Visit()
            try:
                visitor.open()
                for device in devices:
                    visitor.read(device, visit)
            except ProblemError as error:
                visit.problems += error.problems
            found.readings += visit.readings
            found.problems += with_agent(visit.problems, bus)
        return found


def _check_device(site: Site, device: str) -> None:
    known = [d.id for bus in site.buses for d in bus.devices]
    if device and device not in known:
        do = f"name one of {', '.join(known)}."
        raise ProblemError(Problem("USE010", "edge-agent read", f'The site has no device "{device}".', do))


def _show(visit: Visit, clock: Clock, *, as_json: bool) -> None:
    if as_json:
        say_json("read/1", _as_body(visit, clock))
        return
    if visit.readings:
        rows = [(p.device, p.id, spoken(p, r.value), p.unit, str(r.quality), p.role) for p, r in visit.readings]
        say(table(("device", "point", "value", "unit", "quality", "role"), rows))
    show_problems(visit.problems, as_json=False)


def _as_body(visit: Visit, clock: Clock) -> dict[str, object]:
    taken = [_as_dict(point, reading, clock) for point, reading in visit.readings]
    return {"readings": taken, "problems": [problem.as_dict() for problem in visit.problems]}


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
