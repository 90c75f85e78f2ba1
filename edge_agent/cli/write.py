"""Does I/O: `edge-agent write` - changes one point of one device, within its profile's limits, confirmed and audited."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_agent.cli.beside_agent import with_agent
from edge_agent.cli.output import AsJson, ProfileDirs, SiteFile, say, say_json, show_problems, talk
from edge_agent.cli.read import spoken
from edge_agent.common.clock import SystemClock
from edge_agent.common.problem import Exit, Problem, ProblemError

if TYPE_CHECKING:
    from edge_agent.bus_visit import Written
    from edge_agent.contract.message import Value
    from edge_agent.model.points import Bus, Device, Point, Site
    from edge_agent.model.writing import Change


def register(app: typer.Typer) -> None:
    """Adds `write`."""

    @app.command(
        epilog="Example: edge-agent write site.yaml vfd-1 frequency-set 45.0",
        context_settings={"ignore_unknown_options": True},  # -5 is a value
    )
    def write(
        site: SiteFile,
        device: Annotated[str, typer.Argument(metavar="DEVICE", help="The device.", show_default=False)],
        point: Annotated[str, typer.Argument(metavar="POINT", help="A point that its profile makes writable.", show_default=False)],
        value: Annotated[
            str, typer.Argument(metavar="VALUE", help="In the point's unit; true or false; a code or its text.", show_default=False)
        ],
        yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be written, and write nothing.")] = False,
        state_dir: Annotated[Path | None, typer.Option("--state-dir", help="Where the audit lies. Default: the service's.")] = None,
        profiles: ProfileDirs = None,
        as_json: AsJson = False,
    ) -> int:
        """Write one point of one device, after showing what it says now and asking. Every attempt stands in the audit.

        Do not run it on a bus that the agent is using.
        """
        from edge_agent.config.load import load_site

        loaded = load_site(site, profiles).site
        bus, owner, wanted_point = _found(loaded, device, point)
        where = f'device "{device}" / point "{point}"'
        change = _change(wanted_point, value, where)
        if dry_run:
            return _tell_plan(wanted_point, change, where, as_json=as_json)
        ask = None if yes else _Question(wanted_point, change, where)
        if ask is not None and not sys.stdin.isatty():
            do = "run it in a terminal and answer, or add --yes."
            raise ProblemError(Problem("USE023", "edge-agent write", "Nobody can be asked whether to write.", do))
        try:
            written = _written(loaded, bus, owner, wanted_point, change, ask, state_dir)
        except ProblemError as error:
            raise ProblemError(with_agent(error.problems, bus)) from error
        return _tell(written, bus, wanted_point, where, as_json=as_json)


def _found(site: Site, device: str, point: str) -> tuple[Bus, Device, Point]:
    known = {d.id: (bus, d) for bus in site.buses for d in bus.devices}
    if device not in known:
        do = f"name one of {', '.join(known)}."
        raise ProblemError(Problem("USE010", "edge-agent write", f'The site has no device "{device}".', do))
    bus, owner = known[device]
    points = (*owner.points, *owner.commands)
    found = next((p for p in points if p.id == point), None)
    if found is None:
        writable = [p.id for p in points if p.write is not None]
        do = (
            f"name one of {', '.join(writable)}."
            if writable
            else "none of its points can be written; see `edge-agent profile show`."
        )
        raise ProblemError(Problem("USE010", "edge-agent write", f'The device "{device}" has no point "{point}".', do))
    return bus, owner, found


def _change(point: Point, text: str, where: str) -> Change:
    from edge_agent.model.writing import NotWritable, change_of, wanted_value

    try:
        return change_of(point, wanted_value(point, text))
    except NotWritable as refused:
        raise ProblemError(Problem("WRT701", where, refused.why, refused.do)) from refused


class _Question:
    """Shows what is, and asks."""

    def __init__(self, point: Point, change: Change, where: str) -> None:
        self._point, self._change, self._where = point, change, where

    def __call__(self, before: Value) -> bool:
        point = self._point
        now = "cannot be read" if before is None else f"says {_spoken(point, before)}"
        talk(f"{self._where} {now}.")
        return typer.confirm(f"Write {_spoken(point, self._change.value)}?", default=False, err=True)


def _written(
    site: Site, bus: Bus, device: Device, point: Point, change: Change, ask: _Question | None, state_dir: Path | None
) -> Written:
    """What came of it; the audit has a line before anything is sent, and one with the outcome."""
    from edge_agent.bus_visit import Visitor, Written
    from edge_agent.io.audit import audit_file, person, write_audit
    from edge_agent.io.service import state_folder

    clock = SystemClock()
    audit = audit_file(state_dir, os.environ, state_folder(None, os.environ))

    def entry(outcome: str, before: Value, after: Value = None) -> None:
        line = {
            "at_ms": clock.utc_ms(), "by": person(os.environ), "site": site.site, "gateway": site.gateway, "device": device.id,
            "point": point.id, "before": before, "wanted": change.value, "unit": point.unit, "after": after, "outcome": outcome,
        }  # fmt: skip
        write_audit(audit, line)

    with Visitor(bus, clock) as visitor:
        before = visitor.value_of(device, point)
        if ask is not None and not ask(before):
            return Written("declined", before, None)
        entry("tried", before)
        try:
            done = visitor.write(device, point, change, before)
        except BaseException:
            entry("unknown", before)
            raise
        entry(done.outcome, before, done.after)
        return done


def _tell_plan(point: Point, change: Change, where: str, *, as_json: bool) -> int:
    words = " ".join(f"{word:04X}" for word in change.words)
    if as_json:
        body = {
            "where": where,
            "function": change.function,
            "address": change.address,
            "words": list(change.words),
            "mask": change.mask,
        }
        say_json("write-plan/1", {**body, "value": change.value, "unit": point.unit})
    else:
        mask = "" if change.mask is None else f", bits {change.mask:04X} alone"
        how = f"function {change.function}, address {change.address}, {words}{mask}"
        say(f"{where}: {_spoken(point, change.value)} would be written: {how}")
    return Exit.FINE


def _tell(written: Written, bus: Bus, point: Point, where: str, *, as_json: bool) -> int:
    good = written.outcome in ("written", "declined")
    problems = [] if good else with_agent([_problem(written, point, where)], bus)
    if as_json:
        body = {"outcome": written.outcome, "before": written.before, "after": written.after, "unit": point.unit}
        say_json("write/1", {**body, "problems": [p.as_dict() for p in problems]})
    elif written.outcome == "written":
        after = "written; it cannot be read back" if written.after is None else f"now says {_spoken(point, written.after)}"
        say(f"{where} {after}.")
    elif written.outcome == "declined":
        talk("Nothing was written.")
    else:
        show_problems(problems, as_json=False)
    return Exit.FINE if good else Exit.PROBLEMS


def _problem(written: Written, point: Point, where: str) -> Problem:
    if written.outcome == "differs":
        after = "nothing" if written.after is None else _spoken(point, written.after)
        do = "look at the device: it may be under local control, locked, or need another value first."
        return Problem("WRT702", where, f"The device took the value and says {after} afterwards.", do)
    if written.outcome == "refused":
        do = "look at the device: it may be under local control or locked; compare address and limits with its manual."
        return Problem("WRT704", where, f"The device refuses the value ({written.reason}).", do)
    do = "read the point before you try again: whether the device took it is not known."
    return Problem("WRT705", where, f"No answer came to the write ({written.reason}).", do)


def _spoken(point: Point, value: Value) -> str:
    return f"{spoken(point, value)} {point.unit}".rstrip()
